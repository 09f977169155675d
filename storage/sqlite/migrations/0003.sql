-- Instances that stand by are nobody's, and every list of a user leaves them out.

ALTER TABLE instances ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;
CREATE INDEX instances_standby ON instances (application_id, id) WHERE standby = 1;

-- Lists of a node or an application are filtered, and counted, within the index.
DROP INDEX instances_node;
CREATE INDEX instances_node ON instances (node, id, status, standby);
DROP INDEX instances_application;
CREATE INDEX instances_application ON instances (application_id, id, version, status, standby);
