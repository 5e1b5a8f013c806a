-- What the listener may do: connect, listen (as all who may connect), look at the audit, and see how
-- long others have been in a transaction. It sees no table's rows.
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO anomaly_listener', current_database()); END $$;
GRANT USAGE ON SCHEMA coherence TO anomaly_listener;
GRANT SELECT ON coherence.watched TO anomaly_listener;
GRANT EXECUTE ON FUNCTION coherence.audit(), coherence.sessions() TO anomaly_listener;
