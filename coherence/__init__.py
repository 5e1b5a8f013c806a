"""A read cache over Postgres and Redis with a provable bound on staleness."""
