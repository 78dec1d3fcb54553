# Joins and subqueries that stay in one shard: the same customer on both sides.

SELECT c.name, o.id FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id = 1

SELECT c.name, o.id, o.total FROM customer c JOIN orders o ON c.id = o.customer_id WHERE o.customer_id = 2 ORDER BY o.id

SELECT c.name, o.id FROM customer c, orders o WHERE c.id = o.customer_id AND c.id = 3 ORDER BY o.id

SELECT c.id, o.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 4

SELECT c.id, o.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id IN (5, 6, 7, 8)

SELECT c.id, o.id FROM customer c JOIN orders o ON o.customer_id = c.id

SELECT c.id, o.id FROM customer c JOIN orders o ON o.customer_id = c.id ORDER BY o.id

SELECT c.id, o.id, i.line, i.price FROM customer c JOIN orders o ON o.customer_id = c.id JOIN order_item i ON i.customer_id = o.customer_id AND i.order_id = o.id WHERE c.id = 9 ORDER BY o.id, i.line

SELECT o.id, COUNT(*), SUM(i.quantity * i.price) FROM orders o JOIN order_item i ON i.customer_id = o.customer_id AND i.order_id = o.id WHERE o.customer_id = 10 GROUP BY o.id ORDER BY o.id

SELECT o.id, i.line FROM orders o JOIN order_item i ON i.customer_id = o.customer_id AND i.order_id = o.id WHERE i.product_id = 5

SELECT c.country, COUNT(*) AS n FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.country ORDER BY c.country

SELECT c.country, SUM(o.total) FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.country

SELECT COUNT(*) FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.country = 'US'

SELECT c.id, COUNT(o.id) AS n FROM customer c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY n DESC, c.id LIMIT 10

SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id WHERE a.customer_id = 11

SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id ORDER BY a.id, b.id LIMIT 20

SELECT id FROM customer c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)

SELECT id FROM customer c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY id

SELECT id FROM customer c WHERE c.id = 12 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > 100)

SELECT id FROM customer WHERE id = 13 AND id IN (SELECT customer_id FROM orders WHERE customer_id = 13)

SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) AS n FROM customer c WHERE c.id = 14

SELECT t.n FROM (SELECT COUNT(*) AS n FROM orders WHERE customer_id = 15) t

SELECT t.id, t.total FROM (SELECT id, total FROM orders WHERE customer_id = 16) t ORDER BY t.id

SELECT id FROM orders WHERE customer_id = 17 UNION SELECT id FROM orders WHERE customer_id = 17 ORDER BY id

SELECT id, SUM(total) OVER (ORDER BY id) FROM orders WHERE customer_id = 18 ORDER BY id

WITH mine AS (SELECT id, total FROM orders WHERE customer_id = 19) SELECT COUNT(*), MAX(total) FROM mine

# Reference tables are on every shard.
SELECT c.id, k.name FROM customer c JOIN countries k ON k.code = c.country WHERE c.id = 20

SELECT c.id, k.name FROM customer c JOIN countries k ON k.code = c.country WHERE c.id IN (21, 22, 23)

SELECT k.region, COUNT(*) FROM customer c JOIN countries k ON k.code = c.country GROUP BY k.region ORDER BY k.region

SELECT c.id, k.region FROM customer c JOIN countries k ON k.code = c.country ORDER BY c.id LIMIT 10

SELECT c.id FROM customer c JOIN countries k ON k.code = c.country WHERE k.region = 'eu-west'

SELECT * FROM countries ORDER BY code

SELECT COUNT(*) FROM countries

SELECT name FROM countries WHERE code = 'DE'

SELECT name FROM catalog.countries WHERE code = 'FR'

SELECT p.name, k.name FROM catalog.products p JOIN catalog.countries k ON k.code = 'US' WHERE p.id < 3

SELECT * FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id = 24 ORDER BY o.id

SELECT o.* FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.country = 'SG' ORDER BY o.id

-- refused GG12001
SELECT c.id, o.id FROM customer c JOIN orders o USING (id) WHERE c.id = 1
