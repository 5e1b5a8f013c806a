"""`python -m service` is `anomaly-cache api`."""

from service.command import api

api(prog_name="python -m service")
