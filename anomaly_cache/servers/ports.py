"""Free TCP ports on the loopback interface."""

import random
import socket

# Below every system's ephemeral range: a client that retries on a closed port of that range can be handed
# the same number as its own source port, and then connects to itself.
LOWEST, HIGHEST = 15_000, 30_000
CONNECT_SECONDS = 0.2


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_SECONDS)
        if client.connect_ex(("127.0.0.1", port)) == 0:
            return False  # a server on all addresses need not keep another one from binding this one
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a random port that is free now; raises OSError where none is found."""
    for _ in range(200):
        port = random.randrange(LOWEST, HIGHEST)  # noqa: S311 - spreads neighbours apart, guards nothing
        if is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST}")


def next_free_port(first: int) -> int:
    """Return the first free port from `first` on; raises OSError after 100 tries."""
    for port in range(first, first + 100):
        if is_free(port):
            return port
    raise OSError(f"no free port between {first} and {first + 99}")
