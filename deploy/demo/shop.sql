-- Sharded tables of keyspace shop: every row begins with its region and its customer.
CREATE TABLE customers (
  region TINYINT UNSIGNED NOT NULL,
  id BIGINT NOT NULL,
  name VARCHAR(60) NOT NULL,
  email VARCHAR(100) NOT NULL,
  country CHAR(2) NOT NULL,
  joined DATE NOT NULL,
  PRIMARY KEY (region, id)
);
CREATE TABLE orders (
  region TINYINT UNSIGNED NOT NULL,
  customer_id BIGINT NOT NULL,
  id BIGINT NOT NULL,
  placed DATETIME NOT NULL,
  status VARCHAR(12) NOT NULL,
  total DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (region, customer_id, id),
  KEY by_id (id)
);
CREATE TABLE order_items (
  region TINYINT UNSIGNED NOT NULL,
  customer_id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  line INT NOT NULL,
  product_id INT NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (region, customer_id, order_id, line)
);
