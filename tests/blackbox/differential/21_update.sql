# UPDATE by key, by a few keys, by any predicate, of nothing.

UPDATE customer SET name = 'Renamed' WHERE id = 101

SELECT name FROM customer WHERE id = 101

# Set to what it is: no row is affected.
UPDATE customer SET name = 'Renamed' WHERE id = 101

UPDATE customer SET balance = balance + 1.25, level = level + 1 WHERE id = 102

SELECT balance, level FROM customer WHERE id = 102

UPDATE customer SET email = NULL WHERE id IN (102, 104, 105)

SELECT id, email FROM customer WHERE id IN (102, 104, 105) ORDER BY id

UPDATE customer SET points = points + 1 WHERE id > 100 AND points < 4000000000

UPDATE customer SET tier = 'old' WHERE country = 'DE'

SELECT COUNT(*) FROM customer WHERE tier = 'old'

UPDATE customer SET note = 'scattered' WHERE country = 'US' AND level > 0

SELECT id, note FROM customer WHERE note = 'scattered' ORDER BY id

UPDATE customer SET note = 'nobody' WHERE country = 'XX'

UPDATE customer SET note = 'nobody' WHERE id = 999999

UPDATE customer SET note = 'never' WHERE 1 = 0

UPDATE customer SET level = 1 WHERE id BETWEEN 1 AND 5

UPDATE customer c SET c.note = 'alias' WHERE c.id = 106

UPDATE shop.customer SET note = CONCAT(name, '!') WHERE id = 107

UPDATE customer SET born = '2001-02-03', joined = '2024-03-04 05:06:07' WHERE id = 108

SELECT note, born, joined FROM customer WHERE id IN (106, 107, 108) ORDER BY id

UPDATE orders SET status = 'sent' WHERE customer_id = 101

UPDATE orders SET status = 'sent', total = COALESCE(total, 0) + 1 WHERE customer_id IN (101, 102, 103)

UPDATE orders SET total = total * 2 WHERE id = 5002

SELECT id, status, total FROM orders WHERE id > 5000 ORDER BY id

UPDATE order_item SET quantity = quantity + 1 WHERE customer_id = 101 AND order_id = 5001 AND line = 2

UPDATE order_item SET price = price + 0.01 WHERE product_id = 3

SELECT SUM(price) FROM order_item WHERE product_id = 3

UPDATE visit SET hits = hits + 1 WHERE token = 'new-1'

UPDATE visit SET hits = 0 WHERE token LIKE 'tok-%'

SELECT COUNT(*) FROM visit WHERE hits = 0

UPDATE visit SET spent = '00:00:01' WHERE spent IS NULL

-- prepared
UPDATE customer SET points = 77 WHERE id = 109

-- prepared
UPDATE customer SET points = points + 1 WHERE country = 'SG'

SELECT SUM(points) FROM customer WHERE country = 'SG'

UPDATE catalog.products SET stock = stock - 1 WHERE id = 1

UPDATE catalog.products SET stock = stock + 5 WHERE stock < 10

SELECT SUM(stock) FROM catalog.products

UPDATE customer SET score = NULL WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)

SELECT COUNT(score) FROM customer
