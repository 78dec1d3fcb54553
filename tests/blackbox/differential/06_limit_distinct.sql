# LIMIT, OFFSET and DISTINCT over all shards.

SELECT id FROM customer ORDER BY id LIMIT 10

SELECT id FROM customer ORDER BY id LIMIT 0

SELECT id FROM customer ORDER BY id LIMIT 1

SELECT id FROM customer ORDER BY id LIMIT 5 OFFSET 10

SELECT id FROM customer ORDER BY id LIMIT 10, 5

SELECT id FROM customer ORDER BY id DESC LIMIT 58, 10

SELECT id FROM customer ORDER BY id LIMIT 100 OFFSET 59

SELECT id FROM customer ORDER BY id LIMIT 10 OFFSET 1000

SELECT id FROM customer ORDER BY id LIMIT 1000000

SELECT id, name FROM customer ORDER BY name, id LIMIT 7 OFFSET 3

SELECT id, balance FROM customer ORDER BY balance DESC, id LIMIT 4

SELECT id FROM customer WHERE country = 'US' ORDER BY id LIMIT 3 OFFSET 2

SELECT name FROM customer ORDER BY id LIMIT 4 OFFSET 4

# Without order one server does not say which rows.
SELECT id FROM customer LIMIT 5

SELECT id FROM customer LIMIT 5 OFFSET 57

SELECT name FROM customer WHERE level > 0 LIMIT 2

SELECT id, level FROM customer ORDER BY level LIMIT 5

SELECT id FROM customer WHERE id = 5 LIMIT 1

SELECT id FROM customer WHERE id = 5 LIMIT 0

SELECT id FROM customer WHERE id IN (1, 2, 3, 4) ORDER BY id LIMIT 2 OFFSET 1

SELECT id FROM orders WHERE customer_id = 25 ORDER BY id LIMIT 1 OFFSET 1

SELECT DISTINCT country FROM customer

SELECT DISTINCT country FROM customer ORDER BY country

SELECT DISTINCT country FROM customer ORDER BY country DESC LIMIT 2

SELECT DISTINCT level FROM customer ORDER BY level

SELECT DISTINCT country, level FROM customer

SELECT DISTINCT country, level FROM customer ORDER BY level, country

SELECT DISTINCT born IS NULL FROM customer

SELECT DISTINCT tier FROM customer

SELECT DISTINCT balance FROM customer ORDER BY balance LIMIT 10

SELECT DISTINCT score FROM customer

SELECT DISTINCT customer_id FROM orders ORDER BY customer_id

SELECT DISTINCT product_id FROM order_item WHERE quantity > 3 ORDER BY product_id

SELECT DISTINCT id FROM customer WHERE id IN (1, 2, 3) ORDER BY id

SELECT DISTINCT 1 FROM customer

SELECT DISTINCT status FROM orders WHERE customer_id = 26 ORDER BY status

SELECT COUNT(*) FROM customer LIMIT 1

SELECT COUNT(*) FROM customer LIMIT 1 OFFSET 1

SELECT country, COUNT(*) FROM customer GROUP BY country ORDER BY country LIMIT 2 OFFSET 1
