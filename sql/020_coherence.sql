-- Schema coherence: tables that announce every change of theirs on the NOTIFY channel "coherence".
-- It knows nothing of the tables it watches. The three files 02*.sql may be applied to any database, again and again:
--     psql -v ON_ERROR_STOP=1 -1 -f 020_coherence.sql -f 021_coherence_watched.sql -f 022_coherence_watch.sql
--
--     SELECT coherence.watch('public.orders', 'orders');   -- announce its changes; again: repair what is broken
--     SELECT * FROM coherence.watched;                     -- is every trigger there, enabled and unchanged?
--     SELECT coherence.invalidate('orders');               -- announce a change that no trigger can see
--     SELECT coherence.unwatch('public.orders');           -- works for a table that is gone, too
--
-- A payload is {"ns": "orders", "op": "insert"}; op is insert, update, delete, truncate or invalidate; ns null means
-- every namespace. Equal payloads of one transaction are delivered once. A table may be watched in several namespaces.
--
-- Who calls watch and unwatch owns the table and may write coherence.tables. Who writes the table needs nothing.
-- NOTIFY is at odds with PREPARE TRANSACTION: Postgres refuses to prepare a transaction that changed a watched table.

CREATE SCHEMA IF NOT EXISTS coherence;

CREATE TABLE IF NOT EXISTS coherence.tables (
    schema_name name NOT NULL,
    table_name  name NOT NULL,
    -- Short, so that a payload stays far below the 8,000 bytes that NOTIFY takes.
    namespace   text COLLATE "C" NOT NULL CHECK (namespace ~ '^[a-z][a-z0-9_-]{0,62}$' AND namespace <> 'coherence'),
    -- The table that had this name when watch was called: another one of the same name is not watched.
    relation    regclass NOT NULL,
    PRIMARY KEY (schema_name, table_name, namespace)
);

-- The trigger function as it was installed, for the audit to compare with and for watch to restore.
CREATE TABLE IF NOT EXISTS coherence.functions (
    name       name PRIMARY KEY,
    definition text NOT NULL,
    source     text NOT NULL
);

-- The trigger function; its arguments are namespaces. It runs with its owner's rights and a search_path of its own,
-- so that it works for any writer. A statement that changed no row announces nothing.
CREATE OR REPLACE FUNCTION coherence.announce() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    namespace text;
    payload   text;
BEGIN
    IF TG_LEVEL = 'STATEMENT' AND TG_OP IN ('INSERT', 'UPDATE') THEN
        IF NOT EXISTS (SELECT FROM new_rows) THEN
            RETURN NULL;
        END IF;
    ELSIF TG_LEVEL = 'STATEMENT' AND TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM old_rows) THEN
            RETURN NULL;
        END IF;
    END IF;
    FOREACH namespace IN ARRAY TG_ARGV LOOP
        payload := jsonb_build_object('ns', namespace, 'op', lower(TG_OP));
        -- NOTIFY refuses 8,000 bytes, and a refusal would fail the writer.
        IF octet_length(payload) > 7500 THEN
            payload := jsonb_build_object('ns', NULL, 'op', lower(TG_OP));
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
