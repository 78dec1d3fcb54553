-- Tables of the test shop: made on every shard, and on the plain servers that are the oracle.
-- Statements end with a semicolon; `-- keyspace NAME` says where the following ones belong.
-- `/*plain ...*/` is SQL for the plain servers only.

-- keyspace shop
CREATE TABLE customer (
  id BIGINT NOT NULL,
  name VARCHAR(60) NOT NULL COLLATE utf8mb4_general_ci,
  email VARCHAR(100) COLLATE utf8mb4_bin,
  city VARCHAR(40) COLLATE utf8mb4_unicode_ci,
  country CHAR(2) CHARACTER SET ascii NOT NULL,
  code VARCHAR(12) COLLATE utf8mb4_nopad_bin,
  balance DECIMAL(12,2) NOT NULL DEFAULT 0.00,
  score DOUBLE,
  born DATE,
  joined DATETIME NOT NULL DEFAULT '2020-01-01 00:00:00',
  level TINYINT NOT NULL DEFAULT 1,
  points INT UNSIGNED NOT NULL DEFAULT 0,
  tier ENUM('new','gold','old') NOT NULL DEFAULT 'new',
  note TEXT,
  PRIMARY KEY (id),
  KEY by_country (country)
);

CREATE TABLE orders (
  id BIGINT NOT NULL,
  customer_id BIGINT NOT NULL,
  placed DATETIME(3) NOT NULL,
  status VARCHAR(10) NOT NULL,
  total DECIMAL(10,2),
  PRIMARY KEY (id),
  KEY by_customer (customer_id)
);

CREATE TABLE order_item (
  customer_id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  line INT NOT NULL,
  product_id INT NOT NULL,
  quantity SMALLINT NOT NULL,
  price DECIMAL(8,2) NOT NULL,
  PRIMARY KEY (customer_id, order_id, line)
);

CREATE TABLE visit (
  token VARCHAR(40) NOT NULL COLLATE utf8mb4_nopad_bin,
  seen TIMESTAMP NOT NULL DEFAULT '2021-01-01 00:00:00',
  hits INT NOT NULL DEFAULT 0,
  spent TIME,
  payload VARBINARY(20),
  PRIMARY KEY (token)
);

CREATE TABLE ticket (
  id BIGINT NOT NULL /*plain AUTO_INCREMENT*/,
  customer_id BIGINT NOT NULL,
  subject VARCHAR(40) NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE countries (
  code CHAR(2) CHARACTER SET ascii NOT NULL,
  name VARCHAR(40) NOT NULL,
  region VARCHAR(10) NOT NULL,
  PRIMARY KEY (code)
);

-- keyspace catalog
CREATE TABLE countries (
  code CHAR(2) CHARACTER SET ascii NOT NULL,
  name VARCHAR(40) NOT NULL,
  region VARCHAR(10) NOT NULL,
  PRIMARY KEY (code)
);

CREATE TABLE products (
  id INT NOT NULL,
  name VARCHAR(40) NOT NULL,
  price DECIMAL(8,2) NOT NULL,
  stock INT NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);

CREATE TABLE ticket_seq (
  id BIGINT NOT NULL DEFAULT 0,
  next_id BIGINT NOT NULL,
  cache BIGINT NOT NULL,
  PRIMARY KEY (id)
) COMMENT 'vitess_sequence';
