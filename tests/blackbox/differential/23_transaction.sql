# Transactions on one and on several shards, savepoints, two sessions.

BEGIN

INSERT INTO customer (id, name, country) VALUES (201, 'In tx', 'US')

SELECT name FROM customer WHERE id = 201

# Another session does not see it.
-- session b
SELECT name FROM customer WHERE id = 201

COMMIT

-- session b
SELECT name FROM customer WHERE id = 201

START TRANSACTION

INSERT INTO customer (id, name, country) VALUES (202, 'Gone', 'US'), (203, 'Gone', 'DE'), (204, 'Gone', 'FR'), (205, 'Gone', 'IN')

UPDATE customer SET balance = balance + 100 WHERE country = 'SG'

SELECT COUNT(*) FROM customer WHERE id IN (202, 203, 204, 205)

SELECT SUM(balance) FROM customer

-- session b
SELECT COUNT(*) FROM customer WHERE id IN (202, 203, 204, 205)

-- session b
SELECT SUM(balance) FROM customer

ROLLBACK

SELECT COUNT(*) FROM customer WHERE id IN (202, 203, 204, 205)

SELECT SUM(balance) FROM customer

BEGIN

UPDATE customer SET balance = balance - 10 WHERE id = 1

UPDATE customer SET balance = balance + 10 WHERE id = 2

SELECT id, balance FROM customer WHERE id IN (1, 2) ORDER BY id

COMMIT

-- session b
SELECT id, balance FROM customer WHERE id IN (1, 2) ORDER BY id

# Savepoints, on shards that joined before and after.
BEGIN

UPDATE customer SET note = 'before' WHERE id = 1

SAVEPOINT one

UPDATE customer SET note = 'after' WHERE id = 1

UPDATE customer SET note = 'after' WHERE id IN (2, 3, 4, 5)

SELECT id, note FROM customer WHERE id < 6 AND id > 0 ORDER BY id

ROLLBACK TO SAVEPOINT one

SELECT id, note FROM customer WHERE id < 6 AND id > 0 ORDER BY id

UPDATE customer SET note = 'second try' WHERE id = 3

SAVEPOINT two

DELETE FROM customer WHERE id IN (6, 7)

ROLLBACK TO two

RELEASE SAVEPOINT one

COMMIT

SELECT id, note FROM customer WHERE id < 8 AND id > 0 ORDER BY id

# A statement that fails does not end the transaction.
BEGIN

INSERT INTO customer (id, name, country) VALUES (206, 'Stays', 'US')

-- error 1062
INSERT INTO customer (id, name, country) VALUES (206, 'Twice', 'US')

COMMIT

SELECT name FROM customer WHERE id = 206

# autocommit off: a transaction starts with the first statement.
SET autocommit = 0

UPDATE customer SET note = 'no autocommit' WHERE id = 8

-- session b
SELECT note = 'no autocommit' FROM customer WHERE id = 8

ROLLBACK

SELECT note = 'no autocommit' FROM customer WHERE id = 8

SET autocommit = 1

# COMMIT and ROLLBACK outside a transaction do nothing.
COMMIT

ROLLBACK

START TRANSACTION READ ONLY

SELECT COUNT(*) FROM customer

-- error 1792
UPDATE customer SET note = 'x' WHERE id = 1

COMMIT

-- refused GG12004
START TRANSACTION WITH CONSISTENT SNAPSHOT

BEGIN

DELETE FROM visit

SELECT COUNT(*) FROM visit

ROLLBACK

SELECT COUNT(*) FROM visit

BEGIN

SELECT id, name FROM customer WHERE id = 9 FOR UPDATE

UPDATE customer SET name = 'Locked' WHERE id = 9

COMMIT

SELECT name FROM customer WHERE id = 9

# Beginning again commits what was open.
BEGIN

UPDATE customer SET note = 'implicit' WHERE id = 10

BEGIN

ROLLBACK

SELECT note FROM customer WHERE id = 10
