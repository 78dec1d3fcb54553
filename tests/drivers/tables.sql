-- What the driver tests write to.
CREATE TABLE driver_rows (
  id BIGINT NOT NULL,
  k INT,
  v VARCHAR(100),
  PRIMARY KEY (id)
);
CREATE TABLE driver_numbers (
  id BIGINT NOT NULL AUTO_INCREMENT,
  v VARCHAR(100),
  PRIMARY KEY (id)
);
