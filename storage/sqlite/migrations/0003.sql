-- Instances that stand by are nobody's, and every list of a user leaves them out.

ALTER TABLE instances ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;
CREATE INDEX instances_standby ON instances (application_id, id) WHERE standby = 1;
