-- The roles of the system's two programs: anomaly_api and anomaly_listener. What they may do is in the next files.
--     psql -v ON_ERROR_STOP=1 -1 -f sql/roles/010_logins.sql -f sql/roles/020_api.sql -f sql/roles/030_listener.sql
--
-- A role may log in once it has a password. Give it one with psql's \password, or here, out of sight of the process
-- list and of the server's log:
--     export PGOPTIONS="-c anomaly_cache.api_password=$API_DB_PASSWORD"
--     PGOPTIONS="$PGOPTIONS -c anomaly_cache.listener_password=$LISTENER_DB_PASSWORD" psql …
-- Without, a role that is there is left as it is, and a new one cannot log in, yet may be granted to others.

DO $$
DECLARE
    wanted   record;
    attempts integer := 0;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('anomaly_api', nullif(current_setting('anomaly_cache.api_password', true), '')),
        ('anomaly_listener', nullif(current_setting('anomaly_cache.listener_password', true), ''))
    ) AS roles(name, password)
    LOOP
        -- Roles belong to the whole cluster: another database of it may be doing the same right now.
        LOOP
            BEGIN
                IF to_regrole(wanted.name) IS NULL THEN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', wanted.name);
                END IF;
                IF wanted.password IS NOT NULL THEN
                    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', wanted.name, wanted.password);
                END IF;
                EXIT;
            EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
                attempts := attempts + 1;
                IF attempts > 100 THEN
                    RAISE;
                END IF;
                PERFORM pg_sleep(0.05);
            END;
        END LOOP;
    END LOOP;
END
$$;
