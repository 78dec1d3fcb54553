# Reads by the sharding key: one shard, the answer relayed as it comes.

SELECT * FROM customer WHERE id = 1

SELECT * FROM customer WHERE id = 17

SELECT name, email FROM customer WHERE id = 2

SELECT customer.name FROM customer WHERE customer.id = 3

SELECT c.name AS who, c.balance * 2 AS twice FROM customer c WHERE c.id = 4

SELECT c.name FROM customer AS c WHERE 5 = c.id

# No such row: an empty result with all column definitions.
SELECT * FROM customer WHERE id = 999999

SELECT id FROM customer WHERE id = -1

# A qualified table, a quoted one, and mixed case in keywords.
SELECT id, name FROM shop.customer WHERE id = 6

SELECT `id`, `name` FROM `shop`.`customer` WHERE `id` = 7

SeLeCt id FrOm customer wHeRe id = 8

SELECT id /* a comment */ FROM customer -- to the end of the line
WHERE id = 9

SELECT id FROM customer # another kind of comment
WHERE id = 10

# More conditions beside the key.
SELECT id, name FROM customer WHERE id = 11 AND country = 'US'

SELECT id, name FROM customer WHERE id = 12 AND (level > 0 OR points < 1000)

SELECT id FROM customer WHERE id = 13 AND id = 13

SELECT id FROM customer WHERE id = 13 AND id = 14

SELECT id FROM customer WHERE id = 15 OR id = 15

SELECT id FROM customer WHERE id = 15 OR id = 16

SELECT id, email IS NULL FROM customer WHERE id = 18

SELECT id FROM customer WHERE id = NULL

SELECT id FROM customer WHERE id <=> 19

SELECT id FROM customer WHERE id IS NULL

# Literals that are not plain integers.
SELECT id, name FROM customer WHERE id = '20'

SELECT id, name FROM customer WHERE id = 20.0

SELECT id, name FROM customer WHERE id = 20.5

SELECT id, name FROM customer WHERE id = '20abc'

SELECT id, name FROM customer WHERE id = 0x15

SELECT id, name FROM customer WHERE id = 2e1

SELECT id, name FROM customer WHERE id = +21

SELECT id, name FROM customer WHERE id = 20 + 1

SELECT id, name FROM customer WHERE id = 9223372036854775807

SELECT id, name FROM customer WHERE id = 18446744073709551615

SELECT id, name FROM customer WHERE id = TRUE

SELECT id, name FROM customer WHERE id = ' 22'

# A sharding key of text.
SELECT token, hits FROM visit WHERE token = 'tok-1'

SELECT token, hits, seen, spent, payload FROM visit WHERE token = 'TOK-2'

SELECT token FROM visit WHERE token = 'zürich-3'

SELECT token FROM visit WHERE token = 'tok-4' OR token = 'TOK-4' OR token = 'zürich-4'

SELECT token FROM visit WHERE token = 5

SELECT token, HEX(payload) FROM visit WHERE token IN ('tok-6', 'TOK-6', 'zürich-6')

# Functions of the row, evaluated by the server.
SELECT UPPER(name), LENGTH(note), YEAR(joined), DATE_ADD(born, INTERVAL 1 DAY) FROM customer WHERE id = 23

SELECT IF(balance < 0, 'debt', 'fine') AS state, COALESCE(email, 'none'), tier + 0 FROM customer WHERE id = 7

SELECT CASE level WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END AS word FROM customer WHERE id = 4

SELECT 'quote '' and \\ and "', "double ' quote", 'line\nbreak' FROM customer WHERE id = 1

SELECT id, (SELECT COUNT(*) FROM orders WHERE customer_id = 24) AS n FROM customer WHERE id = 24

SELECT CONCAT(name, '?', ':v1', '/*x*/', '--') FROM customer WHERE id = 25

# An order of one customer, by both keys.
SELECT * FROM orders WHERE customer_id = 30 AND id > 1000 ORDER BY id

SELECT COUNT(*) FROM orders WHERE customer_id = 31

SELECT * FROM order_item WHERE customer_id = 32 ORDER BY order_id, line

SELECT order_id, line, quantity * price AS amount FROM order_item WHERE customer_id = 33 ORDER BY 1, 2

# Statements without a table.
SELECT 1

SELECT 1 + 1 AS two, 'text', NULL, 1.5, 1e3, DATE '2024-02-29'

SELECT @@version_comment IS NOT NULL

SELECT DATABASE()

SELECT 1 FROM DUAL WHERE 1 = 0
