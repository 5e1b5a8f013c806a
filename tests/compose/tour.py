"""The tour through the system in containers: what a newcomer would try, and what an operator would fear."""

import json
import subprocess
from itertools import islice

from tests.compose.saying import require, say
from tests.compose.system import PAGE, STALENESS, System, sample, status_of


class Tour:
    """Walks through the running system. Every step raises TryError where it finds something wrong."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._engine = system.engine

    def walk(self) -> None:
        """Take all steps in turn."""
        for step in (
            self.seed,
            self.is_hardened,
            self.miss_then_hit,
            self.passes_everything_through,
            self.shows_pages_and_a_live_console,
            self.put_reaches_every_replica,
            self.update_in_psql_reaches_every_replica,
            self.standby_takes_over,
            self.third_replica_is_found,
            self.replica_leaves_unnoticed,
            self.redis_may_go_and_come,
            self.redis_wants_its_password,
            self.programs_are_users_of_redis,
        ):
            say(f"ok   {step()}")

    def seed(self) -> str:
        """Load the data."""
        self._engine.run_once("seed", profile="seed")
        rows = int(self._system.psql("SELECT count(*) FROM anomalies"))
        require(rows > 0, "seed made no rows")
        return f"seed: {rows} anomalies"

    def is_hardened(self) -> str:
        """Look at what a program may do in its container."""
        container = self._system.replicas()[0]
        user = self._engine.execute(container, "id", "-u").stdout.strip()
        require(user not in {"", "0"}, f"the API runs as user {user}")
        touched = self._engine.execute(container, "touch", "/here", check=False)
        require(touched.returncode != 0, "the API may write to its root file system")
        size = int(self._engine.call("image", "inspect", "--format", "{{.Size}}", self._system.image()).stdout)
        return f"user {user}, read-only root, image of {size / 1e6:.0f} MB with its base"

    def miss_then_hit(self) -> str:
        """Read the same twice from one replica, and again through nginx."""
        page = "/api/v1/anomalies?limit=7&min_score=0.123"
        ways = [self._system.ask(self._system.replicas()[0], page)["how"] for _ in range(2)]
        require("fwd=uri-miss" in ways[0] and "hit" in ways[1], f"expected a miss and a hit, got {ways}")
        answer = self._system.get(page)
        require("; hit; " in answer.headers["cache-status"], f"nginx: {answer.headers['cache-status']}")
        return f"miss then hit: {', '.join(ways)}; through nginx {answer.headers['cache-status']}"

    def passes_everything_through(self) -> str:
        """Have nginx pass on validators, refusals, a large body and an odd path as they are."""
        answer = self._system.get(PAGE)
        etag = answer.headers["etag"]
        require(not etag.startswith("W/"), f"nginx weakened the ETag: {etag}")
        expected = (
            (self._system.client.get(PAGE, headers={"If-None-Match": etag}), 304),
            (self._system.client.head(PAGE), 200),
            (self._system.client.get(PAGE, headers={"X-API-Key": "nobody's"}), 401),
            (self._system.client.get("/api/v1/anomalies/a%2Fb%3Fc"), 404),
            (self._system.client.get("/api/v1/anomalies?nonsense=1"), 422),
            (self._system.put("x", "a" * 2_000_000), 413),
        )
        for answer, status in expected:
            request = f"{answer.request.method} {answer.request.url}"
            require(answer.status_code == status, f"{request}: {answer.status_code} instead of {status}")
            problem = "problem+json" in answer.headers.get("content-type", "")
            require(problem == (status >= 400), f"{request}: {answer.headers.get('content-type')}")
        return "nginx passes on ETag, 304, HEAD, 401, 404, 413 and 422"

    def shows_pages_and_a_live_console(self) -> str:
        """Load the pages and the description through nginx, and hear of a change by the console's stream, at once."""
        for path in ("/console", "/docs", "/openapi.json"):
            self._system.get(path)
        moved = self._system.client.get("/console/")
        place = moved.headers.get("location", "")
        require(moved.status_code == 308 and moved.url.join(place).path == "/console", f"/console/ leads to {place!r}")
        with self._system.admin.stream("GET", "/api/v1/console/events") as stream:
            require(stream.status_code == 200, f"the console's stream: {stream.status_code}")
            # A state comes each second: so many lines are a bounded wait.
            lines = islice(stream.iter_lines(), 100)
            state = json.loads(next((line for line in lines if '"processes":' in line), "data: {}").partition(" ")[2])
            kinds = sorted(process["kind"] for process in state.get("processes", ()))
            require(kinds == ["api", "api", "listener", "listener"], f"the console sees {kinds}")
            self._system.set_status(self._system.first(), "INVESTIGATING")
            require(any('"causes":["update"]' in line for line in lines), "the console hears nothing of an UPDATE")
        return "pages and OpenAPI; the console sees four processes, and an UPDATE as it happens"

    def put_reaches_every_replica(self) -> str:
        """PUT through nginx, and read at once from every replica."""
        identity = self._system.first()
        self._system.everywhere(lambda _: True)
        answer = self._system.put(identity, "INVESTIGATED")
        require(answer.status_code == 200, f"PUT: {answer.status_code} {answer.text}")
        for container in self._system.replicas():
            status = status_of(self._system.ask(container, PAGE), identity)
            require(status == "INVESTIGATED", f"after the PUT {container} says {status}")
        return f"PUT: all {len(self._system.replicas())} replicas know at once"

    def update_in_psql_reaches_every_replica(self) -> str:
        """UPDATE behind the API's back, and wait for every replica."""
        return f"UPDATE in psql: all replicas fresh within {self._system.update('CONFIRMED'):.2f} s, reading included"

    def standby_takes_over(self) -> str:
        """SIGTERM the active listener."""
        active = self._system.active_listener()
        self._system.stop(active)
        seconds = self._system.until(
            lambda: self._system.active_listener() not in {"", active}, 10, "no standby took over"
        )
        self._system.until(
            lambda: "; hit; " in self._system.get(PAGE).headers["cache-status"], 10, "the cache did not come back"
        )
        self._system.update("DISMISSED")
        self._engine.call("start", active)
        return f"SIGTERM of the active listener: exit 0, the standby active after {seconds:.1f} s, updates arrive"

    def third_replica_is_found(self) -> str:
        """Scale, and wait until nginx sends requests to all."""
        self._engine.scale("api", 3)
        require(len(self._system.replicas()) == 3, f"{self._system.replicas()} run instead of 3 replicas")
        seen: set[str] = set()

        def all_seen() -> bool:
            seen.add(sample(self._system.get("/metrics").text, "process_start_time_seconds"))
            return len(seen) == 3

        seconds = self._system.until(all_seen, 10, "nginx does not send requests to all replicas")
        self._system.update("NEW")
        return f"--scale api=3: nginx finds the third within {seconds:.1f} s, an UPDATE reaches it"

    def replica_leaves_unnoticed(self) -> str:
        """SIGTERM a replica while requests come in through nginx."""
        container = self._system.replicas()[-1]
        command = [*self._engine.cli, "stop", "-t", "15", container]
        with subprocess.Popen(
            command, env=self._engine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as stopping:
            answers = 0
            while stopping.poll() is None or answers < 200:
                self._system.get(PAGE)
                answers += 1
        code = self._engine.exit_code(container)
        require(code == 0, f"{container} exited with {code} on SIGTERM")
        return f"SIGTERM of a replica: exit 0, {answers} requests meanwhile, all answered"

    def redis_may_go_and_come(self) -> str:
        """Stop Redis; answers keep coming from Postgres, and the cache is back with it."""
        [redis] = self._engine.containers("redis")
        self._system.stop(redis)
        self._system.until(
            lambda: "fwd=bypass" in self._system.get(PAGE).headers["cache-status"],
            STALENESS + 1,
            "no bypass without Redis",
        )
        identity = self._system.first()
        self._system.set_status(identity, "INVESTIGATING")
        status = status_of({"body": self._system.get(PAGE).text}, identity)
        require(status == "INVESTIGATING", f"without Redis the API says {status}")
        self._engine.call("start", redis)
        seconds = self._system.until(
            lambda: "; hit; " in self._system.get(PAGE).headers["cache-status"],
            15,
            "the cache did not come back with Redis",
        )
        return f"Redis stopped: answers come from Postgres; started: hits again after {seconds:.1f} s"

    def redis_wants_its_password(self) -> str:
        """Talk to Redis without the password of .env."""
        [redis] = self._engine.containers("redis")
        refused = self._engine.execute(redis, "env", "-u", "REDISCLI_AUTH", "redis-cli", "ping", check=False)
        require("NOAUTH" in refused.stdout + refused.stderr, f"Redis said {refused.stdout}")
        return "Redis wants its password"

    def programs_are_users_of_redis(self) -> str:
        """Ask Redis who is there, and what it has refused to whom."""
        [redis] = self._engine.containers("redis")
        clients = self._engine.execute(redis, "redis-cli", "client", "list").stdout
        users = [word.partition("=")[2] for word in clients.split() if word.startswith("user=")]
        require(set(users) == {"anomaly-cache", "default"}, f"{set(users)} are logged in")
        require(users.count("default") == 1, f"{users.count('default') - 1} connections may do anything")
        refused = self._engine.execute(redis, "redis-cli", "acl", "log").stdout
        require("anomaly-cache" not in refused, f"Redis has refused something: {refused}")
        return f"Redis: {len(users) - 1} connections of the programs' own user, which was refused nothing"

    def ends_well(self) -> str:
        """SIGTERM every program; each must exit with 0."""
        ended = [
            container for service in ("nginx", "api", "listener") for container in self._engine.containers(service)
        ]
        for container in ended:
            self._system.stop(container)
        return f"SIGTERM: {len(ended)} containers exit with 0"
