-- Schema coherence: tables that announce every change of theirs on the NOTIFY channel "coherence".
-- It knows nothing of the tables it watches. The three files 02*.sql may be applied to any database, again and again:
--     psql -v ON_ERROR_STOP=1 -1 -f 020_coherence.sql -f 021_coherence_watched.sql -f 022_coherence_watch.sql
--
--     SELECT coherence.watch('public.orders', 'orders');   -- announce its changes; again: repair what is broken
--     SELECT coherence.watch('public.orders', 'orders', '{id,status,placed_at}');  -- and which rows, by these columns
--     SELECT * FROM coherence.watched;                     -- is every trigger there, enabled and unchanged?
--     SELECT coherence.invalidate('orders');               -- announce a change that no trigger can see
--     SELECT coherence.unwatch('public.orders');           -- works for a table that is gone, too
--
-- A payload is {"ns": "orders", "op": "insert"}; op is insert, update, delete, truncate or invalidate; ns null means
-- every namespace. Equal payloads of one transaction are delivered once. A table may be watched in several namespaces.
-- Where columns are watched and few rows changed, "columns" names them and "rows" has of each row [old, new] values,
-- with null for a row that was not there before or is not there now. Which old row belongs to which new one is not said.
-- Where too many rows changed for that, "overflow" says so: "rows", or "bytes". Whoever may connect to the database may
-- LISTEN, and sees these values: name no column that is confidential.
--
-- Who calls watch and unwatch owns the table and may write coherence.tables. Who writes the table needs nothing.
-- NOTIFY is at odds with PREPARE TRANSACTION: Postgres refuses to prepare a transaction that changed a watched table.

CREATE SCHEMA IF NOT EXISTS coherence;

-- Changes nothing, but locks the view first, as whoever asks it does: in another order, two can wait for each other.
ALTER VIEW IF EXISTS coherence.watched RESET (security_barrier);

CREATE TABLE IF NOT EXISTS coherence.tables (
    schema_name name NOT NULL,
    table_name  name NOT NULL,
    -- Short, so that a payload stays far below the 8,000 bytes that NOTIFY takes.
    namespace   text COLLATE "C" NOT NULL CHECK (namespace ~ '^[a-z][a-z0-9_-]{0,62}$' AND namespace <> 'coherence'),
    -- The table that had this name when watch was called: another one of the same name is not watched.
    relation    regclass NOT NULL,
    -- What a notification tells of each changed row; nothing: it says that rows changed, and not which.
    columns     name[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (schema_name, table_name, namespace)
);
ALTER TABLE coherence.tables ADD COLUMN IF NOT EXISTS columns name[] NOT NULL DEFAULT '{}';

-- The trigger function as it was installed, for the audit to compare with and for watch to restore.
CREATE TABLE IF NOT EXISTS coherence.functions (
    name       name PRIMARY KEY,
    definition text NOT NULL,
    source     text NOT NULL
);

DROP FUNCTION IF EXISTS coherence.picked(jsonb, name[]);

-- The trigger function; its arguments are the columns to tell of, and namespaces. Its settings are its own and it needs
-- no rights, so that it works, and writes values in the same form, for any writer. It has the writer's rights all the
-- same, for a type may bring code of its own by which its values become JSON. A statement that changed no row announces
-- nothing. One that changed many, or one more in a transaction that has, does not say which: so a job of a million rows
-- makes a handful of notifications. Nor does one that changed rows which JSON cannot tell, or which the listener's
-- encoding may lack; and no payload comes near the 8,000 bytes that NOTIFY refuses, and that would fail the writer.
CREATE OR REPLACE FUNCTION coherence.announce() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET extra_float_digits = 1
AS $$
#variable_conflict use_variable
DECLARE
    most_rows CONSTANT integer := 100;
    columns   name[] := TG_ARGV[0];
    namespace text;
    spent     text := current_setting('coherence.rows', true);
    amount    integer := 1;
    old_ones  jsonb[];
    new_ones  jsonb[];
    told      jsonb := '{}';
    head      jsonb;
    payload   text;
BEGIN
    IF TG_LEVEL = 'STATEMENT' AND TG_OP IN ('INSERT', 'UPDATE') THEN
        amount := count(*) FROM (SELECT FROM new_rows LIMIT most_rows + 1) AS r;
    ELSIF TG_LEVEL = 'STATEMENT' AND TG_OP = 'DELETE' THEN
        amount := count(*) FROM (SELECT FROM old_rows LIMIT most_rows + 1) AS r;
    END IF;
    IF amount = 0 THEN
        RETURN NULL;
    END IF;
    IF columns <> '{}' AND TG_OP <> 'TRUNCATE' THEN
        amount := amount + CASE WHEN spent ~ '^[0-9]{1,6}$' THEN spent::integer ELSE 0 END;
        PERFORM set_config('coherence.rows', least(amount, most_rows + 1)::text, true);
        IF amount > most_rows THEN
            told := '{"overflow": "rows"}';
        ELSE
            BEGIN
                IF TG_LEVEL = 'ROW' THEN
                    old_ones := ARRAY[to_jsonb(OLD)];
                    new_ones := ARRAY[to_jsonb(NEW)];
                ELSE
                    IF TG_OP <> 'INSERT' THEN
                        old_ones := array_agg(to_jsonb(r.*)) FROM old_rows AS r;
                    END IF;
                    IF TG_OP <> 'DELETE' THEN
                        new_ones := array_agg(to_jsonb(r.*)) FROM new_rows AS r;
                    END IF;
                END IF;
                told := jsonb_build_object('columns', columns, 'rows', jsonb_agg(jsonb_build_array(
                        CASE WHEN c.o IS NOT NULL THEN (SELECT jsonb_agg(c.o -> u.c::text ORDER BY u.n)
                                                          FROM unnest(columns) WITH ORDINALITY AS u (c, n)) END,
                        CASE WHEN c.n IS NOT NULL THEN (SELECT jsonb_agg(c.n -> u.c::text ORDER BY u.n)
                                                          FROM unnest(columns) WITH ORDINALITY AS u (c, n)) END)))
                    FROM unnest(old_ones, new_ones) AS c (o, n);
            EXCEPTION WHEN OTHERS THEN
                told := '{"overflow": "json"}';
            END;
        END IF;
    END IF;
    FOREACH namespace IN ARRAY TG_ARGV[1:] LOOP
        head := jsonb_build_object('ns', namespace, 'op', lower(TG_OP));
        payload := head || told;
        IF octet_length(payload) > 7500 OR getdatabaseencoding() <> 'UTF8' AND payload ~ '[^ -~]' THEN
            payload := head || '{"overflow": "bytes"}';
        END IF;
        IF octet_length(payload) > 7500 THEN
            payload := head || '{"ns": null}';
        END IF;
        PERFORM pg_notify('coherence', payload);
    END LOOP;
    RETURN NULL;
END
$$;

INSERT INTO coherence.functions AS known (name, definition, source)
SELECT p.proname, pg_get_functiondef(p.oid), p.prosrc FROM pg_proc p WHERE p.oid = 'coherence.announce()'::regprocedure
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, source = excluded.source
    WHERE known.definition <> excluded.definition;

-- `namespace` itself if it is a valid one, or null; an error otherwise.
CREATE OR REPLACE FUNCTION coherence.checked(namespace text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF namespace !~ '^[a-z][a-z0-9_-]{0,62}$' OR namespace = 'coherence' THEN
        RAISE EXCEPTION 'invalid namespace "%": it is a letter of a-z, then at most 62 of a-z, 0-9, _ and -, and it is '
            'not "coherence"', namespace USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN namespace;
END
$$;

-- Announce a change of `namespace` that no trigger sees; null: of every namespace.
CREATE OR REPLACE FUNCTION coherence.invalidate(namespace text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('coherence', jsonb_build_object('ns', coherence.checked(namespace), 'op', 'invalidate')::text);
END
$$;

REVOKE ALL ON FUNCTION coherence.announce(), coherence.checked(text), coherence.invalidate(text) FROM PUBLIC;
