CREATE TABLE everything (
  id BIGINT NOT NULL PRIMARY KEY,
  t TINYINT, u INT UNSIGNED, m MEDIUMINT, big BIGINT UNSIGNED, z INT(6) ZEROFILL,
  dc DECIMAL(30,10), f FLOAT, d DOUBLE, b1 BIT(1), b40 BIT(40),
  c CHAR(10), v VARCHAR(200), l1 VARCHAR(50) CHARACTER SET latin1,
  tx TEXT, lt LONGTEXT COLLATE utf8mb4_bin,
  bn BINARY(8), vb VARBINARY(300), bl BLOB, lb LONGBLOB,
  dt DATE, tm TIME(6), dtm DATETIME(6), ts TIMESTAMP(3) NULL, y YEAR,
  e ENUM('a','it''s','ü'), s SET('x','y','z'), j JSON,
  g INT AS (t + 1) STORED, gv VARCHAR(30) AS (CONCAT('#', id)) VIRTUAL,
  `odd ``name` INT DEFAULT 7,
  KEY v_index (v), KEY g_index (g)
) ENGINE=InnoDB COMMENT='all; kinds ''of'' columns';
CREATE TABLE pair (
  tenant INT NOT NULL, number BIGINT NOT NULL, what VARCHAR(30), PRIMARY KEY (tenant, number)
);
CREATE TABLE badge (
  token VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  what VARCHAR(30)
);
CREATE TABLE ticket (
  id BIGINT NOT NULL, customer_id BIGINT NOT NULL, subject VARCHAR(40), PRIMARY KEY (id)
);
CREATE TABLE nation (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(40));
