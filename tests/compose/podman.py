"""Podman with podman-compose and stand-in images, in a storage of their own: the machine's is left alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compose.engine import BUILD_SECONDS, PROJECT, Engine
from tests.compose.saying import TryError, say
from tests.compose.standins import WITHOUT, make_standins

PACKAGES = (
    "podman",
    "runc",
    "debootstrap",
    "iptables",
    "dnsmasq-base",
    "containernetworking-plugins",
    "golang-github-containernetworking-plugin-dnsname",
)
PROGRAMS = ("podman", "runc", "debootstrap", "iptables", "dnsmasq", "/usr/lib/cni/bridge", "/usr/lib/cni/dnsname")
RUN = Path("/run/anomaly-cache-try")
HEALTHY_SECONDS = 90.0
RETRIES = 3

# runc and these limits run on more kernels than the defaults; systemd is not there to run anything for us. The older
# network stack's DNS server is dnsmasq: netavark's own may stop answering when a container ends.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{run}/libpod"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "{home}/networks"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{home}/storage"
runroot = "{run}/storage"
"""


class Podman(Engine):
    """`podman-compose`. Podman runs no health checks by itself here, so this class does, and waits for them."""

    name = "podman-compose, with stand-in images made from Debian's packages"
    cli = ("podman",)
    composer = (sys.executable, "-m", "podman_compose")

    def __init__(self, env_file: Path, variables: Mapping[str, str]) -> None:
        super().__init__(env_file, variables)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._home = cache / "anomaly-cache" / "compose-test"

    @property
    def environment(self) -> dict[str, str]:
        """Ours, with a configuration and a storage of its own."""
        configuration = {
            "CONTAINERS_CONF": str(self._home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self._home / "storage.conf"),
        }
        return {**super().environment, **configuration}

    def prepare(self) -> None:
        """Install Podman where it is missing, and make the stand-in images."""
        if os.geteuid() != 0:
            raise TryError("no Docker engine answers, and trying it with Podman and stand-in images takes root")
        install_what_is_missing()
        self._home.mkdir(parents=True, exist_ok=True)
        for name, text in (("containers.conf", CONTAINERS_CONF), ("storage.conf", STORAGE_CONF)):
            (self._home / name).write_text(text.format(home=self._home, run=RUN))
        make_standins(self, self._home)

    def build(self) -> None:
        """Build the image, on the machine's own network: another one may not lead to a package index."""
        self.compose("--podman-build-args=--network=host", "build", "migrate", within=BUILD_SECONDS)

    def up(self) -> None:
        """Start each service when what it depends on is healthy, or has finished."""
        waiting = {name: service for name, service in self.services.items() if "profiles" not in service}
        while waiting:
            ready = [
                name for name, service in waiting.items() if not service.get("depends_on", {}).keys() & waiting.keys()
            ]
            for name in ready:
                self._start(name)
                waiting.pop(name)

    def start(self, service: str, *, profile: str) -> None:
        """Start one service of a profile."""
        self._start(service, "--profile", profile)

    def scale(self, service: str, replicas: int) -> None:
        """Add containers to those that run."""
        options = ("--no-deps", "--no-build", "--no-recreate", "--scale", f"{service}={replicas}")
        self.compose("up", "--detach", *options, service)
        self._until_healthy(service)

    def run_once(self, service: str, *, profile: str) -> str:
        """Run it in a container that is removed at its end."""
        done = self.compose("--profile", profile, "run", "--rm", "--no-deps", "-T", service)
        return done.stdout + done.stderr

    def as_written(self, words: Sequence[str]) -> str:
        """Do it as above where services are started; hand all else on."""
        match list(words):
            case ["up"] | ["up", "--detach" | "-d"]:
                self.up()
            case ["up", "--detach", "--scale", scaled]:
                service, _, replicas = scaled.partition("=")
                self.scale(service, int(replicas))
            case ["--profile", profile, "up", "--detach"]:
                for name, service in self.services.items():
                    if profile in service.get("profiles", []) and name not in WITHOUT:
                        self.start(name, profile=profile)
            case ["run", "--rm", service]:
                return self.run_once(service, profile=service)
            case ["exec", *others]:
                return self.compose("exec", "-T", *others).stdout
            case ["logs", *services]:
                # podman-compose knows as many containers of a service as compose.yaml says, and not those of --scale.
                containers = [container for service in services for container in self._all_containers(service)]
                said = [self.call("logs", container) for container in containers]
                return "".join(done.stdout + done.stderr for done in said)
            case ["ps", service]:
                # podman-compose's lists them all, or none.
                return "\n".join(self.containers(service))
            case others:
                done = self.compose(*others)
                return done.stdout + done.stderr
        return ""

    def healthy(self, container: str) -> bool:
        """Run the container's own check, again where it fails: compose.yaml allows each some retries."""
        return any(self.call("healthcheck", "run", container, check=False).returncode == 0 for _ in range(RETRIES))

    def down(self) -> None:
        """Remove everything but the stand-ins and the layers of today's builds, which make the next try faster."""
        super().down()
        self.call("image", "prune", "--force", "--filter", "until=24h", check=False)

    def _start(self, service: str, *options: str) -> None:
        self.compose(*options, "up", "--detach", "--no-deps", "--no-build", service)
        if "healthcheck" in self.services[service]:
            self._until_healthy(service)
        else:
            [container] = self._all_containers(service)
            self.call("wait", container)
            if self.exit_code(container) != 0:
                raise TryError(f"{service} ended with {self.exit_code(container)}")

    def _until_healthy(self, service: str) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        waiting = self._all_containers(service)
        while waiting := [container for container in waiting if not self.healthy(container)]:
            for container in waiting:
                if self.call("inspect", "--format", "{{.State.Status}}", container).stdout.strip() == "exited":
                    raise TryError(f"{container} ended with {self.exit_code(container)}")
            if time.monotonic() > deadline:
                raise TryError(f"{', '.join(waiting)} not healthy after {HEALTHY_SECONDS:g} s")
            time.sleep(0.2)

    def _all_containers(self, service: str) -> list[str]:
        listed = json.loads(self.call("ps", "--all", "--format", "json").stdout)
        wanted = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": service}
        return sorted(
            container["Names"][0] for container in listed if wanted.items() <= (container["Labels"] or {}).items()
        )


def install_what_is_missing() -> None:
    """Install Podman and what it needs by apt; raises TryError where that is not possible."""
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if shutil.which("apt-get") is None:
        raise TryError(f"neither Docker nor Podman is here; install {', '.join(PROGRAMS)}")
    say(f"installing {' '.join(PACKAGES)} …")
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        if done.returncode != 0:
            raise TryError(f"apt-get {command[0]} failed:\n{done.stderr}")
