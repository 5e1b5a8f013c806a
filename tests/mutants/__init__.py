"""Builds that are weaker in one point, and what catches each. `make mutants` runs them all; start with catalogue.py."""
