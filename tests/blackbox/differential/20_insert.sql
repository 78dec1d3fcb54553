# INSERT: one row, several rows over several shards, defaults, prepared.

INSERT INTO customer (id, name, country) VALUES (101, 'New One', 'US')

SELECT * FROM customer WHERE id = 101

INSERT INTO customer (id, name, country, email, balance) VALUES (102, 'Two', 'DE', 'two@example.org', 12.50), (103, 'Three', 'FR', NULL, -3.00), (104, 'Four', 'IN', 'four@example.org', 0)

SELECT * FROM customer WHERE id IN (102, 103, 104) ORDER BY id

INSERT INTO customer (name, country, id) VALUES ('Five', 'SG', 105)

INSERT INTO customer SET id = 106, name = 'Six', country = 'CA'

INSERT INTO customer (id, name, country, joined) VALUES (107, 'Seven', 'US', '2024-01-01 10:00:00')

INSERT INTO customer (id, name, country, level, tier) VALUES (108, 'it''s "quoted"', 'US', DEFAULT, 'gold')

INSERT INTO customer (id, name, country, balance) VALUES (109, CONCAT('Ni', 'ne'), 'US', 1 + 2.25)

INSERT INTO customer (id, name, country) VALUES ('110', 'Ten', 'US')

INSERT INTO customer VALUES (111, 'Eleven', NULL, 'Oslo', 'DE', 'y', 5.55, 1.5, '2000-02-29', '2024-02-29 23:59:59', 7, 4294967295, 'old', 'all columns')

INSERT INTO `customer` (`id`, `name`, `country`) VALUES (112, '名前', 'US');

INSERT INTO shop.customer (id, name, country) VALUES (113, 'Qualified', 'US')

INSERT INTO customer (id, name, country, points) VALUES (-5, 'Negative', 'US', 5)

SELECT id, name, country, points FROM customer WHERE id = -5

-- prepared
INSERT INTO customer (id, name, country) VALUES (114, 'Prepared', 'FR')

INSERT INTO orders (id, customer_id, placed, status, total) VALUES (5001, 101, '2024-06-01 12:00:00.250', 'open', 10.00), (5002, 102, '2024-06-02 12:00:00.250', 'open', 20.00), (5003, 103, '2024-06-03', 'paid', NULL)

INSERT INTO orders VALUES (5004, 104, '2024-06-04', 'sent', 5.05)

INSERT INTO order_item VALUES (101, 5001, 1, 1, 2, 3.50), (101, 5001, 2, 2, 1, 3.00), (102, 5002, 1, 1, 1, 20.00)

INSERT INTO visit (token, hits) VALUES ('new-1', 1), ('new-2', 2), ('NEW-1', 3), ('größe', 4)

SELECT token, hits FROM visit WHERE token IN ('new-1', 'NEW-1', 'größe') ORDER BY token

INSERT INTO visit VALUES ('bytes', '2024-01-01 00:00:00', 5, '-10:00:00', x'00ff27')

INSERT IGNORE INTO customer (id, name, country) VALUES (101, 'Ignored', 'US')

SELECT name FROM customer WHERE id = 101

# ON DUPLICATE KEY UPDATE of a column that is not in a vindex.
INSERT INTO visit (token, hits) VALUES ('new-1', 10) ON DUPLICATE KEY UPDATE hits = hits + VALUES(hits)

INSERT INTO visit (token, hits) VALUES ('new-9', 10) ON DUPLICATE KEY UPDATE hits = hits + VALUES(hits)

SELECT token, hits FROM visit WHERE token IN ('new-1', 'new-9') ORDER BY token

# The sequence fills what AUTO_INCREMENT would.
INSERT INTO ticket (customer_id, subject) VALUES (1, 'first')

INSERT INTO ticket (customer_id, subject) VALUES (2, 'second'), (3, 'third'), (4, 'fourth')

SELECT LAST_INSERT_ID()

SELECT id + 0 AS id, customer_id, subject FROM ticket ORDER BY customer_id

INSERT INTO ticket (id, customer_id, subject) VALUES (1000, 5, 'given')

INSERT INTO catalog.products (id, name, price) VALUES (21, 'new product', 9.99), (22, 'newer product', 19.99)

SELECT * FROM catalog.products WHERE id > 20 ORDER BY id
