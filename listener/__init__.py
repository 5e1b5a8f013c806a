"""The daemon that turns Postgres notifications into cache generations."""
