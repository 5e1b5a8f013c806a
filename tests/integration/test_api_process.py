"""The API as a process: how it starts, how it ends, and what its exit code says."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable

import psycopg
import pytest

from service.protocol import HEAD_LIMIT, URL_LIMIT
from tests.support.api import ANOMALIES, run_to_end
from tests.support.own_servers import OwnPostgres
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Programs
from tests.support.waiting import eventually

KEYS = f"analyst={ANALYST_KEY},admin={ADMIN_KEY}"


@pytest.fixture
def nursery() -> None:
    """None: here programs start as their users start them."""


def test_help_needs_no_settings() -> None:
    """It names the settings, the routes and the exit codes."""
    help_ = run_to_end("-m", "service", "--help")
    assert help_.returncode == 0
    for word in ("DATABASE_URL", "API_KEYS", "CACHE_MAX_STALENESS_SECONDS", "/readyz", "Exit codes", "--workers"):
        assert word in help_.stdout


def test_wrong_settings_are_a_line_each_and_exit_code_2() -> None:
    """No traceback, no secret."""
    ended = run_to_end(
        "-m", "service", API_KEYS="admin=s3cret", DB_POOL_SIZE="lots", DATABASE_URL="mysql://u:s3cret@h/d"
    )
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["DATABASE_URL", "DB_POOL_SIZE", "API_KEYS"]
    assert "s3cret" not in ended.stdout + ended.stderr


def test_a_taken_port_is_one_line_and_exit_code_1() -> None:
    """It names the variables and the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_to_end("-m", "service", DATABASE_URL="postgresql://h/d", API_KEYS=KEYS, API_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    for word in ("API_HOST", "API_PORT", f"127.0.0.1:{port}", "in use"):
        assert word in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_well(programs: Programs, environment: dict[str, str], number: signal.Signals) -> None:
    """Exit code 0, though a client holds an idle connection."""
    api = await programs.api(wait=True, **environment)
    async with api.client() as client:
        assert (await client.get(ANOMALIES)).status_code == 200
        started = time.monotonic()
        api.child.send(number)
        assert await api.ended(within=5) == 0
    assert time.monotonic() - started < 3
    await api.logged("api stopped", exit_code=0)


async def test_what_is_in_flight_is_finished(programs: Programs, environment: dict[str, str], filled_url: str) -> None:
    """After SIGTERM nobody new is let in, and who is in gets an answer."""
    api = await programs.api(wait=True, **environment)
    async with api.client() as client, await psycopg.AsyncConnection.connect(filled_url) as connection:
        await connection.execute("LOCK TABLE anomalies")
        slow = asyncio.create_task(client.get(ANOMALIES))
        await eventually(lambda: _is_waited_for(filled_url))
        api.child.send(signal.SIGTERM)
        await eventually(lambda: _refuses(api.port))
        assert not slow.done()
        await connection.rollback()
        assert (await slow).status_code == 200
    assert await api.ended(within=5) == 0


async def test_a_second_signal_waits_for_nobody(
    programs: Programs, own_postgres: Callable[..., OwnPostgres], environment: dict[str, str]
) -> None:
    """Who is in a hurry says it twice. Even with Postgres hung it is over in time."""
    postgres = own_postgres()
    api = await programs.api(
        wait=False, **{**environment, "DATABASE_URL": postgres.url, "DB_STATEMENT_TIMEOUT_MS": "30000"}
    )
    await api.ready("/livez")
    postgres.pause()
    async with api.client() as client:
        slow = asyncio.create_task(client.put(f"{ANOMALIES}/a", json={"new_status": "NEW"}))
        await asyncio.wait([slow], timeout=0.3)
        api.child.send(signal.SIGTERM)
        await eventually(lambda: _refuses(api.port))
        api.child.send(signal.SIGTERM)
        assert await api.ended(within=4) == 0
        await asyncio.gather(slow, return_exceptions=True)
    postgres.resume()


async def test_a_request_without_end_is_cut_off(programs: Programs, environment: dict[str, str]) -> None:
    """One SIGTERM is enough to be gone within 10 s, whatever clients do."""
    api = await programs.api(wait=True, **environment)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"PUT {ANOMALIES}/a HTTP/1.1\r\nhost: x\r\nx-api-key: {ANALYST_KEY}\r\ncontent-type: application/json\r\n"
    writer.write(head.encode() + b"content-length: 100\r\n\r\n{")
    await writer.drain()
    started = time.monotonic()
    api.child.send(signal.SIGTERM)
    assert await api.ended(within=10) == 0
    assert time.monotonic() - started < 9
    writer.close()
    del reader


async def test_a_dead_background_task_ends_the_process(environment: dict[str, str]) -> None:
    """With an exit code that has it started again, and a line that says which one it was."""
    script = (
        "import asyncio, signal, sys, threading\n"
        "from coherence import logs\n"
        "from service.server import serve\n"
        "from service.settings import ServiceSettings\n"
        "def kill_one(*_):\n"
        "    for task in asyncio.all_tasks():\n"
        "        if task.get_name() == 'coherence':\n"
        "            task.cancel()\n"
        "settings = ServiceSettings.load()\n"
        "logs.configure(settings.log_level, settings.log_format)\n"
        "signal.signal(signal.SIGUSR1, kill_one)\n"
        "threading.Timer(1.0, signal.raise_signal, [signal.SIGUSR1]).start()\n"
        "sys.exit(serve(settings))\n"
    )
    ended = await asyncio.to_thread(run_to_end, "-c", script, API_KEYS=KEYS, API_PORT="0", **environment)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert '"task": "coherence"' in ended.stdout


async def test_it_starts_without_postgres_and_redis(programs: Programs, environment: dict[str, str]) -> None:
    """The order of starts does not matter."""
    nowhere = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0"}
    api = await programs.api(wait=False, **{**environment, **nowhere})
    await api.ready("/livez")
    async with api.client() as client:
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get(ANOMALIES)).status_code == 503
    lines = api.logs("database lost")
    assert len(lines) == 1
    await api.stop()


async def test_the_log_holds_no_secrets_and_no_requests(programs: Programs, environment: dict[str, str]) -> None:
    """Whatever goes on."""
    api = await programs.api(wait=True, **environment, LOG_LEVEL="DEBUG")
    async with api.client() as client:
        await client.get(ANOMALIES)
        before = len(api.logs())
        for _ in range(50):
            await client.get(ANOMALIES)
            await client.get(ANOMALIES, headers={"X-API-Key": "wrong-key-0123456789"})
        after = api.logs()
    assert len(after) - before < 10
    text = api.child.log.read_text()
    for secret in (ANALYST_KEY, ADMIN_KEY, "wrong-key-0123456789", environment["DATABASE_URL"]):
        assert secret not in text


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes, and return the status and what follows the head, until the server closes; 0 where it resets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return 0, b""
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"cache-control: no-store" in head
    return int(head.split(b" ", 2)[1]), body


async def test_what_is_no_http_is_answered_with_a_problem(programs: Programs, environment: dict[str, str]) -> None:
    """And an endless head is not waited for; one of a fair size is read.

    A server that closes with bytes unread makes TCP reset the connection, and the answer may be lost to that.
    """
    api = await programs.api(wait=True, **environment)
    assert (await exchange(api.port, b"nonsense\r\n\r\n"))[0] == 400
    for hosts in (b"", b"host: x\r\nhost: x\r\n"):
        assert (await exchange(api.port, b"GET /livez HTTP/1.1\r\n" + hosts + b"\r\n"))[0] == 400
    assert (await exchange(api.port, b"GET / HTTP/1.1\r\nx: " + b"x" * (HEAD_LIMIT + 1) + b"\r\n\r\n"))[0] == 431
    assert (await exchange(api.port, b"GET / HTTP/1.1\r\nx: " + b"x" * (3 * HEAD_LIMIT)))[0] == 431
    assert (await exchange(api.port, b"GET /" + b"x" * URL_LIMIT + b" HTTP/1.1\r\n\r\n"))[0] == 414
    assert (await exchange(api.port, b"GET /" + b"x" * URL_LIMIT))[0] == 414
    assert (await exchange(api.port, b"GET /?" + b"x" * (3 * HEAD_LIMIT)))[0] == 414
    fair = b"GET /" + b"x" * (URL_LIMIT - 1) + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert (await exchange(api.port, fair))[0] == 404
    many = b"".join(b"x-%d: %s\r\n" % (n, b"x" * 100) for n in range(400))
    assert (await exchange(api.port, b"GET / HTTP/1.1\r\n" + many + b"\r\n"))[0] == 431
    async with api.client() as client:
        response = await client.get(ANOMALIES, headers={"x-long": "x" * (HEAD_LIMIT // 2)})
        assert response.status_code == 200
        body = b'{"new_status": "NEW"}' + b" " * 60_000
        headers = {"content-type": "application/json"}
        for _ in range(3):
            assert (await client.put(f"{ANOMALIES}/a-0001", content=body, headers=headers)).status_code == 200


async def test_a_large_body_does_not_become_the_next_request(programs: Programs, environment: dict[str, str]) -> None:
    """The 413 comes before the body has been read, and the connection is not used again."""
    api = await programs.api(wait=True, **environment)
    head = f"PUT {ANOMALIES}/a HTTP/1.1\r\nhost: x\r\nx-api-key: {ANALYST_KEY}\r\ncontent-type: application/json\r\n"
    status, _ = await exchange(api.port, head.encode() + b"content-length: 99999999\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert status == 413


async def test_an_answer_before_the_end_of_a_body_is_not_lost(programs: Programs, environment: dict[str, str]) -> None:
    """A client, or a proxy, that sends on and reads only then finds the 413, and the end after it."""
    api = await programs.api(wait=True, **environment)
    head = f"PUT {ANOMALIES}/a HTTP/1.1\r\nhost: x\r\nx-api-key: {ANALYST_KEY}\r\ncontent-type: application/json\r\n"
    body = b" " * 20_000_000
    status, _ = await exchange(api.port, head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert status == 413


async def _is_waited_for(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return await cursor.fetchone() is not None


async def _refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
