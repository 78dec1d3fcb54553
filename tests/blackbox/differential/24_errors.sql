# Errors: the same number and SQLSTATE as one server gives.

-- error 1062
INSERT INTO customer (id, name, country) VALUES (1, 'again', 'US')

-- error 1062
INSERT INTO customer (id, name, country) VALUES (301, 'fine', 'US'), (1, 'again', 'US')

# The whole statement has failed, on all shards.
SELECT COUNT(*) FROM customer WHERE id = 301

-- error 1062
INSERT INTO customer (id, name, country) VALUES (302, 'a', 'US'), (303, 'b', 'US'), (304, 'c', 'US'), (305, 'd', 'US'), (2, 'again', 'US')

SELECT COUNT(*) FROM customer WHERE id IN (302, 303, 304, 305)

-- error 1054
SELECT nonsense FROM customer WHERE id = 1

-- error 1054
SELECT id FROM customer WHERE nonsense = 1

-- error 1054
SELECT id FROM customer ORDER BY nonsense

-- error 1054
UPDATE customer SET nonsense = 1 WHERE id = 1

-- error 1054
INSERT INTO customer (id, nonsense) VALUES (1, 2)

-- error 1146
SELECT * FROM nothing

-- error 1146
SELECT * FROM nothing WHERE id = 1

-- error 1146
INSERT INTO nothing VALUES (1)

-- error 1146
DELETE FROM catalog.nothing

-- error 1064
SELECT FROM customer

-- error 1064
SELEC 1

-- error 1064
SELECT * FROM customer WHERE id = = 1

-- error 1064
SELECT 'open

-- error 1064
INSERT INTO customer VALUES

-- error 1064
SELECT (1

-- error 1065
;

-- error 1048
INSERT INTO customer (id, name, country) VALUES (310, NULL, 'US')

-- error 1048
UPDATE customer SET name = NULL WHERE id = 1

-- error 1364
INSERT INTO customer (id, country) VALUES (311, 'US')

-- error 1406
INSERT INTO customer (id, name, country) VALUES (312, 'x', 'too long')

-- error 1264
INSERT INTO customer (id, name, country, level) VALUES (313, 'x', 'US', 1000)

-- error 1264
UPDATE customer SET points = -1 WHERE id = 1

-- error 1292
INSERT INTO customer (id, name, country, born) VALUES (314, 'x', 'US', '2023-02-30')

-- error 1265
INSERT INTO customer (id, name, country, tier) VALUES (315, 'x', 'US', 'platinum')

-- error 1136
INSERT INTO customer (id, name) VALUES (316, 'x', 'US')

-- error 1136
INSERT INTO visit (token, hits) VALUES ('a', 1), ('b')

-- error 1110
INSERT INTO customer (id, name, name, country) VALUES (317, 'x', 'y', 'US')

-- error 1052
SELECT id FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id = 1

-- error 1305
SELECT no_such_function(1) FROM customer WHERE id = 1

-- error 1582
SELECT ABS(1, 2) FROM customer WHERE id = 1

-- error 1242
SELECT (SELECT product_id FROM order_item WHERE customer_id = 10) FROM customer WHERE id = 10

-- error 1111
SELECT id FROM customer WHERE id = 1 AND COUNT(*) > 1

-- error 1305
ROLLBACK TO SAVEPOINT never_made

-- error 1049
USE no_such_database

-- error 1193
SET no_such_variable = 1

-- error 1690
SELECT 9223372036854775807 + 1 FROM customer WHERE id = 1

# Everything above has changed nothing.
SELECT COUNT(*) FROM customer WHERE id > 300

SELECT name, points FROM customer WHERE id = 1
