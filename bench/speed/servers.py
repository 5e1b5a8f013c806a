"""The servers beside ours: ASGI applications under uvicorn, nginx and Varnish."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.ports import free_port
from bench.errors import BenchError
from bench.speed.environments import APPS, environment
from bench.system import own_environment

START_SECONDS = 20.0

NGINX = """
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nodelay on;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  proxy_cache_path {home}/cache keys_zone=bench:10m inactive=1h;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache bench; proxy_cache_valid 200 1h;
    }}
  }}
}}
"""
VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
"""


@asynccontextmanager
async def running(
    name: str, command: Sequence[str | Path], port: int, home: Path, environment: Mapping[str, str]
) -> AsyncIterator[Child]:
    """Run a server in the directory `home` until it is left; it is there when it takes connections."""
    child = Child(name, command, log=home / f"{name}.log", environment=environment, directory=home)
    child.start()
    try:
        await _listening(child, port)
        yield child
    finally:
        child.stop()


async def _listening(child: Child, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if not child.running or time.monotonic() > deadline:
                raise BenchError(f"{child.name} did not start: {child.last_lines()}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def application(
    name: str, home: Path, settings: Mapping[str, str], *, served: Sequence[str] = (), own: bool = False
) -> AsyncIterator[tuple[Child, int]]:
    """Run `bench/apps/<name>.py` under uvicorn, as ours runs; yield its process and port. Raises BenchError.

    It runs in our environment where `own` is false, and otherwise in one with what its list pins.
    """
    python = await environment(name) if own else Path(sys.executable)
    port = free_port()
    command: list[str | Path] = [
        *served,
        python,
        "-m",
        "uvicorn",
        f"{name}:app",
        "--app-dir",
        APPS,
        "--port",
        str(port),
    ]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    if name == "raw":
        command += ["--lifespan", "off"]
    async with running(name, command, port, home, {**own_environment(), **settings}) as child:
        yield child, port


@asynccontextmanager
async def nginx(home: Path, origin: int, served: Sequence[str]) -> AsyncIterator[tuple[Child, int]]:
    """Run nginx with a proxy_cache before the port `origin`. Raises BenchError where it is not installed."""
    program = _program("nginx")
    port = free_port()
    (home / "nginx").mkdir()
    file = home / "nginx" / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(NGINX.format(home=home / "nginx", user=user, port=port, origin=origin))
    async with running("nginx", [*served, program, "-c", file], port, home, own_environment()) as child:
        yield child, port


@asynccontextmanager
async def varnish(home: Path, origin: int, served: Sequence[str]) -> AsyncIterator[tuple[Child, int]]:
    """Run Varnish before the port `origin`. Raises BenchError where it is not installed."""
    program = _program("varnishd")
    port = free_port()
    file = home / "default.vcl"
    file.write_text(VARNISH.format(origin=origin))
    command: list[str | Path] = [*served, program, "-F", "-a", f"127.0.0.1:{port}", "-f", file, "-s", "malloc,64m"]
    command += ["-n", home / "varnish", "-p", "thread_pools=1"]
    async with running("varnish", command, port, home, own_environment()) as child:
        yield child, port


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BenchError(f"{name} is not installed")
    return found
