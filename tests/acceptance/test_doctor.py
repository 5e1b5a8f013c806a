"""`anomaly-cache doctor` on a deployment that runs: each process that does not as it should has its line."""

import asyncio
import fcntl
import json
import os
import pty
import re
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from io import FileIO
from itertools import count

import psycopg
import pytest

from anomaly_cache.doctor.command import examine
from anomaly_cache.doctor.finding import Level
from coherence.keys import Names
from coherence.presence import present
from tests.acceptance.conftest import start
from tests.acceptance.system import System
from tests.acceptance.test_operator_commands import command
from tests.support.clinic import KEYS, MEMORY, Clinic
from tests.support.own_servers import OwnPostgres, OwnValkey
from tests.support.processes import Programs, clean_environment
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

COLUMNS = 40
LOCKS = "pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
TAKE_LOCK = f"SELECT pg_advisory_lock(classid::bigint << 32 | objid::bigint) FROM {LOCKS}"  # noqa: S608 - constants
WAITERS = f"SELECT FROM {LOCKS} AND NOT granted"
END_HOLDER = f"SELECT pg_terminate_backend(pid) FROM {LOCKS} AND granted"  # noqa: S608 - constants
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def clinic(
    own_postgres: Callable[..., OwnPostgres], own_redis: Callable[..., OwnValkey], monkeypatch: pytest.MonkeyPatch
) -> Clinic:
    """Servers of the test's own."""
    return Clinic(own_postgres(), own_redis(**MEMORY), monkeypatch)


@pytest.fixture
async def system(clinic: Clinic, programs: Programs) -> AsyncIterator[System]:
    """Two API processes, a listener and a standby on them, as their roles."""
    await clinic.open()
    async with System(programs, clinic.settings["DATABASE_URL"], clinic.valkey.url, "", clinic.settings) as system:
        await start(system)
        await system.start_listener()
        yield system


async def on_terminal(system: System, *words: str) -> tuple[int, str]:
    """Run `anomaly-cache` on a terminal of 40 columns; return its exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    output = os.fdopen(ours, "rb", buffering=0)
    reading = asyncio.create_task(asyncio.to_thread(_to_the_end, output))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "anomaly_cache", *words),
        env={**clean_environment(), **system.settings(API_KEYS=KEYS), "TERM": "xterm", "COLUMNS": ""},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    code = await process.wait()
    text = await reading
    output.close()
    return code, text


def _to_the_end(terminal: FileIO) -> str:
    """Read what comes to a terminal, styles left out; its end is an error."""
    text = b""
    with suppress(OSError):
        while data := terminal.read(4096):
            text += data
    return STYLE.sub("", text.decode())


async def test_a_deployment(system: System, clinic: Clinic) -> None:
    """Everything is looked at, and of a sound one nothing fails; each process that is not as it should be has its line.

    One deployment for all of it, for it takes long to start.
    """
    await _is_sound(system, clinic)
    await _loses_its_triggers(system, clinic)
    await _has_strange_processes(system, clinic)
    await _loses_its_lock(clinic)
    await _loses_its_listeners(system, clinic)
    for replica in system.replicas[:2]:
        await replica.stop()
    await clinic.finds("api processes", Level.WARNING, "none says", "start `anomaly-cache api`")


async def _is_sound(system: System, clinic: Clinic) -> None:
    """As JSON, and on a narrow terminal, where nothing is cut off; a warning counts as a failure if that is wanted."""
    await clinic.finds("api processes", Level.OK, "2")
    await clinic.finds("listeners", Level.OK, "1 active, 1 on standby")
    looked_at = {
        *("settings", "api keys", "postgres", "primary", "connections", "notification queue", "long transaction"),
        *("triggers of public.anomalies", "triggers of public.transactions", "indexes", "listen"),
        *("rights of the api", "rights of the listener", "redis", "redis eviction", "redis memory"),
        *("redis persistence", "redis rights", "lease", "listeners", "api processes", "versions"),
    }
    code, out, _ = await command(system, "doctor", "--json", API_KEYS=KEYS)
    found = json.loads(out)
    assert code == 0
    assert looked_at <= {each["check"] for each in found}
    assert all(set(each) == {"check", "level", "detail", "remedy"} for each in found)
    (wrong,) = (each for each in found if each["level"] != Level.OK)
    assert (wrong["check"], wrong["level"]) == ("redis rights", Level.WARNING)

    code, text = await on_terminal(system, "doctor", "--strict")
    assert code == 1
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert "".join(f"{wrong['check']}: {wrong['detail']} → {wrong['remedy']}".split()) in "".join(text.split())
    assert text.splitlines()[-1] == f"{len(found) - 1} ok, 1 warning, 0 failing"


async def _loses_its_triggers(system: System, clinic: Clinic) -> None:
    """The table, the lease, the listener and the API processes have a line, in a pipe a whole one; the remedy heals."""
    await clinic.sql("ALTER TABLE anomalies DISABLE TRIGGER USER")
    failing = await clinic.finds("triggers of public.anomalies", Level.FAILING, "disabled")
    code, out, err = await command(system, "doctor", API_KEYS=KEYS)
    assert code == 1
    assert "\t".join(("failing", failing.check, failing.detail, failing.remedy or "")) in out.splitlines()
    assert all(line.count("\t") == 3 for line in out.splitlines())
    assert err.startswith(f"{sum(line.startswith(Level.OK) for line in out.splitlines())} ok, ")
    await clinic.finds("lease", Level.FAILING, "nothing is cached", "is disabled")
    await clinic.finds("listener ", Level.FAILING, "is disabled", failing.remedy or "")
    await clinic.finds("api ", Level.FAILING, "no lease")
    await clinic.sql(failing.remedy or "")
    await clinic.heals("l")
    await clinic.heals("api ")


async def _has_strange_processes(system: System, clinic: Clinic) -> None:
    """One that is slow to hear of changes and has a bound of its own, and one of another version."""
    async with Proxy(clinic.valkey.url) as proxy:
        other = await system.start_replica(
            REDIS_URL=proxy.url, REDIS_TIMEOUT_MS="5000", CACHE_MAX_STALENESS_SECONDS="5"
        )
        await clinic.finds("bound", Level.FAILING, "2 s, 5 s", "set CACHE_MAX_STALENESS_SECONDS=2")
        proxy.latency = 0.3
        await clinic.sql("SELECT coherence.invalidate('anomalies')")
        await clinic.finds("api processes", Level.OK, "3; the latest change took 3")
        proxy.latency = 0.0
        await clinic.finds(f"api {socket.gethostname()}:{other.pid}", Level.WARNING, "ms to it", "slow network")
        await other.stop()
    await clinic.heals("bound")

    said = (await present(system.redis, Names(), 20.0))[0].model_copy(update={"process": "old", "version": "0.0.9"})
    await system.redis.set(Names().process("old"), said.model_dump_json(), ex=30)
    await system.redis.sadd(Names().processes, "old")
    await clinic.finds("versions", Level.WARNING, "processes of 0.0.9", "install the same everywhere")
    await system.redis.delete(Names().process("old"))
    await clinic.heals("versions")


async def _loses_its_lock(clinic: Clinic) -> None:
    """Somebody else's session holds what tells which of the listeners is the active one."""
    connect = partial(psycopg.AsyncConnection.connect, clinic.postgres.url, autocommit=True)
    async with await connect() as thief, await connect() as observer:
        taking = asyncio.create_task(thief.execute(TAKE_LOCK))

        async def waits() -> bool:
            return (await observer.execute(WAITERS)).rowcount == 1

        await eventually(waits)
        await observer.execute(END_HOLDER)
        await taking
        await clinic.finds("listeners", Level.FAILING, "none is active, 2 on standby", "see who holds their lock")
    await clinic.heals("listeners")


async def _loses_its_listeners(system: System, clinic: Clinic) -> None:
    """One, and the other; Redis is set back, loses its generation, and all is well when a listener goes on."""
    await system.listeners[0].stop()
    await clinic.finds("listeners", Level.WARNING, "none on standby", "start a second `anomaly-cache listener`")
    system.listeners[1].pause()
    earlier = count(await system.generation() - 10**6, -1)

    async def ahead() -> bool:
        await system.redis.set(Names().generation, next(earlier), px=20_000)
        return any("is ahead of Redis" in each.detail for each in await examine(["api", "listener"]))

    await eventually(ahead, every=0.5)
    await system.redis.delete(Names().generation)
    await clinic.finds("lease", Level.FAILING, "nothing is cached", "start `anomaly-cache listener`")
    await clinic.finds("listeners", Level.FAILING, "none is there", "start `anomaly-cache listener`")
    await clinic.finds("api ", Level.FAILING, "no lease")
    system.listeners[1].resume()
    await clinic.heals("lease")
