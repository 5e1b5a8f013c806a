"""`make compose-test`: build the image, start compose.yaml, walk through it, leave nothing behind."""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from anomaly_cache.servers.ports import free_port, next_free_port
from tests.compose.as_written import read
from tests.compose.docker import Docker, docker_answers
from tests.compose.engine import PROJECT, Engine
from tests.compose.monitoring import check_grafana, check_prometheus
from tests.compose.pages import operate, start_as_readme_says
from tests.compose.podman import Podman
from tests.compose.saying import TryError, require, say
from tests.compose.standins import WITHOUT
from tests.compose.system import System
from tests.compose.tour import Tour
from tests.support.compose_file import ROOT
from tests.support.env_example import shown_variables

USUAL_PORT = 8000
ROWS = 2000
IMAGE_VERSION = "compose-test"


@click.command()
@click.option("--keep", is_flag=True, help="Leave the containers running.")
@click.option("--podman", is_flag=True, help="Use Podman and stand-in images even where a Docker engine answers.")
def main(*, keep: bool, podman: bool) -> None:
    """Try compose.yaml for real, with Docker where an engine answers, else with Podman and stand-in images."""
    with alone(), tempfile.TemporaryDirectory(prefix="anomaly-cache-") as directory:
        env_file = Path(directory) / ".env"
        write_env(env_file)
        engine: Engine = (Podman if podman or not docker_answers() else Docker)(env_file, read(env_file))
        say(f"with {engine.name}")
        try:
            try_it(engine, our_variables(), Path(directory))
        except TryError as error:
            say(f"FAILED: {error}")
            click.echo(engine.logs())
            sys.exit(1)
        finally:
            if not keep:
                engine.down()
    say("compose.yaml works")


@contextmanager
def alone() -> Iterator[None]:
    """Be the only try on this machine: another one would end the containers of this one."""
    with (Path(tempfile.gettempdir()) / f"{PROJECT}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException("another try of compose.yaml runs on this machine") from None
        yield


def try_it(engine: Engine, ours: str, directory: Path) -> None:
    """Take all steps, with variables of ours in each `.env`; raises TryError at the first that fails."""
    engine.prepare()
    engine.down()
    say(f"ok   {refuses_without_secrets(engine, directory)}")
    say("building the image …")
    engine.build()
    say("starting the services as README says …")
    env_file = start_as_readme_says(engine, directory / "readme", ours)
    walk(type(engine)(env_file, read(env_file)), read(env_file))
    engine.clear()
    say("doing what the operations page says …")
    operate(engine, directory / "operations", ours)


def walk(engine: Engine, variables: dict[str, str]) -> None:
    """Look at the system that runs from all sides; raises TryError."""
    healthy = [
        container
        for service in ("postgres", "redis", "listener", "api", "nginx")
        for container in engine.containers(service)
    ]
    require(len(healthy) == 7, f"{healthy} run instead of seven containers")
    require(all(engine.healthy(container) for container in healthy), "not every container is healthy")
    say(f"ok   all {len(healthy)} containers are healthy")
    keys = dict(entry.split("=") for entry in variables["API_KEYS"].split(","))
    url = f"http://127.0.0.1:{variables['API_PUBLISHED_PORT']}"
    tour = Tour(System(engine, url, keys["analyst"], keys["admin"]))
    tour.walk()
    targets = len(engine.containers("api")) + len(engine.containers("listener"))
    port = variables["PROMETHEUS_PUBLISHED_PORT"]
    say(f"ok   {check_prometheus(engine, f'http://127.0.0.1:{port}', targets=targets)}")
    if isinstance(engine, Podman):
        say(f"--   not tried, for want of a stand-in: {', '.join(sorted(WITHOUT))}")
    else:
        port = variables["GRAFANA_PUBLISHED_PORT"]
        say(f"ok   {check_grafana(engine, f'http://127.0.0.1:{port}', variables['GRAFANA_ADMIN_PASSWORD'])}")
    say(f"ok   {tour.ends_well()}")


def write_env(path: Path) -> None:
    """Write a file of fresh secrets."""
    environment = {name: value for name, value in os.environ.items() if name not in shown_variables()}
    script = ROOT / "deploy" / "new-env.sh"
    subprocess.run(["sh", script, path], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=30)
    with path.open("a") as file:
        file.write(f"ANOMALY_CACHE_VERSION={IMAGE_VERSION}\n")


def our_variables() -> str:
    """Return what a try has in its `.env` besides: free ports, few rows, an image of its own."""
    ports = {"API_PUBLISHED_PORT": usual_port()} | {
        f"{name}_PUBLISHED_PORT": free_port() for name in ("POSTGRES", "REDIS", "PROMETHEUS", "GRAFANA")
    }
    ours = {**ports, "SEED_ROWS": ROWS, "ANOMALY_CACHE_VERSION": IMAGE_VERSION}
    return "".join(f"{name}={value}\n" for name, value in ours.items())


def usual_port() -> int:
    """Return 8000, or the next free port, said aloud, where that is taken."""
    port = next_free_port(USUAL_PORT)
    if port != USUAL_PORT:
        say(f"port {USUAL_PORT} is taken: the API answers on {port}")
    return port


def refuses_without_secrets(engine: Engine, directory: Path) -> str:
    """Ask for the configuration with an empty file of variables."""
    empty = directory / "empty.env"
    empty.touch()
    refused = engine.compose("config", env_file=empty, check=False)
    said = refused.stdout + refused.stderr
    require(refused.returncode != 0 and "new-env.sh" in said, f"without secrets the engine said: {said}")
    return "without secrets it does not start, and says what to do"


if __name__ == "__main__":
    main()
