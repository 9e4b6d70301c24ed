-- Run once, when the volume is new: a role that may only read, and something to read.
\set password `cat /run/secrets/shop_password`
CREATE ROLE signals LOGIN PASSWORD :'password';
CREATE TABLE orders (placed timestamptz NOT NULL, country text, total numeric(10, 2));
CREATE INDEX ON orders (placed);
GRANT SELECT ON orders TO signals;
INSERT INTO orders
SELECT now() - n * interval '7 hours', (ARRAY['fr', 'de', 'es'])[n % 3 + 1], 5 + n
FROM generate_series(1, 30) AS n;
