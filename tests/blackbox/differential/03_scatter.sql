# Reads over all shards: rows from everywhere, in any order.

SELECT * FROM customer

SELECT id, name FROM customer

SELECT id FROM customer WHERE country = 'US'

SELECT id, country FROM customer WHERE country IN ('DE', 'FR')

SELECT id FROM customer WHERE country = 'us'

SELECT id, name FROM customer WHERE name = 'ada'

SELECT id, name FROM customer WHERE name = 'emile'

SELECT id, city FROM customer WHERE city = 'munchen'

SELECT id, city FROM customer WHERE city = 'lodz'

SELECT id, HEX(code) FROM customer WHERE code = 'x'

SELECT id, HEX(code) FROM customer WHERE code = ''

SELECT id, email FROM customer WHERE email = 'B4@example.org'

SELECT id, email FROM customer WHERE email = 'b4@example.org'

SELECT id FROM customer WHERE email IS NULL

SELECT id FROM customer WHERE score IS NOT NULL AND score > 100

SELECT id, balance FROM customer WHERE balance < 0

SELECT id, balance FROM customer WHERE balance BETWEEN 10.00 AND 20.00

SELECT id, born FROM customer WHERE born < '1960-01-01'

SELECT id, joined FROM customer WHERE joined >= '2023-06-01' AND joined < '2023-09-01'

SELECT id, tier FROM customer WHERE tier = 'gold'

SELECT id, tier FROM customer WHERE tier > 1

SELECT id, note FROM customer WHERE note LIKE '%\%%'

SELECT id, note FROM customer WHERE note = 'it''s'

SELECT id, note FROM customer WHERE note = "it's"

SELECT id, note FROM customer WHERE note LIKE '%slash'

SELECT id, note FROM customer WHERE note = ''

SELECT id, points FROM customer WHERE points > 4000000000

SELECT id, level FROM customer WHERE level < 0

SELECT id FROM customer WHERE level = 2 AND tier IN ('new', 'old')

SELECT id, name FROM customer WHERE name LIKE 'A%'

SELECT id FROM customer WHERE 1 = 1

SELECT id FROM customer WHERE 1 = 0

SELECT id FROM customer WHERE FALSE

SELECT id FROM customer WHERE id > 0 AND NOT (country = 'US' OR country = 'CA')

SELECT token, hits, seen, spent, HEX(payload) FROM visit

SELECT token, spent FROM visit WHERE spent < '00:00:00'

SELECT token FROM visit WHERE payload = x'00ff12'

SELECT id, customer_id, placed, status, total FROM orders

SELECT id FROM orders WHERE id = 1010

SELECT id, total FROM orders WHERE total IS NULL

SELECT id, placed FROM orders WHERE placed > '2024-06-01 00:00:00.500'

SELECT id, status FROM orders WHERE status = 'paid'

SELECT order_id, line, quantity FROM order_item WHERE product_id = 7

SELECT order_id, quantity * price AS amount FROM order_item WHERE quantity * price > 200

SELECT c.id, c.name FROM customer c WHERE c.country = 'IN'

SELECT UPPER(name) AS loud, LENGTH(name) FROM customer WHERE country = 'SG'

SELECT id, IFNULL(email, 'none') AS email FROM customer WHERE country = 'CA'

SELECT 'constant' AS c, 5 FROM customer WHERE country = 'FR'

SELECT id AS a, id AS b, id AS a FROM customer WHERE country = 'FR'

# Unsharded keyspace: passes through whatever it says.
SELECT * FROM catalog.products WHERE id = 3

SELECT name, price FROM catalog.products WHERE price > 30 ORDER BY price DESC

SELECT COUNT(*), SUM(stock), AVG(price) FROM catalog.products

SELECT name, RANK() OVER (ORDER BY stock DESC) AS place FROM catalog.products ORDER BY place, name

WITH cheap AS (SELECT id, price FROM catalog.products WHERE price < 20) SELECT COUNT(*) FROM cheap
