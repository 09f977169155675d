-- Addons are rows, and an application has a manifest of its own.

CREATE TABLE addons (
    id   TEXT    NOT NULL PRIMARY KEY, -- the name
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

-- Until now what an application is to be was the manifest of its newest version,
-- and four fields of its row. Where they differ the row is right: its version may
-- have been deleted since.
CREATE TEMPORARY TABLE newest AS
    SELECT application_id AS id, data FROM versions AS v
    WHERE CAST(coalesce(data ->> '$.Number', 0) AS INTEGER) = (
        SELECT max(CAST(coalesce(data ->> '$.Number', 0) AS INTEGER)) FROM versions WHERE application_id = v.application_id);
UPDATE applications SET data = json_set(data,
    '$.Manifest', json(coalesce((SELECT data -> '$.Manifest' FROM newest WHERE newest.id = applications.id), json_object('name', name))),
    '$.Package', json(coalesce((SELECT data -> '$.Package' FROM newest WHERE newest.id = applications.id), '{}')),
    '$.APK', json(coalesce((SELECT data -> '$.APK' FROM newest WHERE newest.id = applications.id), '{}')));
UPDATE applications SET data = json_set(data, '$.Manifest.tags', json(data -> '$.Tags')) WHERE data ->> '$.Tags' IS NOT NULL;
UPDATE applications SET data = json_set(data, '$.Manifest.addons', json(data -> '$.Addons')) WHERE data ->> '$.Addons' IS NOT NULL;
UPDATE applications SET data = json_set(data, '$.Manifest."node-selector"', json(data -> '$.NodeSelector')) WHERE data ->> '$.NodeSelector' IS NOT NULL;
UPDATE applications SET data = json_set(data, '$.Manifest."instance-type"', data ->> '$.InstanceType') WHERE data ->> '$.InstanceType' IS NOT NULL;
UPDATE applications SET data = json_remove(data, '$.InstanceType', '$.Tags', '$.Addons', '$.NodeSelector');
DROP TABLE newest;

UPDATE images SET data = json_set(data, '$.NextVersion', coalesce(json_array_length(data, '$.Versions'), 0));
