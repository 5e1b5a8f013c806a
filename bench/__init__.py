"""Measurements of the real system on this machine; no part of what is installed."""
