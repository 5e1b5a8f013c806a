"""compose.yaml tried for real, build included: `python -m tests.compose`."""
