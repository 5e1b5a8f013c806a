-- What the listener may do: connect, listen (as all who may connect), and look at the audit. It sees no table's rows.
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO anomaly_listener', current_database()); END $$;
GRANT USAGE ON SCHEMA coherence TO anomaly_listener;
GRANT SELECT ON coherence.watched TO anomaly_listener;
GRANT EXECUTE ON FUNCTION coherence.audit() TO anomaly_listener;
