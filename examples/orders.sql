-- The table of the examples. Whoever owns it runs this once, in a database that `anomaly-cache migrate` has prepared.
CREATE TABLE IF NOT EXISTS orders (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer text NOT NULL,
    item     text NOT NULL,
    shipped  boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS orders_of_a_customer ON orders (customer, id);

-- Announce each change of this table, whoever makes it, under the name "orders", with the values of `customer`.
SELECT coherence.watch('public.orders', 'orders', '{customer}');

-- Instead of PUBLIC, name the role that your service logs in as.
GRANT SELECT, UPDATE ON orders TO PUBLIC;

INSERT INTO orders (customer, item) VALUES ('ann', 'pen'), ('ann', 'paper'), ('bob', 'ink');
