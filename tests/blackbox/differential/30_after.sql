# After all writes: whole tables once more.

SELECT * FROM customer ORDER BY id

SELECT * FROM orders ORDER BY id

SELECT * FROM order_item ORDER BY customer_id, order_id, line

SELECT token, hits, seen, spent, HEX(payload) FROM visit ORDER BY token

SELECT COUNT(*), SUM(balance), MIN(name), MAX(email) FROM customer

SELECT country, tier, COUNT(*), SUM(points) FROM customer GROUP BY country, tier ORDER BY country, tier
