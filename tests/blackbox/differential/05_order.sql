# ORDER BY over all shards: the merge must follow the server's own order.

SELECT id FROM customer ORDER BY id

SELECT id FROM customer ORDER BY id DESC

SELECT id, level FROM customer ORDER BY level, id

SELECT id, level FROM customer ORDER BY level DESC, id

SELECT id, points FROM customer ORDER BY points

SELECT id, points FROM customer ORDER BY points DESC

SELECT id, balance FROM customer ORDER BY balance, id

SELECT id, balance FROM customer ORDER BY balance DESC, id DESC

SELECT id, score FROM customer ORDER BY score, id

SELECT id, score FROM customer ORDER BY score DESC, id

SELECT id, born FROM customer ORDER BY born, id

SELECT id, born FROM customer ORDER BY born DESC, id

SELECT id, joined FROM customer ORDER BY joined, id

SELECT id, tier FROM customer ORDER BY tier, id

SELECT id, tier FROM customer ORDER BY tier DESC, id

SELECT id, country FROM customer ORDER BY country, id

SELECT id, country FROM customer ORDER BY country DESC, id DESC

# Case and accents are one in utf8mb4_general_ci.
SELECT id, name FROM customer ORDER BY name, id

SELECT id, name FROM customer ORDER BY name DESC, id

# utf8mb4_unicode_ci has other weights.
SELECT id, city FROM customer ORDER BY city, id

SELECT id, city FROM customer ORDER BY city DESC, id DESC

SELECT id, email FROM customer ORDER BY email, id

SELECT id, email FROM customer ORDER BY email DESC, id

# NO PAD: trailing spaces count, a tab sorts before a space.
SELECT id, HEX(code) FROM customer ORDER BY code, id

SELECT id, HEX(code) FROM customer ORDER BY code DESC, id

SELECT id, note FROM customer ORDER BY note, id

SELECT token FROM visit ORDER BY token

SELECT token FROM visit ORDER BY token DESC

SELECT token, seen FROM visit ORDER BY seen, token

SELECT token, spent FROM visit ORDER BY spent, token

SELECT token, spent FROM visit ORDER BY spent DESC, token

SELECT token, HEX(payload) FROM visit ORDER BY payload, token

SELECT id, placed FROM orders ORDER BY placed, id

SELECT id, total FROM orders ORDER BY total, id

SELECT id, status FROM orders ORDER BY status, id

# By position, by alias, by an expression, by a column that is not selected.
SELECT name, id FROM customer ORDER BY 2

SELECT name, id FROM customer ORDER BY 2 DESC

SELECT id AS number, level AS l FROM customer ORDER BY l, number

SELECT id, balance * -1 AS owed FROM customer ORDER BY owed, id

SELECT name FROM customer ORDER BY id

SELECT country, name FROM customer ORDER BY level DESC, id

SELECT id FROM customer ORDER BY balance + points, id

SELECT id FROM customer ORDER BY ABS(balance), id

SELECT id FROM customer ORDER BY -id

SELECT id FROM customer ORDER BY country = 'US' DESC, id

SELECT id, name FROM customer ORDER BY name COLLATE utf8mb4_bin, id

SELECT * FROM customer ORDER BY id LIMIT 3

SELECT * FROM customer ORDER BY joined DESC, id LIMIT 3

# NULL sorts first, and last when descending.
SELECT id, total FROM orders ORDER BY total IS NULL, total, id

SELECT id, email FROM customer ORDER BY email IS NULL, email, id

# Ties: only what one server determines is compared.
SELECT id, country FROM customer ORDER BY country

SELECT id, level FROM customer ORDER BY level

SELECT name FROM customer ORDER BY name

SELECT id, status FROM orders ORDER BY status DESC

# One shard or few.
SELECT id, total FROM orders WHERE customer_id = 20 ORDER BY total DESC, id

SELECT id, customer_id FROM orders WHERE customer_id IN (21, 22, 23, 24) ORDER BY customer_id DESC, id DESC

SELECT id, name FROM customer WHERE country = 'DE' ORDER BY name DESC, id DESC
