-- Sequences of keyspace catalog: they number the rows of sharded tables (100 ids at a time).
CREATE TABLE customers_seq (
  id BIGINT NOT NULL DEFAULT 0,
  next_id BIGINT NOT NULL,
  cache BIGINT NOT NULL,
  PRIMARY KEY (id)
) COMMENT 'vitess_sequence';
INSERT INTO customers_seq VALUES (0, 1000, 100);
CREATE TABLE orders_seq LIKE customers_seq;
INSERT INTO orders_seq VALUES (0, 5000, 100);
