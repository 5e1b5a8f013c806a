"""What the demo leaves for another terminal: psql in its database, and its settings as variables."""

import os
import shlex
import sys
from pathlib import Path

from anomaly_cache.demo.database import API_ROLE, LISTENER_ROLE, NAME
from anomaly_cache.demo.servers import Servers
from anomaly_cache.demo.state import ENVIRONMENT, PSQL, SERVICE, Secrets, write_private
from anomaly_cache.servers.binaries import find_psql


def shortened(path: Path) -> str:
    """Return a path as seen from here, where that is shorter."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)


def write_psql(state: Path, servers: Servers, secrets: Secrets) -> Path:
    """Write a script that is psql in the demo's database; the password is in none of its arguments."""
    binary = find_psql() or "psql"
    service = state / SERVICE
    write_private(
        service,
        f"[demo]\nhost=127.0.0.1\nport={servers.postgres.port}\ndbname={NAME}\nuser=postgres\n"
        f"password={secrets.postgres}\nsslmode=disable\n",
    )
    script = state / PSQL
    write_private(
        script,
        "#!/bin/sh\n# psql in the demo's database, as its owner.\n"
        f'PGSERVICEFILE={shlex.quote(str(service))} PGSERVICE=demo exec {shlex.quote(str(binary))} "$@"\n',
        mode=0o700,
    )
    return script


def write_environment(state: Path, servers: Servers, secrets: Secrets, *, replicas: list[str], listener: str) -> Path:
    """Write a file for a shell to read: the demo's URLs and keys, the settings of its programs, and their PATH."""
    variables = {
        **{f"API{number if number > 1 else ''}": url for number, url in enumerate(replicas, start=1)},
        "LISTENER": listener,
        "KEY": secrets.analyst_key,
        "ADMIN": secrets.admin_key,
        "API_PORT": replicas[0].rpartition(":")[2],
        "API_KEYS": f"analyst={secrets.analyst_key},admin={secrets.admin_key}",
        "DATABASE_URL": servers.postgres.url_for(NAME, user=API_ROLE, password=secrets.api),
        "LISTENER_DATABASE_URL": servers.postgres.url_for(NAME, user=LISTENER_ROLE, password=secrets.listener),
        "REDIS_URL": servers.valkey.url,
    }
    file = state / ENVIRONMENT
    write_private(
        file,
        f"# The demo's addresses, keys and settings, for a shell: . {shlex.quote(str(file))}\n"
        + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        + f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n',
    )
    return file
