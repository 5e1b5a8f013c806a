"""The proxy's configuration: valid, and true to what it promises to the API's clients."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from anomaly_cache.servers.ports import free_port
from service.parameters import CURSOR_MAX_LENGTH, QUERY_STRING_LIMIT
from service.protocol import HEAD_LIMIT, URL_LIMIT
from tests.support.compose_file import ROOT, load_compose
from tests.support.tools import tool
from tests.support.waiting import eventually
from tests.unit.test_deploy_compose import FILLED_IN

NGINX = ROOT / "deploy" / "nginx"
IN_CONTAINER = "/tmp"  # noqa: S108 - the container's own tmpfs
Block = list[dict[str, Any]]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The configuration with its paths under /tmp moved to the test's own, and what start.sh writes for Docker."""
    text = (NGINX / "nginx.conf").read_text()
    path = tmp_path / "nginx.conf"
    path.write_text(text.replace(IN_CONTAINER, str(tmp_path)))
    (tmp_path / "resolver.conf").write_text("resolver 127.0.0.11 valid=1s ipv6=off;\n")
    return path


@pytest.fixture
def parsed(configuration: Path) -> Block:
    """The directives, by a parser."""
    command = [sys.executable, "-W", "ignore", "-m", "crossplane", "parse", "--combine", str(configuration)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout)
    assert result["errors"] == []
    directives: Block = result["config"][0]["parsed"]
    return directives


@pytest.fixture
def port(configuration: Path) -> int:
    """The port on which nginx is made to listen; nobody does where its replica should."""
    port, nowhere = free_port(), free_port()
    text = configuration.read_text().replace("listen 8000;", f"listen 127.0.0.1:{port};")
    configuration.write_text(text.replace("http://api:8000", f"http://127.0.0.1:{nowhere}"))
    return port


@pytest.fixture
async def running(configuration: Path, port: int) -> AsyncIterator[int]:
    """A real nginx with the configuration, and no replica; the port that it listens on."""
    process = await asyncio.create_subprocess_exec(
        *(tool("nginx"), "-c", str(configuration), "-e", "stderr", "-g", "daemon off; master_process off;"),
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        assert process.returncode is None
        try:
            await exchange(port, b"nonsense\r\n\r\n")
        except ConnectionRefusedError:
            return False
        return True

    try:
        await eventually(listens)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def test_nginx_takes_it(configuration: Path, parsed: Block) -> None:
    """All directives are known and in their place; nginx says so itself."""
    assert parsed
    said = subprocess.run(
        [tool("nginx"), "-t", "-c", str(configuration)], capture_output=True, text=True, check=False, timeout=30
    )
    assert said.returncode == 0, said.stderr


def test_leads_to_the_replicas_wherever_they_are(parsed: Block) -> None:
    """It goes to the service `api` on its port, by a name that is looked up again as replicas come and go."""
    api = load_compose(FILLED_IN)["services"]["api"]
    server = block(block(parsed, "http"), "server")
    location = block(server, "location", "/")
    assert only(server, "set") == ["$replicas", f"http://api:{api['environment']['API_PORT']}"]
    # A literal name would be looked up once; a path after the variable would replace the request's own.
    assert only(location, "proxy_pass") == ["$replicas"]


def test_listens_where_compose_expects_it(parsed: Block) -> None:
    """The published port and the health check meet the port that it listens on."""
    nginx = load_compose(FILLED_IN)["services"]["nginx"]
    [port] = only(block(block(parsed, "http"), "server"), "listen")
    assert nginx["ports"] == [f"8000:{port}"]
    assert nginx["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/livez"


def test_keeps_and_alters_nothing(parsed: Block) -> None:
    """It caches nothing, compresses nothing (that would weaken ETags) and buffers no request."""
    server = block(block(parsed, "http"), "server")
    location = block(server, "location", "/")
    assert only(location, "proxy_cache") == ["off"]
    assert only(server, "proxy_request_buffering") == ["off"]
    assert only(server, "client_max_body_size") == ["0"]
    names = {directive["directive"] for directive in (*block(parsed, "http"), *server, *location)}
    assert not {"gzip", "proxy_cache_path", "proxy_hide_header", "proxy_intercept_errors", "sub_filter"} & names


def test_passes_over_a_replica_that_is_gone_but_no_answer(parsed: Block) -> None:
    """A connection that fails is tried elsewhere; an API's own 503, with its Retry-After, reaches the client."""
    location = block(block(block(parsed, "http"), "server"), "location", "/")
    assert only(location, "proxy_next_upstream") == ["error", "timeout"]


async def test_its_own_errors_are_problems(running: int) -> None:
    """Without a replica, and for what it passes on to none, the client gets a problem like any other of the API's."""
    for request, status, kind, header in (
        (b"GET / HTTP/1.1\r\nhost: x\r\n", 503, "no-replica", b"retry-after: 1"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n", 414, "uri-too-long", b""),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 40_000 + b"\r\n", 431, "head-too-large", b""),
        (b"TRACE / HTTP/1.1\r\nhost: x\r\n", 405, "method-not-allowed", b"allow: GET, HEAD, OPTIONS, POST, PUT"),
        (b"GET /.problem HTTP/1.1\r\nhost: x\r\n", 404, "not-found", b""),
        (b"nonsense\r\n", 400, "malformed-request", b""),
    ):
        head, _, body = (await exchange(running, request + b"connection: close\r\n\r\n")).partition(b"\r\n\r\n")
        problem = json.loads(body)
        assert (int(head.split()[1]), problem["status"]) == (status, status)
        assert problem["type"] == f"urn:anomaly-cache:problem:{kind}"
        assert b"content-type: application/problem+json\r\n" in head.lower()
        assert b"cache-control: no-store" in head.lower()
        assert header.lower() in head.lower()


def test_what_the_api_may_refuse_reaches_it(parsed: Block) -> None:
    """A head that is too large for the API fits into nginx' buffers, and the longest answer's head does, too."""
    server = block(block(parsed, "http"), "server")
    number, size = only(server, "large_client_header_buffers")
    assert int(number) * int(size.removesuffix("k")) * 1024 > HEAD_LIMIT
    assert int(size.removesuffix("k")) * 1024 > URL_LIMIT
    longest = CURSOR_MAX_LENGTH + QUERY_STRING_LIMIT
    assert int(only(block(server, "location", "/"), "proxy_buffer_size")[0].removesuffix("k")) * 1024 > longest


def test_writes_only_where_the_container_may(parsed: Block) -> None:
    """Its root file system is read-only: the process id and all temporary files are under /tmp."""
    nginx = load_compose(FILLED_IN)["services"]["nginx"]
    assert nginx["tmpfs"] == [IN_CONTAINER]
    text = (NGINX / "nginx.conf").read_text()
    http = {directive["directive"]: directive["args"] for directive in block(parsed, "http")}
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        assert f"{kind}_temp_path" in http
        assert f"{kind}_temp_path /tmp/" in text
    assert "pid /tmp/" in text
    assert http["access_log"] == ["off"]


@pytest.mark.parametrize(
    ("resolv_conf", "expected"),
    [
        ("nameserver 127.0.0.11\noptions ndots:0\n", "resolver 127.0.0.11 valid=1s ipv6=off;\n"),
        ("search x\nnameserver 10.89.0.1\nnameserver 9.9.9.9\n", "resolver 10.89.0.1 valid=1s ipv6=off;\n"),
        ("nameserver fd00::1\n", "resolver [fd00::1] valid=1s ipv6=off;\n"),
    ],
)
def test_asks_the_networks_own_dns_server(tmp_path: Path, resolv_conf: str, expected: str) -> None:
    """start.sh makes the container's first nameserver nginx's resolver, and becomes nginx."""
    code, said = started(tmp_path, resolv_conf)
    assert code == 0, said
    assert (tmp_path / "resolver.conf").read_text() == expected
    assert said == "-c /etc/anomaly-cache/nginx.conf -g daemon off;\n"


def test_says_so_where_there_is_no_dns_server(tmp_path: Path) -> None:
    """Without a nameserver start.sh fails, and says why."""
    code, said = started(tmp_path, "options ndots:0\n")
    assert code == 1
    assert "no nameserver" in said


def started(directory: Path, resolv_conf: str) -> tuple[int, str]:
    """Run start.sh with another resolv.conf, and an `nginx` that only says how it was called."""
    (directory / "resolv.conf").write_text(resolv_conf)
    nginx = directory / "nginx"
    nginx.write_text('#!/bin/sh\necho "$*"\n')
    nginx.chmod(0o755)
    script = directory / "start.sh"
    text = (NGINX / "start.sh").read_text()
    script.write_text(
        text.replace(IN_CONTAINER, str(directory)).replace("/etc/resolv.conf", f"{directory}/resolv.conf")
    )
    done = subprocess.run(
        ["sh", script],
        env={"PATH": f"{directory}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout


def block(directives: Block, name: str, *arguments: str) -> Block:
    """Return the content of the one block of this name and with these arguments."""
    [found] = [
        directive for directive in directives if directive["directive"] == name and directive["args"] == list(arguments)
    ]
    inside: Block = found["block"]
    return inside


def only(directives: Block, name: str) -> list[str]:
    """Return the arguments of the one directive of this name."""
    [found] = [directive for directive in directives if directive["directive"] == name]
    arguments: list[str] = found["args"]
    return arguments
