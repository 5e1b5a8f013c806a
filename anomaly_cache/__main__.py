"""`python -m anomaly_cache`."""

from anomaly_cache.cli import main

if __name__ == "__main__":
    main(prog_name="anomaly-cache")
