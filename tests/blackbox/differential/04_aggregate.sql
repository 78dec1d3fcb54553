# Aggregates over all shards.

SELECT COUNT(*) FROM customer

SELECT COUNT(*) AS n FROM customer WHERE country = 'US'

SELECT COUNT(*) FROM customer WHERE country = 'XX'

SELECT COUNT(email) FROM customer

SELECT COUNT(email), COUNT(*), COUNT(score) FROM customer

SELECT SUM(balance) FROM customer

SELECT SUM(points) FROM customer

-- refused GG12001
SELECT SUM(level), SUM(level) + 1 FROM customer

SELECT SUM(balance) FROM customer WHERE country = 'XX'

SELECT MIN(balance), MAX(balance) FROM customer

SELECT MIN(id), MAX(id) FROM customer

SELECT MIN(born), MAX(born), MIN(joined), MAX(joined) FROM customer

SELECT MIN(score), MAX(score) FROM customer

SELECT MIN(email), MAX(email) FROM customer

SELECT MIN(country), MAX(country) FROM customer

SELECT MAX(points), MIN(points) FROM customer

SELECT MIN(spent), MAX(spent) FROM visit

SELECT MIN(born) FROM customer WHERE id > 100000

SELECT AVG(balance) FROM customer

SELECT AVG(level), AVG(points) FROM customer

SELECT AVG(balance) FROM customer WHERE id > 100000

SELECT AVG(total), SUM(total), COUNT(total), COUNT(*) FROM orders

# Sums of floats depend on the order of the rows.
SELECT SUM(score / 3) FROM customer

SELECT AVG(score / 7) FROM customer

SELECT SUM(quantity), MIN(quantity), MAX(quantity), AVG(quantity) FROM order_item

SELECT SUM(quantity * price) FROM order_item

SELECT country, COUNT(*) FROM customer GROUP BY country

SELECT country, COUNT(*) AS n FROM customer GROUP BY country ORDER BY country

SELECT country, COUNT(*) AS n FROM customer GROUP BY country ORDER BY n DESC, country

SELECT country, SUM(balance), AVG(balance), MIN(balance), MAX(balance) FROM customer GROUP BY country

SELECT level, COUNT(*) FROM customer GROUP BY level ORDER BY level

SELECT level, country, COUNT(*) FROM customer GROUP BY level, country

SELECT level, country, SUM(points) FROM customer GROUP BY level, country ORDER BY country DESC, level

SELECT born, COUNT(*) FROM customer GROUP BY born ORDER BY born

SELECT score, COUNT(*) FROM customer GROUP BY score

SELECT balance, COUNT(*) FROM customer GROUP BY balance

SELECT email IS NULL AS missing, COUNT(*) FROM customer GROUP BY missing ORDER BY missing

SELECT points, COUNT(*) FROM customer GROUP BY points ORDER BY points DESC LIMIT 5

SELECT tier, COUNT(*) FROM customer GROUP BY tier

SELECT tier, COUNT(*) FROM customer GROUP BY tier ORDER BY tier

SELECT status, COUNT(*), SUM(total) FROM orders WHERE status != 'paid' GROUP BY status

SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id

SELECT customer_id, COUNT(*) AS n, SUM(total) FROM orders GROUP BY customer_id ORDER BY n DESC, customer_id LIMIT 10

SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id HAVING n > 2

SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id HAVING COUNT(*) = 4 ORDER BY customer_id

-- refused GG12001
SELECT country, COUNT(*) AS n FROM customer GROUP BY country HAVING n > 9 ORDER BY country

-- refused GG12001
SELECT country, SUM(balance) AS s FROM customer GROUP BY country HAVING s > 100 ORDER BY s DESC

SELECT product_id, SUM(quantity) FROM order_item GROUP BY product_id

SELECT product_id, SUM(quantity) AS q FROM order_item GROUP BY product_id ORDER BY q DESC, product_id LIMIT 3

SELECT product_id, SUM(quantity * price) AS amount FROM order_item GROUP BY product_id ORDER BY amount DESC LIMIT 4

SELECT YEAR(born) AS y, COUNT(*) FROM customer GROUP BY y ORDER BY y

SELECT MONTH(joined), COUNT(*) FROM customer GROUP BY MONTH(joined) ORDER BY MONTH(joined)

SELECT country, COUNT(email) FROM customer GROUP BY country ORDER BY 1

SELECT country FROM customer GROUP BY country

SELECT country, level FROM customer GROUP BY country, level ORDER BY country, level LIMIT 12

-- refused GG12001
SELECT COUNT(*) FROM customer HAVING COUNT(*) > 10

-- refused GG12001
SELECT COUNT(*) FROM customer HAVING COUNT(*) > 1000

-- refused GG12001
SELECT COUNT(*) * 2 AS twice FROM customer

-- refused GG12001
SELECT MAX(id) - MIN(id) FROM customer

-- refused GG12001
SELECT COUNT(DISTINCT country) FROM customer

SELECT COUNT(DISTINCT customer_id) FROM orders

-- refused GG12001
SELECT SUM(DISTINCT level) FROM customer

-- refused GG12001
SELECT country, COUNT(DISTINCT level) FROM customer GROUP BY country ORDER BY country

# Text groups by its collation: which spelling stands for the group is not determined.
SELECT COUNT(*) FROM customer GROUP BY name

SELECT MIN(name), COUNT(*) FROM customer GROUP BY name

SELECT city, COUNT(*) FROM customer GROUP BY city ORDER BY city

SELECT email, COUNT(*) FROM customer WHERE email IS NOT NULL GROUP BY email ORDER BY email LIMIT 5

SELECT code, COUNT(*) FROM customer GROUP BY code ORDER BY code

SELECT hits, COUNT(*), MIN(token) FROM visit GROUP BY hits ORDER BY hits

# One shard: any aggregate passes through.
SELECT COUNT(DISTINCT status), GROUP_CONCAT(id ORDER BY id) FROM orders WHERE customer_id = 10

SELECT customer_id, MAX(total) FROM orders WHERE customer_id = 11 GROUP BY customer_id WITH ROLLUP

SELECT SUM(quantity), STDDEV(price) FROM order_item WHERE customer_id = 12

SELECT status, COUNT(*) FROM orders WHERE customer_id = 13 GROUP BY status ORDER BY status
