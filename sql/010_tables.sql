-- The tables that the API reads. Apply with psql, again and again:
--     psql -v ON_ERROR_STOP=1 -1 -f sql/010_tables.sql
--
-- The columns past the blank line of each table are nullable, so that an INSERT or COPY of those above works.

CREATE TABLE IF NOT EXISTS public.anomalies (
    transaction_id text PRIMARY KEY,
    account_id     text NOT NULL,
    -- NaN passes numeric(18,2) and is no JSON number; infinity does not pass.
    amount         numeric(18,2) NOT NULL CHECK (amount <> 'NaN'),
    currency       char(3) NOT NULL,
    score          double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    status         text NOT NULL DEFAULT 'NEW'
                   CHECK (status IN ('NEW', 'INVESTIGATING', 'INVESTIGATED', 'CONFIRMED', 'DISMISSED')),
    reason         text,
    -- Outside these years (and for 'infinity') Postgres' JSON is not ISO 8601.
    detected_at    timestamptz NOT NULL DEFAULT now()
                   CHECK (detected_at >= '0001-01-01 00:00:00+00' AND detected_at < '10000-01-01 00:00:00+00'),
    updated_at     timestamptz NOT NULL DEFAULT now()
                   CHECK (updated_at >= '0001-01-01 00:00:00+00' AND updated_at < '10000-01-01 00:00:00+00'),

    merchant       text,
    channel        text,
    country        char(2),
    device_id      text,
    model_version  text
);

CREATE TABLE IF NOT EXISTS public.transactions (
    transaction_id text PRIMARY KEY,
    account_id     text NOT NULL,
    amount         numeric(18,2) NOT NULL CHECK (amount <> 'NaN'),
    currency       char(3) NOT NULL,
    merchant       text,
    channel        text,
    occurred_at    timestamptz NOT NULL DEFAULT now()
                   CHECK (occurred_at >= '0001-01-01 00:00:00+00' AND occurred_at < '10000-01-01 00:00:00+00'),

    country        char(2),
    city           text,
    device_id      text,
    ip_address     inet,
    user_agent     text,
    description    text
);

-- CREATE INDEX IF NOT EXISTS locks writers out before it looks; asking first keeps a second run out of their way.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        -- Newest first, by each filter of equality. The score stands last in the key, where it is tested within
        -- the index: a page of high scores fetches no row that it does not return.
        ('anomalies_newest',  'public.anomalies (detected_at DESC, transaction_id, score)'),
        ('anomalies_status',  'public.anomalies (status, detected_at DESC, transaction_id, score)'),
        ('anomalies_account', 'public.anomalies (account_id, detected_at DESC, transaction_id, score, status)'),
        -- For scores so rare that the newest-first order would be read to its end.
        ('anomalies_score',   'public.anomalies (score)'),
        ('transactions_account', 'public.transactions (account_id, occurred_at DESC, transaction_id)')
    ) AS indexes(name, definition)
    LOOP
        IF to_regclass(format('public.%I', wanted.name)) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %s', wanted.name, wanted.definition);
        END IF;
    END LOOP;
END
$$;
