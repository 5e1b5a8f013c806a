-- Schema coherence, third part: coherence.watch and coherence.unwatch.

-- Give `relation` the triggers that coherence.triggers asks for, and no others of ours. True if any had to change.
CREATE OR REPLACE FUNCTION coherence.repair(relation regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted   record;
    stray    name;
    repaired boolean := false;
BEGIN
    FOR stray IN
        SELECT t.tgname
          FROM pg_trigger t LEFT JOIN coherence.triggers w ON w.relation = t.tgrelid AND w.trigger_name = t.tgname
         WHERE t.tgrelid = repair.relation AND NOT t.tgisinternal AND t.tgparentid = 0
           AND CASE WHEN w.relation IS NULL THEN t.tgfoid = to_regprocedure('coherence.announce()')
                    ELSE t.tgconstraint <> 0 END -- the one kind that CREATE OR REPLACE does not replace
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', stray, relation);
        repaired := true;
    END LOOP;
    FOR wanted IN
        SELECT w.*,
               concat_ws(' ', 'REFERENCING', 'OLD TABLE AS ' || w.old_rows, 'NEW TABLE AS ' || w.new_rows)
                   AS transition,
               (SELECT string_agg(quote_literal(a), ', ' ORDER BY n)
                  FROM unnest(w.arguments) WITH ORDINALITY AS u (a, n)) AS list
          FROM coherence.triggers w WHERE w.relation = repair.relation AND w.problem IS NOT NULL
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH %s '
                       'EXECUTE FUNCTION coherence.announce(%s)',
                       wanted.trigger_name, wanted.events, relation,
                       CASE wanted.transition WHEN 'REFERENCING' THEN '' ELSE wanted.transition END,
                       wanted.level, wanted.list);
        IF wanted.fires <> 'O' THEN
            EXECUTE format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', relation,
                           CASE wanted.fires WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, wanted.trigger_name);
        END IF;
        repaired := true;
    END LOOP;
    RETURN repaired;
END
$$;

-- Announce every change of `relation`, its partitions and its inheritance children in `namespace`, from now on. Called
-- again it repairs whatever coherence.watched finds wrong, takes in partitions that came since, and is nothing if all
-- is well. It waits for the table's writers only if a trigger has to be made: set lock_timeout where that matters.
-- `columns` are those by whose values a cache can tell whether a changed row affects an answer: the key, and what
-- queries filter and sort by. Null leaves them as they are, '{}' means none: then any change is one of the whole namespace.
DROP FUNCTION IF EXISTS coherence.watch(regclass, text);
CREATE OR REPLACE FUNCTION coherence.watch(relation regclass, namespace text, columns name[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    root     coherence.tables;
    unknown  name;
    member   regclass;
    source   text;
    repaired boolean;
    trouble  text;
BEGIN
    IF relation IS NULL OR namespace IS NULL THEN
        RAISE EXCEPTION 'coherence.watch needs a table and a namespace' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- One at a time: the triggers of a table name every namespace that it is watched in.
    LOCK TABLE coherence.tables IN SHARE ROW EXCLUSIVE MODE;
    SELECT n.nspname, c.relname, coherence.checked(namespace), c.oid, coalesce(columns, '{}') INTO STRICT root
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = watch.relation;
    SELECT u.c INTO unknown FROM unnest(root.columns) AS u (c)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = root.relation AND a.attname = u.c AND a.attnum > 0 AND NOT a.attisdropped);
    IF FOUND THEN
        RAISE EXCEPTION 'table %.% has no column "%"', root.schema_name, root.table_name, unknown
            USING ERRCODE = 'undefined_column';
    END IF;
    UPDATE coherence.tables t SET relation = root.relation
     WHERE t.schema_name = root.schema_name AND t.table_name = root.table_name AND t.relation <> root.relation;
    repaired := FOUND;
    INSERT INTO coherence.tables AS known SELECT root.* ON CONFLICT ON CONSTRAINT tables_pkey
        DO UPDATE SET columns = excluded.columns
        WHERE watch.columns IS NOT NULL AND known.columns <> excluded.columns;
    repaired := repaired OR FOUND;

    SELECT a.definition INTO source FROM coherence.announcer a WHERE NOT a.unchanged;
    IF FOUND THEN
        EXECUTE source;
        REVOKE ALL ON FUNCTION coherence.announce() FROM PUBLIC;
        repaired := true;
    END IF;
    FOR member IN
        SELECT DISTINCT m.relation FROM coherence.triggers m
         WHERE m.schema_name = root.schema_name AND m.table_name = root.table_name AND m.problem IS NOT NULL
    LOOP
        repaired := coherence.repair(member) OR repaired;
    END LOOP;

    SELECT w.problem INTO trouble FROM coherence.watched w
     WHERE w.table_name = format('%I.%I', root.schema_name, root.table_name) AND w.namespace = root.namespace;
    IF trouble IS NOT NULL THEN
        RAISE EXCEPTION 'cannot watch: %', trouble USING ERRCODE = 'wrong_object_type';
    END IF;
    IF repaired THEN
        -- Nobody announced what changed until now.
        PERFORM coherence.invalidate(root.namespace);
    END IF;
END
$$;

-- What unwatch does, for a caller whose search_path is `path`.
CREATE OR REPLACE FUNCTION coherence.forget(relation text, path name[]) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parts     name[] := parse_ident(relation);
    place     name;
    places    name[];
    roots     oid[];
    member    regclass;
    forgotten boolean;
BEGIN
    IF cardinality(parts) > 2 THEN
        RAISE EXCEPTION 'invalid table name %: expected "table" or "schema.table"', relation
            USING ERRCODE = 'invalid_name';
    END IF;
    LOCK TABLE coherence.tables IN SHARE ROW EXCLUSIVE MODE;
    IF cardinality(parts) = 2 THEN
        place := parts[1];
    ELSE
        -- A watched table of that name in the path, or any table in the path, or the only one that is watched at all.
        SELECT array_agg(DISTINCT t.schema_name) INTO places FROM coherence.tables t WHERE t.table_name = parts[1];
        SELECT s INTO place FROM unnest(path) WITH ORDINALITY AS p(s, n)
         WHERE s = ANY (places) OR to_regclass(format('%I.%I', s, parts[1])) IS NOT NULL
         ORDER BY s = ANY (places) IS TRUE DESC, n LIMIT 1;
        IF place IS NULL AND cardinality(places) > 1 THEN
            RAISE EXCEPTION 'table % is watched in several schemas: %', relation, array_to_string(places, ', ')
                USING ERRCODE = 'ambiguous_alias', HINT = 'Name it as schema.table.';
        END IF;
        place := coalesce(place, places[1]);
        parts := ARRAY[place, parts[1]];
    END IF;

    -- The triggers went along with a table that was renamed.
    SELECT array_agg(t.relation::oid) INTO roots FROM coherence.tables t
     WHERE t.schema_name = parts[1] AND t.table_name = parts[2];
    DELETE FROM coherence.tables t WHERE t.schema_name = parts[1] AND t.table_name = parts[2];
    forgotten := FOUND;
    FOR member IN
        WITH RECURSIVE tree (oid) AS (
            SELECT unnest(roots || (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                     WHERE n.nspname = parts[1] AND c.relname = parts[2]))
            UNION
            SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
        )
        SELECT c.oid FROM tree JOIN pg_class c USING (oid) WHERE c.relkind IN ('r', 'p')
    LOOP
        forgotten := coherence.repair(member) OR forgotten;
    END LOOP;
    IF NOT forgotten THEN
        RAISE NOTICE 'table % is not watched', relation;
    END IF;
    RETURN forgotten;
END
$$;

-- Watch `relation` no longer, in any namespace; true if it was watched. Works for a table that is gone or was renamed,
-- and takes the triggers off a partition that was detached. Without a schema the name is looked up in the search_path.
CREATE OR REPLACE FUNCTION coherence.unwatch(relation text) RETURNS boolean
    LANGUAGE sql
AS $$ SELECT coherence.forget(relation, pg_catalog.current_schemas(true)) $$;

REVOKE ALL ON FUNCTION coherence.repair(regclass), coherence.watch(regclass, text, name[]),
    coherence.forget(text, name[]), coherence.unwatch(text) FROM PUBLIC;
