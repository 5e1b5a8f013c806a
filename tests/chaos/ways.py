"""The ways in which rows change: scripts of SQL, each of which gives some rows their next version."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from tests.chaos.writer import ACCOUNT, KEYS, STATUSES

ROW = (KEYS[-1],)
WATCH = "SELECT coherence.watch('public.anomalies', 'anomalies')"
PHRASES = {
    ":update": "UPDATE anomalies SET :set WHERE transaction_id = :key",
    ":delete": "DELETE FROM anomalies WHERE transaction_id = :key",
    ":insert": "INSERT INTO anomalies (:columns) VALUES :rows",
    ":merge": "MERGE INTO anomalies a USING (VALUES (:key)) AS v (id) ON a.transaction_id = v.id",
    ":as_replica": "SET session_replication_role = replica",
    ":off": "ALTER TABLE anomalies DISABLE TRIGGER coherence_update",
    ":on": "ALTER TABLE anomalies ENABLE TRIGGER coherence_update",
    ":next": "CREATE TABLE next (LIKE anomalies INCLUDING ALL); INSERT INTO next SELECT * FROM anomalies;"
    " UPDATE next SET :set WHERE transaction_id = :key",
    ":swap": "ALTER TABLE anomalies RENAME TO old; ALTER TABLE next RENAME TO anomalies",
    ":cause": "INSERT INTO causes VALUES ('M', :reason, :status)",
    ":create": "CREATE TABLE anomalies (LIKE shape INCLUDING ALL)",
    ":shape": "CREATE TEMP TABLE shape (LIKE anomalies INCLUDING ALL); INSERT INTO shape SELECT * FROM anomalies;"
    " UPDATE shape SET :set WHERE transaction_id = :key",
    ":place": "FOR VALUES FROM ('CHAOS-3') TO (MAXVALUE)",
    ":columns": "transaction_id, account_id, amount, currency, score, status, reason, detected_at",
    ":set": "reason = :reason, status = :status",
}

SURROUNDINGS = """
-- Rows whose reason and status another table decides, where they name a merchant.
CREATE TABLE causes (merchant text, reason text, status text, PRIMARY KEY (merchant, reason, status));
ALTER TABLE anomalies ADD FOREIGN KEY (merchant, reason, status) REFERENCES causes ON UPDATE CASCADE ON DELETE CASCADE;
CREATE TABLE orders (key text, reason text, status text);
CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE anomalies SET reason = NEW.reason, status = NEW.status WHERE transaction_id = NEW.key;
    RETURN NULL;
END
$$;
CREATE TRIGGER pass_on AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pass_on();
CREATE VIEW shown AS SELECT * FROM anomalies;
-- A writer who may do nothing but write, and in whose search_path lie functions that do nothing.
CREATE ROLE poor LOGIN;
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO poor;
GRANT SELECT, UPDATE ON anomalies TO poor;
CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ $$;
CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'nothing' $$;
CREATE FUNCTION trap.octet_length(text) RETURNS integer LANGUAGE sql AS $$ SELECT 0 $$;
CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
CREATE TABLE trap.new_rows (a integer);
CREATE TABLE trap.old_rows (a integer)
"""


@dataclass(frozen=True)
class Way:
    """How rows change: transactions, one after the other.

    In a script stand PHRASES; `:key` is the row, `:reason` and `:status` are what its version sets, and `:rows` are the
    values of all rows. `copies`: the last transaction is a COPY, and is fed with them.
    `gone`: the rows are no more. `then` mends what the change broke, after it has been shown.
    """

    name: str
    script: tuple[str, ...]
    keys: Sequence[str] = ROW
    gone: bool = False
    copies: bool = False
    then: str = ""

    async def commit(self, connection: psycopg.AsyncConnection, version: int) -> None:
        """Run the script on a connection in autocommit."""
        texts = [self._filled_in(transaction, version).encode() for transaction in self.script]
        for text in texts[:-1] if self.copies else texts:
            await connection.execute(text)
        if self.copies:
            async with connection.cursor() as cursor, cursor.copy(texts[-1]) as copy:
                for key in self.keys:
                    await copy.write_row(_fields(key, version))

    def _filled_in(self, text: str, version: int) -> str:
        for name, value in {
            **PHRASES,
            ":reason": f"'{version}'",
            ":status": f"'{STATUSES[version % 2]}'",
            ":key": f"'{self.keys[0]}'",
            ":rows": ", ".join(_values(key, version) for key in self.keys),
        }.items():
            text = text.replace(name, value)
        return text


def _fields(key: str, version: int) -> tuple[str, ...]:
    minute = 10 + KEYS.index(key)
    return (key, ACCOUNT, "1", "EUR", "0.9", STATUSES[version % 2], str(version), f"2026-01-01 00:{59 - minute}+00")


def _values(key: str, version: int) -> str:
    return "(" + ", ".join(f"'{field}'" for field in _fields(key, version)) + ")"


TABLE_WRITES = (
    Way("UPDATE", (":update",)),
    Way("DELETE", (":delete",), gone=True),
    Way("INSERT", (":insert",)),
    Way("ON CONFLICT", (":insert ON CONFLICT (transaction_id) DO UPDATE SET reason = :reason, status = :status",)),
    Way("MERGE", (":merge WHEN MATCHED THEN UPDATE SET :set",)),
    Way("MERGE that deletes", (":merge WHEN MATCHED THEN DELETE",), gone=True),
    Way("MERGE that inserts", (":merge WHEN NOT MATCHED THEN INSERT (:columns) VALUES :rows",)),
    Way("TRUNCATE", ("TRUNCATE anomalies",), keys=KEYS, gone=True),
    Way("COPY", ("COPY anomalies (:columns) FROM STDIN",), keys=KEYS, copies=True),
)
STATEMENTS = (
    *TABLE_WRITES,
    Way("a CTE", ("WITH changed AS (:update RETURNING *) SELECT count(*) FROM changed",)),
    Way("a view", ("UPDATE shown SET :set WHERE transaction_id = :key",)),
    Way("a function called from a trigger", ("INSERT INTO orders VALUES (:key, :reason, :status)",)),
    Way(
        "a role with the least rights",
        (
            "SET ROLE poor; SET search_path = trap, pg_catalog, public; CREATE TEMP TABLE new_rows (a integer)",
            "UPDATE anomalies SET :set WHERE transaction_id OPERATOR(pg_catalog.=) :key",
        ),
    ),
    Way(
        "a row that another decides about",
        (":cause; UPDATE anomalies SET merchant = 'M', :set WHERE transaction_id = :key",),
    ),
    Way("ON UPDATE CASCADE", ("UPDATE causes SET :set",)),
    Way("ON DELETE CASCADE", ("DELETE FROM causes",), gone=True),
    Way("INSERT again", (":insert",)),
)

UNANNOUNCED = (
    Way("UPDATE as a replica", (":as_replica", ":update")),
    Way("DELETE as a replica", (":as_replica", ":delete"), gone=True),
    Way("INSERT as a replica", (":as_replica", ":insert")),
    Way("TRUNCATE as a replica", (":as_replica", "TRUNCATE anomalies"), keys=KEYS, gone=True),
    Way("COPY as a replica", (":as_replica", "COPY anomalies (:columns) FROM STDIN"), keys=KEYS, copies=True),
    Way("a trigger off", (":off", ":update", ":on")),
    Way("a trigger off for one transaction", (":off; :update; :on",)),
    Way("all triggers off", ("ALTER TABLE anomalies DISABLE TRIGGER ALL", ":update"), then=WATCH),
    Way("a trigger dropped", ("DROP TRIGGER coherence_update ON anomalies; :update",), then=WATCH),
    Way(
        "a column rewritten",
        ("ALTER TABLE anomalies ALTER reason TYPE text USING :reason, ALTER status TYPE text USING :status",),
        keys=KEYS,
    ),
)

TABLES = (
    Way(
        "DROP and CREATE",
        (":shape; DROP TABLE anomalies; :create; INSERT INTO anomalies SELECT * FROM shape",),
        then=WATCH,
    ),
    Way("a table swapped in", (":next; :swap",), then=WATCH + "; DROP TABLE old"),
    Way(
        "a watched table swapped in",
        (":next; SELECT coherence.watch('next', 'anomalies'); :swap",),
        then="SELECT coherence.unwatch('next'); DROP TABLE old; " + WATCH,
    ),
    Way("UPDATE", (":update",)),
)

PARTITIONED = """
ALTER TABLE anomalies RENAME TO plain;
CREATE TABLE anomalies (LIKE plain INCLUDING ALL) PARTITION BY RANGE (transaction_id);
CREATE TABLE low PARTITION OF anomalies FOR VALUES FROM (MINVALUE) TO ('CHAOS-3');
CREATE TABLE high PARTITION OF anomalies FOR VALUES FROM ('CHAOS-3') TO (MAXVALUE);
INSERT INTO anomalies SELECT * FROM plain;
DROP TABLE plain;
SELECT coherence.watch('public.anomalies', 'anomalies')
"""
ATTACH = Way(
    "ATTACH of one that was there", ("UPDATE high SET :set", "ALTER TABLE anomalies ATTACH PARTITION high :place")
)
PARTITIONS = (
    Way("UPDATE of the whole", (":update",)),
    Way("UPDATE of a partition", ("UPDATE high SET :set",)),
    Way("DELETE from a partition", ("DELETE FROM high",), gone=True),
    Way("COPY into a partition", ("COPY high (:columns) FROM STDIN",), copies=True),
    Way("UPDATE of a partition as a replica", (":as_replica", "UPDATE high SET :set")),
    Way("TRUNCATE of a partition", ("TRUNCATE high",), gone=True),
    Way("INSERT into the whole", (":insert",)),
    Way("DETACH", ("ALTER TABLE anomalies DETACH PARTITION high",), gone=True),
    ATTACH,
    Way("DROP of a partition", ("CREATE TABLE new (LIKE high INCLUDING ALL); DROP TABLE high",), gone=True),
    Way(
        "ATTACH of one that is new",
        ("INSERT INTO new (:columns) VALUES :rows", "ALTER TABLE anomalies ATTACH PARTITION new :place"),
        then=WATCH,
    ),
    Way("UPDATE of the new partition", ("UPDATE new SET :set",)),
)

NO_CHANGES = (
    "BEGIN; UPDATE anomalies SET status = 'CONFIRMED'; ROLLBACK",
    "BEGIN; SAVEPOINT before; DELETE FROM anomalies; ROLLBACK TO before; COMMIT",
    "DO $$ BEGIN DELETE FROM anomalies; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'nobody'",
    "DELETE FROM anomalies WHERE transaction_id = 'nobody'",
    "INSERT INTO anomalies SELECT * FROM anomalies ON CONFLICT DO NOTHING",
    "SELECT FROM anomalies FOR UPDATE",
    "CREATE TABLE unwatched AS SELECT * FROM anomalies",
    "UPDATE unwatched SET status = 'CONFIRMED'; DROP TABLE unwatched",
    "VACUUM ANALYZE anomalies",
    "CREATE INDEX ON anomalies (merchant)",
)
