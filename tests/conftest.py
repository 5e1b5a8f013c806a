"""Fixtures for every test; they live in tests/support."""

pytest_plugins = ["tests.support.fixtures"]
