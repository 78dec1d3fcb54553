SET NAMES utf8mb4;
SET sql_mode = '', time_zone = '+00:00', group_concat_max_len = 1000000;
INSERT INTO everything
  (id, t, u, m, big, z, dc, f, d, b1, b40, c, v, l1, tx, lt, bn, vb, bl, lb, dt, tm, dtm, ts, y,
   e, s, j, `odd ``name`)
SELECT
  seq * IF(seq % 2, 1, -1) * IF(seq % 7 = 0, 1234567890123, 1),
  seq % 250 - 125, seq * 1000003 % 4294967296, -seq,
  18446744073709551615 - CAST(seq AS UNSIGNED), seq,
  seq * 7919 / 1000003 - 500, seq / 7, 1 / seq * IF(seq % 3, 1, -1e100),
  seq % 2, seq * 123456789 & 0xffffffffff,
  NULLIF(CONCAT('c', seq), 'c5'),
  ELT(seq % 6 + 1, 'it''s', 'back\\slash', 'tab\tnl\n', 'q"q', '€ 李雷 😀', NULL),
  'Grüße',
  IF(seq % 5, REPEAT('text ''\\', seq % 40), NULL),
  IF(seq % 4, '; -- # /* DROP */ \Z\0\r', ''),
  CHAR(seq % 256, 0, 1, 2, 39, 34, 92, 10),
  IF(seq % 3, (SELECT GROUP_CONCAT(CHAR(q.seq USING binary) ORDER BY q.seq SEPARATOR '')
               FROM seq_0_to_255 q), NULL),
  IF(seq % 9, UNHEX(SHA2(seq, 512)), ''),
  IF(seq % 11, NULL, REPEAT(CHAR(0xff, 0, 0x27, 0x5c), 500)),
  '1000-01-01' + INTERVAL seq * 300 DAY,
  SEC_TO_TIME(seq * 37 - 9000) + INTERVAL seq MICROSECOND,
  '2024-02-29 23:59:59.000001' + INTERVAL seq HOUR,
  '2024-03-31 00:30:00.123' + INTERVAL seq HOUR,
  1901 + seq % 200,
  ELT(seq % 4 + 1, 'a', 'it''s', 'ü', NULL), ELT(seq % 4 + 1, 'x', 'x,z', '', NULL),
  IF(seq % 6, CONCAT('{"n":', seq, ',"s":"q\\\\\\"\\u00e9"}'), NULL),
  NULLIF(seq % 10, 3)
FROM (SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_3000) s;
INSERT INTO pair
SELECT seq % 17 - 8, seq * IF(seq % 2, 1, -1), CONCAT('w', seq)
FROM (SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_1500) s;
INSERT INTO badge
SELECT CONCAT(ELT(seq % 5 + 1, 'a''b', 'c\\d', 'é', '李', 'x"y'), seq), seq FROM seq_1_to_800;
INSERT INTO ticket SELECT seq, seq * 31 % 97, CONCAT('s', seq) FROM seq_1_to_900;
INSERT INTO nation VALUES ('DE', 'Deutschland'), ('FR', 'France'), ('CN', '中国');
