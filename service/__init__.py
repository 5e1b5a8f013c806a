"""The HTTP API that reads through the cache."""
