"""The running system as the try reaches it: through nginx, inside a replica's container, and in psql."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.compose.engine import Engine
from tests.compose.saying import TryError, require

STALENESS = 2.0
PAGE = "/api/v1/anomalies?limit=10"
ASK = """
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8000" + sys.argv[1], headers={"X-API-Key": sys.argv[2]})
with urllib.request.urlopen(request, timeout=5) as answer:
    print(json.dumps({"how": answer.headers["Cache-Status"], "body": answer.read().decode()}))
"""


class System:
    """Asks and changes. Every method raises TryError where the system does not do as it should."""

    def __init__(self, engine: Engine, url: str, key: str, admin_key: str) -> None:
        self.engine = engine
        self.client = httpx2.Client(base_url=url, headers={"X-API-Key": key}, timeout=10, trust_env=False)
        self.admin = httpx2.Client(base_url=url, headers={"X-API-Key": admin_key}, timeout=10, trust_env=False)
        self._key = key

    def replicas(self) -> list[str]:
        """Return the containers of the API."""
        return self.engine.containers("api")

    def image(self) -> str:
        """Return the name of the programs' image."""
        image: str = self.engine.services["api"]["image"]
        return image

    def get(self, path: str) -> httpx2.Response:
        """Read through nginx; the answer must be a 200."""
        answer = self.client.get(path)
        require(answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def put(self, identity: str, status: str) -> httpx2.Response:
        """Set a status through nginx, and return the answer whatever it is."""
        return self.client.put(f"/api/v1/anomalies/{identity}", json={"new_status": status})

    def ask(self, container: str, path: str) -> dict[str, str]:
        """Read from one replica, inside its container."""
        answer: dict[str, str] = json.loads(self.engine.execute(container, "python", "-c", ASK, path, self._key).stdout)
        return answer

    def first(self) -> str:
        """Return the id of the newest anomaly."""
        identity: str = self.get(PAGE).json()["anomalies"][0]["transaction_id"]
        return identity

    def psql(self, statement: str) -> str:
        """Run a statement as the superuser, and return what psql prints."""
        [postgres] = self.engine.containers("postgres")
        options = ("--username", "postgres", "--dbname", "anomalies", "--no-align", "--tuples-only", "--command")
        return self.engine.execute(postgres, "psql", *options, statement).stdout.strip()

    def set_status(self, identity: str, status: str) -> None:
        """Change an anomaly behind the API's back."""
        # Both are the try's own: an id that it has just read, and one of the five words.
        self.psql(f"UPDATE anomalies SET status = '{status}' WHERE transaction_id = '{identity}'")  # noqa: S608

    def everywhere(self, holds: Callable[[dict[str, str]], bool]) -> bool:
        """Read the page from every replica; whether this holds for all answers."""
        answers = [self.ask(container, PAGE) for container in self.replicas()]
        return all(holds(answer) for answer in answers)

    def update(self, status: str) -> float:
        """Change a row in psql; return the seconds until every replica and nginx show it."""
        identity = self.first()
        self.everywhere(lambda _: True)
        self.set_status(identity, status)

        def known() -> bool:
            through_nginx = {"body": self.get(PAGE).text}
            return status_of(through_nginx, identity) == status and self.everywhere(
                lambda answer: status_of(answer, identity) == status
            )

        return self.until(known, STALENESS, f"the UPDATE to {status} is not everywhere")

    def active_listener(self) -> str:
        """Return the container of the active listener, or "" where none is."""
        script = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8081/metrics', timeout=5).read().decode())"
        )
        for container in self.engine.containers("listener"):
            said = self.engine.execute(container, "python", "-c", script, check=False).stdout
            if said and sample(said, "listener_active") == "1.0":
                return container
        return ""

    def stop(self, container: str) -> None:
        """SIGTERM a container; it must exit with 0."""
        self.engine.call("stop", "-t", "15", container)
        code = self.engine.exit_code(container)
        require(code == 0, f"{container} exited with {code} on being stopped")

    def until(self, holds: Callable[[], bool], within: float, otherwise: str) -> float:
        """Return the seconds until it holds; raises TryError where that takes longer than `within`."""
        started = time.monotonic()
        while not holds():
            if time.monotonic() - started > within:
                raise TryError(f"{otherwise} after {within:g} s")
            time.sleep(0.05)
        return time.monotonic() - started


def status_of(answer: dict[str, str], identity: str) -> str:
    """Return the status of an anomaly in a page."""
    page: dict[str, Any] = json.loads(answer["body"])
    return next((row["status"] for row in page["anomalies"] if row["transaction_id"] == identity), "not there")


def sample(exposition: str, name: str) -> str:
    """Return the value of a metric without labels."""
    return next(line.split()[1] for line in exposition.splitlines() if line.startswith(f"{name} "))
