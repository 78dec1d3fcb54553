# IN lists, tuples and ranges on the sharding key.

SELECT id, name FROM customer WHERE id IN (1, 2, 3, 4)

SELECT id, name FROM customer WHERE id IN (5)

SELECT id FROM customer WHERE id IN (6, 6, 6)

SELECT id FROM customer WHERE id IN (7, NULL, 8)

SELECT id FROM customer WHERE id IN (NULL)

SELECT id FROM customer WHERE id IN (1000, 1001)

SELECT id FROM customer WHERE id IN ('9', 10, 11.0)

SELECT id FROM customer WHERE id IN (1, 2, 3) AND id IN (2, 3, 4)

SELECT id FROM customer WHERE id IN (12, 13) OR id IN (13, 14)

SELECT id, country FROM customer WHERE id IN (15, 16, 17, 18, 19) AND country IN ('US', 'DE')

SELECT id, name FROM customer WHERE id IN (20, 21, 22, 23) ORDER BY id DESC

SELECT id, name FROM customer WHERE id IN (20, 21, 22, 23) ORDER BY name, id

SELECT COUNT(*) FROM customer WHERE id IN (24, 25, 26, 27)

SELECT MAX(balance), MIN(id) FROM customer WHERE id IN (28, 29, 30)

SELECT id FROM customer WHERE id NOT IN (1, 2, 3) ORDER BY id LIMIT 5

SELECT id FROM customer WHERE id NOT IN (1, NULL)

SELECT id FROM customer WHERE NOT id = 31 AND id < 34 ORDER BY id

SELECT token, hits FROM visit WHERE token IN ('tok-7', 'TOK-7', 'zürich-7', 'tok-8', 'TOK-8', 'zürich-8')

SELECT customer_id, id FROM orders WHERE customer_id IN (1, 2, 3, 4, 5, 6)

SELECT customer_id, id FROM orders WHERE (customer_id, id) IN ((1, 1001), (2, 1003), (3, 1005))

SELECT customer_id, order_id, line FROM order_item WHERE (customer_id, line) IN ((1, 1), (2, 1), (5, 1))

SELECT customer_id, order_id, line FROM order_item WHERE (line, customer_id) IN ((1, 1), (1, 4))

SELECT id FROM customer WHERE (id, country) IN ((1, 'US'), (2, 'DE'), (3, 'FR'), (4, 'IN'))

SELECT id FROM customer WHERE (id, country) = (5, 'US') OR (id, country) = (6, 'SG')

SELECT id FROM customer WHERE id BETWEEN 10 AND 20

SELECT id FROM customer WHERE id BETWEEN 20 AND 10

SELECT id FROM customer WHERE id >= 50 AND id < 55

SELECT id FROM customer WHERE id > 58

SELECT id FROM customer WHERE id < 3 OR id > 59

SELECT id FROM customer WHERE id != 1 AND id < 6

SELECT id FROM customer WHERE id <> 2 AND id <= 5 ORDER BY id

SELECT id FROM customer WHERE id % 10 = 0

SELECT id FROM customer WHERE id = 5 XOR id = 6

SELECT id FROM customer WHERE id + 0 = 40

SELECT id FROM customer WHERE id = (SELECT 41)

SELECT id FROM customer WHERE id IN (42, 43) UNION ALL SELECT id FROM customer WHERE id IN (42, 43)

SELECT token FROM visit WHERE token LIKE 'tok-1%'

SELECT token FROM visit WHERE token > 'tok-3' ORDER BY token
