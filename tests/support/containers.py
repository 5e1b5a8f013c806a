"""The session's servers as containers, where a Docker engine answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POSTGRES_IMAGE = "postgres:18-alpine"
REDIS_IMAGE = "redis:7-alpine"
SOCKETS = (Path("/var/run/docker.sock"), Path.home() / ".docker/run/docker.sock")


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
    except DockerException:
        return False


@contextmanager
def postgres_container(settings: dict[str, str]) -> Iterator[str]:
    """Run a Postgres container; gives its superuser's URL for the database `postgres`."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_command(f"postgres {options}")
        .with_exposed_ports(5432)
        # The image starts a first server to set the database up, then the one that stays.
        .waiting_for(LogMessageWaitStrategy("database system is ready to accept connections", times=2))
    )
    with container as running:
        host, port = running.get_container_host_ip(), running.get_exposed_port(5432)
        yield f"postgresql://postgres@{host}:{port}/postgres"


@contextmanager
def redis_container() -> Iterator[str]:
    """Run a Redis container; gives the URL of its database 0."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    container = (
        DockerContainer(REDIS_IMAGE)
        .with_command('redis-server --save "" --enable-debug-command yes')
        .with_exposed_ports(6379)
        .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    )
    with container as running:
        host, port = running.get_container_host_ip(), running.get_exposed_port(6379)
        yield f"redis://{host}:{port}/0"
