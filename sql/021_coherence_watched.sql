-- Schema coherence, second part: are the triggers of every watched table there, enabled and unchanged?
-- All of this reads catalogs only: whoever holds a lock on a watched table does not delay it.

-- The trigger function as it should be, and whether the one that is there is it.
CREATE OR REPLACE VIEW coherence.announcer AS
SELECT f.definition, p.oid, p.xmin AS version,
       coalesce(NOT p.prosecdef AND p.prosrc = f.source AND p.proconfig
                = '{"search_path=pg_catalog, pg_temp",TimeZone=UTC,extra_float_digits=1}', false) AS unchanged
  FROM coherence.functions f
  LEFT JOIN pg_catalog.pg_proc p ON p.oid = to_regprocedure('coherence.announce()')
 WHERE f.name = 'announce';

-- Every table whose rows show through a watched one (itself, its partitions, its inheritance children), with every
-- trigger that it should have. `problem` is what is wrong with the trigger; `mark` changes whenever the table was
-- renamed, moved, rewritten or attached, or the trigger or its function touched, even if all was put back since: each
-- leaves its transaction's id in a catalog.
CREATE OR REPLACE VIEW coherence.triggers AS
WITH RECURSIVE tree AS (
    SELECT t.schema_name, t.table_name, t.namespace, t.columns, c.oid AS relation
      FROM coherence.tables t
      JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema_name
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name
    UNION
    SELECT tree.schema_name, tree.table_name, tree.namespace, tree.columns, i.inhrelid
      FROM tree
      JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.relation
), shape (trigger_name, events, level, type_bits, old_rows, new_rows, fires) AS (VALUES
    ('coherence_insert'::name, 'INSERT',   'STATEMENT',  4, NULL::name, 'new_rows'::name, 'O'::"char"),
    ('coherence_update',       'UPDATE',   'STATEMENT', 16, 'old_rows', 'new_rows',       'O'),
    ('coherence_delete',       'DELETE',   'STATEMENT',  8, 'old_rows', NULL,             'O'),
    -- Replication applies a TRUNCATE with statement triggers, of which only ALWAYS and REPLICA ones fire there.
    ('coherence_truncate',     'TRUNCATE', 'STATEMENT', 32, NULL,       NULL,             'A'),
    -- Replication applies rows with row triggers alone: this one fires there, and nowhere else.
    ('coherence_replica', 'INSERT OR UPDATE OR DELETE', 'ROW', 29, NULL, NULL,            'R')
), told AS (
    SELECT relation, array_agg(DISTINCT c ORDER BY c) AS columns FROM tree, unnest(columns) AS c GROUP BY relation
), arguments AS (
    -- A partition may be watched in more namespaces than its parent.
    SELECT relation, coalesce(min(told.columns), '{}') AS columns,
           array_agg(DISTINCT namespace ORDER BY namespace) AS namespaces,
           -- As pg_trigger keeps a trigger's arguments: each ended by a zero byte.
           convert_to(coalesce(min(told.columns), '{}')::text, 'UTF8') || '\x00'::bytea
               || string_agg(DISTINCT convert_to(namespace, 'UTF8') || '\x00'::bytea, ''::bytea
                             ORDER BY convert_to(namespace, 'UTF8') || '\x00'::bytea) AS bytes
      FROM tree LEFT JOIN told USING (relation) GROUP BY relation
), member AS MATERIALIZED (
    SELECT tree.*, format('%I.%I', n.nspname, c.relname) AS name, c.relkind,
           array_prepend(a.columns::text, a.namespaces) AS arguments, a.bytes,
           -- A partition that is being detached concurrently is out of sight before it is out of pg_inherits.
           concat_ws(' ', c.xmin, (SELECT string_agg(i.xmin::text, ' ' ORDER BY i.inhparent)
                                     FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)) AS version,
           CASE WHEN c.relkind IN ('v', 'm') THEN 'is a view: watch the tables that it reads'
                WHEN c.relkind = 'f' THEN 'is a foreign table: another server changes it unseen'
                WHEN c.relkind NOT IN ('r', 'p') THEN 'is not a table'
                WHEN c.relpersistence = 't' THEN 'is a temporary table: only its own session sees it'
                WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'is a system table: it takes no triggers'
           END AS obstacle
      FROM tree
      JOIN arguments a USING (relation)
      JOIN pg_catalog.pg_class c ON c.oid = tree.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT m.schema_name, m.table_name, m.namespace, m.relation, m.name, m.obstacle, m.arguments, s.*,
       CASE WHEN s.trigger_name IS NULL THEN NULL
            WHEN t.oid IS NULL THEN 'is missing'
            WHEN t.tgfoid <> f.oid OR t.tgtype <> s.type_bits OR t.tgargs <> m.bytes
              OR t.tgoldtable IS DISTINCT FROM s.old_rows OR t.tgnewtable IS DISTINCT FROM s.new_rows
              OR t.tgqual IS NOT NULL OR t.tgattr <> '' OR t.tgconstraint <> 0 OR t.tgparentid <> 0
            THEN 'was changed'
            WHEN t.tgenabled = 'D' THEN 'is disabled'
            WHEN t.tgenabled <> s.fires THEN 'is enabled for the wrong kind of session'
       END AS problem,
       concat_ws(' ', m.relation, m.version, t.oid, t.xmin, t.tgenabled, f.oid, f.version) AS mark
  FROM member m
  -- Rows live in ordinary tables: a partitioned one sees statements only.
  LEFT JOIN shape s ON m.obstacle IS NULL AND (m.relkind = 'r' OR s.level = 'STATEMENT')
  LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = m.relation AND t.tgname = s.trigger_name
  LEFT JOIN coherence.announcer f ON true;

-- What coherence.watched shows. It is asked several times a second, and planning it takes longer than running it: a
-- function plans once in a session.
CREATE OR REPLACE FUNCTION coherence.audit()
    RETURNS TABLE (table_name text, namespace text, ok boolean, problem text, remedy text, relations integer,
                   fingerprint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH trigger AS MATERIALIZED (
        SELECT * FROM coherence.triggers
    ), root AS MATERIALIZED (
        SELECT t.*, t.xmin AS mark, format('%I.%I', t.schema_name, t.table_name) AS name, present.oid AS present
          FROM coherence.tables t
          LEFT JOIN (pg_catalog.pg_class present JOIN pg_catalog.pg_namespace n ON n.oid = present.relnamespace)
               ON n.nspname = t.schema_name AND present.relname = t.table_name
    ), problem (schema_name, table_name, namespace, text, reparable) AS (
        SELECT r.schema_name, r.table_name, r.namespace,
               concat('table ', r.name, CASE WHEN r.present IS NULL THEN ' does not exist: watch it again when it does'
                                             ELSE ' is not the one that was watched' END,
                      ' (that one is ' || (pg_identify_object('pg_catalog.pg_class'::regclass, r.relation, 0)).identity
                      || ' now)'),
               r.present IS NOT NULL
          FROM root r WHERE r.present IS DISTINCT FROM r.relation
        UNION ALL
        SELECT r.schema_name, r.table_name, r.namespace, 'function coherence.announce() is missing or was changed', true
          FROM root r WHERE (SELECT unchanged FROM coherence.announcer) IS NOT TRUE
        UNION ALL
        SELECT t.schema_name, t.table_name, t.namespace,
               coalesce(t.name || ' ' || t.obstacle, format('trigger %I of %s %s', t.trigger_name, t.name, t.problem)),
               t.obstacle IS NULL
          FROM trigger t WHERE t.obstacle IS NOT NULL OR t.problem IS NOT NULL
        UNION ALL
        SELECT t.schema_name, t.table_name, t.namespace,
               format('%s can be changed through its parent %s, and fires no trigger then: watch the parent',
                      t.name, (pg_identify_object('pg_catalog.pg_class'::regclass, i.inhparent, 0)).identity), false
          FROM trigger t
          JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.relation
         WHERE NOT EXISTS (SELECT FROM trigger p WHERE p.relation = i.inhparent AND p.namespace = t.namespace)
    ), problems AS MATERIALIZED (
        SELECT schema_name, table_name, namespace, array_agg(DISTINCT text ORDER BY text) AS texts,
               bool_and(reparable) AS reparable
          FROM problem GROUP BY schema_name, table_name, namespace
    ), marks AS MATERIALIZED (
        SELECT schema_name, table_name, namespace, count(DISTINCT relation)::integer AS relations,
               string_agg(mark, ',' ORDER BY relation, trigger_name) AS marks
          FROM trigger GROUP BY schema_name, table_name, namespace
    )
    SELECT r.name AS table_name, r.namespace, p.texts IS NULL AS ok,
           array_to_string(p.texts[:5], '; ') || CASE WHEN cardinality(p.texts) > 5 THEN '; and more' ELSE '' END
               AS problem,
           CASE WHEN p.reparable THEN format('SELECT coherence.watch(%L, %L)', r.name, r.namespace) END AS remedy,
           coalesce(m.relations, 0) AS relations,
           md5(concat_ws(' ', r.mark, r.relation::oid, m.marks, (
               SELECT string_agg(a.xmin::text, ' ' ORDER BY a.attnum)
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = r.relation AND a.attnum > 0), (
               SELECT string_agg(concat_ws(' ', y.oid, y.xmin), ' ' ORDER BY y.oid)
                 FROM pg_catalog.pg_policy y WHERE y.polrelid = r.relation))) AS fingerprint
      FROM root r
      LEFT JOIN problems p USING (schema_name, table_name, namespace)
      LEFT JOIN marks m USING (schema_name, table_name, namespace)
     ORDER BY 1, 2;
END
$$;

-- One row for each watched table and namespace.
--   problem      why it is not ok, in words; remedy: what to run then, if that is all it takes
--   relations    how many tables that is, partitions and children included
--   fingerprint  differs from an earlier one if in between anything happened that no trigger announces: a trigger or
--                its function touched, the table swapped or rewritten, a column or a policy for its rows altered, a
--                partition come or gone; also if all was put back, save that a partition or policy came and went again
-- Whoever may read it needs EXECUTE on coherence.audit() besides.
CREATE OR REPLACE VIEW coherence.watched AS SELECT * FROM coherence.audit();

-- Who is connected, and for how many seconds each has been in its transaction. Of other users' sessions Postgres tells
-- that to those alone who may read their statements, too; so this is asked with its owner's rights, and has none.
CREATE OR REPLACE FUNCTION coherence.sessions()
    RETURNS TABLE (pid integer, application text, state text, seconds integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::integer
      FROM pg_stat_activity
     WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
       AND pid <> pg_backend_pid()
$$;

REVOKE ALL ON FUNCTION coherence.audit(), coherence.sessions() FROM PUBLIC;
