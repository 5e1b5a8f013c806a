"""Where a container's addresses are when its program runs as a local process."""

import re
from collections.abc import Mapping

from anomaly_cache.servers.ports import free_port

NOBODY_LISTENS = 1
"""A port for addresses that no service of compose.yaml has: a wrong name or number must not lead anywhere."""


class Addresses:
    """The services' names and ports, and one container's own ports, as addresses of this machine."""

    def __init__(self, services: Mapping[tuple[str, str], int]) -> None:
        self._services = services
        self._own: dict[str, int] = {}

    def take(self, port: str) -> int:
        """Give the container a free port in place of its own `port`."""
        self._own[port] = free_port()
        return self._own[port]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the container's variables with every address in them translated."""
        translated = {name: self._urls(value) for name, value in variables.items()}
        for name, value in variables.items():
            if name.endswith("_PORT"):
                host = name.removesuffix("_PORT") + "_HOST"
                listens = variables.get(host) == "0.0.0.0"  # noqa: S104 - what a container listens on
                port = self.take(value) if listens else self._lookup(variables[host], value)
                translated[name] = str(port)
                translated[host] = "127.0.0.1"
        return translated

    def command(self, words: list[str]) -> list[str]:
        """Return a command run in the container, with its own addresses translated."""
        return [re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(self.own(port[0])), word) for word in words]

    def ports(self) -> list[int]:
        """Return the ports that the container was given."""
        return list(self._own.values())

    def own(self, port: str) -> int:
        """Return what stands for a port that the container listens on."""
        return self._own.get(port, NOBODY_LISTENS)

    def _lookup(self, host: str, port: str) -> int:
        return self._services.get((host, port), NOBODY_LISTENS)

    def _urls(self, value: str) -> str:
        return re.sub(
            r"(?<=@)([\w.-]+):(\d+)(?=/)", lambda found: f"127.0.0.1:{self._lookup(found[1], found[2])}", value
        )
