-- Reference tables and their rows: on the primary of catalog (the source) and on every shard of shop.
CREATE TABLE countries (
  code CHAR(2) NOT NULL,
  name VARCHAR(40) NOT NULL,
  region TINYINT UNSIGNED NOT NULL COMMENT '1 us-east, 2 eu-west, 3 ap-south',
  PRIMARY KEY (code)
);
INSERT INTO countries VALUES
  ('US', 'United States', 1), ('CA', 'Canada', 1), ('MX', 'Mexico', 1),
  ('DE', 'Germany', 2), ('FR', 'France', 2), ('PL', 'Poland', 2), ('ES', 'Spain', 2),
  ('IN', 'India', 3), ('SG', 'Singapore', 3), ('JP', 'Japan', 3);
CREATE TABLE products (
  id INT NOT NULL,
  name VARCHAR(60) NOT NULL,
  category VARCHAR(20) NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (id)
);
INSERT INTO products VALUES
  (1, 'Filter coffee, 500 g', 'coffee', 9.90), (2, 'Espresso beans, 1 kg', 'coffee', 18.50),
  (3, 'Decaf beans, 250 g', 'coffee', 6.80), (4, 'Darjeeling, 100 g', 'tea', 12.00),
  (5, 'Sencha, 100 g', 'tea', 10.50), (6, 'Earl Grey, 50 bags', 'tea', 5.40),
  (7, 'Moka pot, 6 cups', 'tools', 29.00), (8, 'Hand grinder', 'tools', 64.00),
  (9, 'Teapot, 1 l', 'tools', 35.00), (10, 'Gooseneck kettle', 'tools', 79.00),
  (11, 'Paper filters, 100', 'supplies', 3.20), (12, 'Oat biscuits', 'supplies', 4.10);
