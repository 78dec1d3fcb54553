# DELETE by key, by a few keys, by any predicate, of nothing.

DELETE FROM customer WHERE id = 114

SELECT COUNT(*) FROM customer WHERE id = 114

DELETE FROM customer WHERE id = 114

DELETE FROM customer WHERE id IN (112, 113)

DELETE FROM orders WHERE customer_id = 104

DELETE FROM orders WHERE id = 5003

DELETE FROM order_item WHERE customer_id = 101 AND line = 2

DELETE FROM visit WHERE token = 'NEW-1'

SELECT token FROM visit WHERE token IN ('new-1', 'NEW-1')

DELETE FROM visit WHERE token IN ('new-2', 'größe', 'no such token')

DELETE FROM visit WHERE hits < 0

DELETE FROM customer WHERE country = 'XX'

DELETE FROM customer WHERE 1 = 0

DELETE FROM ticket WHERE subject = 'given'

DELETE FROM ticket

SELECT COUNT(*) FROM ticket

DELETE FROM shop.customer WHERE id = -5 AND country = 'DE'

DELETE FROM shop.customer WHERE id = -5 AND country = 'US'

-- prepared
DELETE FROM customer WHERE id = 110

-- prepared
DELETE FROM orders WHERE total > 480 AND status = 'open'

SELECT COUNT(*), SUM(total) FROM orders

DELETE FROM catalog.products WHERE id IN (21, 22)

SELECT COUNT(*) FROM catalog.products
