"""The session's servers as containers, where a Docker engine answers."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

POSTGRES_IMAGE = "postgres:18-alpine"
REDIS_IMAGE = "redis:7-alpine"
SOCKETS = (Path("/var/run/docker.sock"), Path.home() / ".docker/run/docker.sock")
READY_SECONDS = 60.0


class NoContainerError(Exception):
    """The engine answers, but does not give us this container: its image cannot be pulled, say."""


def engine_answers() -> bool:
    """Tell whether a Docker engine is there and answers."""
    if "DOCKER_HOST" not in os.environ and not any(socket.exists() for socket in SOCKETS):
        return False  # without loading its client, which takes a while
    from docker import DockerClient  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = DockerClient.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


@contextmanager
def postgres_container(settings: dict[str, str]) -> Iterator[str]:
    """Run a Postgres container; gives its superuser's URL for the database `postgres`.

    Raises NoContainerError.
    """
    password = secrets.token_hex(16)
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    environment = {"POSTGRES_USER": "postgres", "POSTGRES_DB": "postgres", "POSTGRES_PASSWORD": password}
    with _container(POSTGRES_IMAGE, f"postgres {options}", 5432, environment) as address:
        url = f"postgresql://postgres:{password}@{address}/postgres"

        def answers() -> bool:
            try:
                psycopg.connect(url, connect_timeout=2).close()
            except psycopg.OperationalError:
                return False
            return True

        _until(answers)
        yield url


@contextmanager
def redis_container() -> Iterator[str]:
    """Run a Redis container; gives the URL of its database 0. Raises NoContainerError."""
    password = secrets.token_hex(16)
    command = f"redis-server --requirepass {password} --appendonly no --enable-debug-command yes"
    with _container(REDIS_IMAGE, command, 6379, {}) as address:
        url = f"redis://:{password}@{address}/0"

        def answers() -> bool:
            try:
                with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
                    return bool(client.ping())
            except redis.RedisError:
                return False

        _until(answers)
        yield url


@contextmanager
def _container(image: str, command: str, port: int, environment: dict[str, str]) -> Iterator[str]:
    """Run a container; gives the address at which its port is published."""
    from docker.errors import DockerException  # noqa: PLC0415 - the import takes a while
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    container = DockerContainer(image).with_command(command).with_exposed_ports(port).with_envs(**environment)
    try:
        container.start()
    except (DockerException, OSError) as error:
        raise NoContainerError(f"{image}: {error}") from error
    try:
        yield f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
    finally:
        container.stop()


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        assert time.monotonic() < deadline, f"the container does not answer after {READY_SECONDS:g} s"
        time.sleep(0.05)
