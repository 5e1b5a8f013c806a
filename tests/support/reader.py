"""What somebody has in the shell who reads the documentation with a demo running."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.system import psql_binary
from tests.support.demos import shell
from tests.support.processes import clean_environment

PORTS = {"8000": "API", "8001": "API2", "8081": "LISTENER"}


async def readers_environment(state: Path) -> dict[str, str]:
    """Return what a reader's shell has who has read the demo's variables, and knows its passwords."""
    said = await shell(f". {state}/env && env -0")
    variables = dict(line.split("=", 1) for line in said.split("\0") if line)
    passwords = json.loads((state / "state.json").read_text())
    return {
        **{name: variables[name] for name in variables.keys() - clean_environment().keys()},
        "PATH": f"{variables['PATH']}:{Path(psql_binary()).parent}",
        "OWNER_DATABASE_URL": re.sub(r"//.*@", f"//postgres:{passwords['postgres']}@", variables["DATABASE_URL"]),
        "REDIS_TIMEOUT_MS": "2000",  # a busy machine is no fault
        "API_DB_PASSWORD": passwords["api"],
        "LISTENER_DB_PASSWORD": passwords["listener"],
        "REDIS_PASSWORD": passwords["redis"],
        "VALKEY_PORT": str(urlsplit(variables["REDIS_URL"]).port),
    }


def ports_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return where the addresses that the pages name are in this demo, by their ports."""
    return {port: variables[name].rpartition(":")[2] for port, name in PORTS.items()}
