"""A PgBouncer that pools transactions on two server connections."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.ports import free_port
from tests.support.tools import tool
from tests.support.waiting import eventually


@asynccontextmanager
async def transaction_pooler(url: str, room: Path) -> AsyncIterator[str]:
    """Run one before the server of `url`, in a directory of `room`; yield the URL that goes through it."""
    program = tool("pgbouncer")
    parts = urlsplit(url)
    port = free_port()
    directory = room / f"pgbouncer-{port}"
    directory.mkdir(mode=0o755)
    (directory / "users").write_text(f'"{parts.username}" "{parts.password or ""}"\n')
    (directory / "ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port}\n"
        f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\nauth_type=trust\n"
        f"auth_file={directory}/users\npool_mode=transaction\ndefault_pool_size=2\n"
    )
    account = server_account()
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
        [program, str(directory / "ini")],
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        stderr=subprocess.DEVNULL,
    )
    pooled = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))

    async def answers() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(pooled):
                return True
        except psycopg.OperationalError:
            return False

    try:
        await eventually(answers, within=20)
        yield pooled
    finally:
        process.kill()
        process.wait()
