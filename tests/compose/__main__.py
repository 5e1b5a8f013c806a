"""`make compose-test`: build the image, start compose.yaml, walk through it, leave nothing behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from dotenv import dotenv_values

from anomaly_cache.servers.ports import free_port, next_free_port
from tests.compose.docker import Docker, docker_answers
from tests.compose.engine import Engine
from tests.compose.monitoring import check_grafana, check_prometheus
from tests.compose.podman import Podman
from tests.compose.saying import TryError, require, say
from tests.compose.standins import WITHOUT
from tests.compose.system import System
from tests.compose.tour import Tour
from tests.support.compose_file import ROOT
from tests.support.env_example import shown_variables

USUAL_PORT = 8000
ROWS = 2000


@click.command()
@click.option("--keep", is_flag=True, help="Leave the containers running.")
@click.option("--podman", is_flag=True, help="Use Podman and stand-in images even where a Docker engine answers.")
def main(*, keep: bool, podman: bool) -> None:
    """Try compose.yaml for real, with Docker where an engine answers, else with Podman and stand-in images."""
    with tempfile.TemporaryDirectory(prefix="anomaly-cache-") as directory:
        env_file = Path(directory) / ".env"
        variables = write_env(env_file)
        engine: Engine = (Podman if podman or not docker_answers() else Docker)(env_file, variables)
        say(f"with {engine.name}")
        try:
            try_it(engine, variables, Path(directory))
        except TryError as error:
            say(f"FAILED: {error}")
            click.echo(engine.logs())
            sys.exit(1)
        finally:
            if not keep:
                engine.down()
    say("compose.yaml works")


def try_it(engine: Engine, variables: dict[str, str], directory: Path) -> None:
    """Take all steps; raises TryError at the first that fails."""
    engine.prepare()
    engine.down()
    say(f"ok   {refuses_without_secrets(engine, directory)}")
    say("building the image …")
    engine.build()
    say("starting the services …")
    engine.up()
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


def write_env(path: Path) -> dict[str, str]:
    """Write a file of fresh secrets and free ports; return what is in it."""
    environment = {name: value for name, value in os.environ.items() if name not in shown_variables()}
    script = ROOT / "deploy" / "new-env.sh"
    subprocess.run(["sh", script, path], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=30)
    ports = {"API_PUBLISHED_PORT": usual_port()} | {
        f"{name}_PUBLISHED_PORT": free_port() for name in ("POSTGRES", "REDIS", "PROMETHEUS", "GRAFANA")
    }
    ours = {**ports, "SEED_ROWS": ROWS, "ANOMALY_CACHE_VERSION": "compose-test"}
    with path.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in ours.items())
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


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
