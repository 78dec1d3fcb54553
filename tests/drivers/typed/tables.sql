-- What the programs read, and what they change and put back.
CREATE TABLE seen (
  id INT NOT NULL PRIMARY KEY,
  k VARCHAR(20) NOT NULL,
  n INT,
  d DECIMAL(10, 2),
  day DATE,
  b VARBINARY(20)
);
CREATE TABLE changed LIKE seen;
