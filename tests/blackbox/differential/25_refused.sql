# What Geogate refuses by name for now: a plain server would do it, a wrong answer would be worse.

# Changing the sharding key would move the row.
-- refused GG12
UPDATE customer SET id = 500 WHERE id = 1

-- refused GG12
INSERT INTO visit (token, hits) VALUES ('new-1', 1) ON DUPLICATE KEY UPDATE token = 'moved'

-- refused GG12
REPLACE INTO customer (id, name, country) VALUES (1, 'replaced', 'US')

# The row has no shard without its key.
-- refused GG12
INSERT INTO customer (name, country) VALUES ('nobody', 'US')

-- refused GG12
INSERT INTO customer (id, name, country) VALUES (NULL, 'nobody', 'US')
