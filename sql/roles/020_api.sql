-- What the API may do: read both tables, set the status of an anomaly, announce a change of a namespace by hand,
-- see how long others have been in a transaction.
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO anomaly_api', current_database()); END $$;
GRANT USAGE ON SCHEMA public, coherence TO anomaly_api;
GRANT SELECT ON public.anomalies, public.transactions TO anomaly_api;
GRANT UPDATE (status, updated_at) ON public.anomalies TO anomaly_api;
GRANT SELECT (namespace) ON coherence.tables TO anomaly_api;
GRANT EXECUTE ON FUNCTION coherence.invalidate(text), coherence.sessions() TO anomaly_api;
