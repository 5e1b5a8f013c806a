"""`anomaly-cache demo`: the whole system on one machine, with data and a tour."""
