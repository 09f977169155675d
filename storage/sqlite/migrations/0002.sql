-- Addons are rows, and an application has a manifest of its own.

CREATE TABLE addons (
    id   TEXT    NOT NULL PRIMARY KEY, -- the name
    rev  INTEGER NOT NULL,
    data TEXT    NOT NULL
) STRICT;

-- Until now what an application is to be was the manifest of its newest version.
UPDATE applications SET data = json_set(
    json_remove(data, '$.InstanceType', '$.Tags', '$.Addons', '$.NodeSelector'),
    '$.Manifest', json((SELECT data -> '$.Manifest' FROM versions WHERE application_id = applications.id
        ORDER BY CAST(data ->> '$.Number' AS INTEGER) DESC LIMIT 1)),
    '$.Package', json((SELECT data -> '$.Package' FROM versions WHERE application_id = applications.id
        ORDER BY CAST(data ->> '$.Number' AS INTEGER) DESC LIMIT 1)),
    '$.APK', json((SELECT data -> '$.APK' FROM versions WHERE application_id = applications.id
        ORDER BY CAST(data ->> '$.Number' AS INTEGER) DESC LIMIT 1)))
    WHERE EXISTS (SELECT 1 FROM versions WHERE application_id = applications.id);
UPDATE images SET data = json_set(data, '$.NextVersion', json_array_length(data, '$.Versions'));
