"""A container engine under its command line: what Docker and Podman have in common."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.compose.saying import TryError
from tests.support.compose_file import COMPOSE_FILE, load_compose
from tests.support.env_example import shown_variables

PROJECT = "anomaly-cache-try"
BUILD_SECONDS = 1200.0


class Engine:
    """One Compose project of its own name, with the variables of a file instead of `.env`."""

    name: str
    cli: Sequence[str]
    composer: Sequence[str]

    def __init__(self, env_file: Path, variables: Mapping[str, str]) -> None:
        self._env_file = env_file
        self.services: dict[str, Any] = load_compose(variables)["services"]

    def prepare(self) -> None:
        """Have everything ready that `up` needs."""
        raise NotImplementedError

    def build(self) -> None:
        """Build the image."""
        raise NotImplementedError

    def up(self) -> None:
        """Start all services that have no profile, in the order of health."""
        raise NotImplementedError

    def start(self, service: str, *, profile: str) -> None:
        """Start one service of a profile, and wait until it is healthy."""
        raise NotImplementedError

    def scale(self, service: str, replicas: int) -> None:
        """Run this many containers of a service, and wait until they are healthy."""
        raise NotImplementedError

    def run_once(self, service: str, *, profile: str) -> str:
        """Run a one-shot service to its end and return what it said."""
        raise NotImplementedError

    def as_written(self, words: Sequence[str]) -> str:
        """Do what follows `docker compose`, as a page has it; return what is said. Raises TryError where it fails.

        What would stay in the foreground is left running.
        """
        raise NotImplementedError

    def healthy(self, container: str) -> bool:
        """Whether its health check says that it works."""
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the engine's commands: ours, without what would go before the variables' file."""
        return {name: value for name, value in os.environ.items() if name not in shown_variables()}

    def compose(
        self, *arguments: str, env_file: Path | None = None, check: bool = True, within: float = 300.0
    ) -> "subprocess.CompletedProcess[str]":
        """Run the Compose command; raises TryError where it fails and `check` is set."""
        options = [
            "--project-name",
            PROJECT,
            "--env-file",
            str(env_file or self._env_file),
            "--file",
            str(COMPOSE_FILE),
        ]
        return self._run([*self.composer, *options, *arguments], check=check, within=within)

    def call(self, *arguments: str, check: bool = True, within: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """Run the engine's own command; raises TryError where it fails and `check` is set."""
        return self._run([*self.cli, *arguments], check=check, within=within)

    def containers(self, service: str) -> list[str]:
        """Return the names of a service's running containers."""
        filters = [f"label=com.docker.compose.{key}" for key in (f"project={PROJECT}", f"service={service}")]
        options = [word for one in filters for word in ("--filter", one)]
        return sorted(self.call("ps", "--format", "{{.Names}}", *options).stdout.split())

    def execute(self, container: str, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container."""
        return self.call("exec", container, *command, check=check)

    def exit_code(self, container: str) -> int:
        """Return the exit code of a container that has ended."""
        return int(self.call("inspect", "--format", "{{.State.ExitCode}}", container).stdout)

    def clear(self) -> None:
        """Remove the project's containers, networks and volumes."""
        self.compose("--profile", "seed", "--profile", "monitoring", "down", "--volumes", check=False)

    def down(self) -> None:
        """Remove all of the project, the image too."""
        self.clear()
        self.call("rmi", "--force", self.services["api"]["image"], check=False)

    def logs(self) -> str:
        """Return the last lines of every container."""
        names = self.call(
            "ps", "--all", "--format", "{{.Names}}", "--filter", f"label=com.docker.compose.project={PROJECT}"
        )
        return "\n".join(
            f"--- {name}\n{(done := self.call('logs', '--tail', '40', name, check=False)).stdout}{done.stderr}"
            for name in names.stdout.split()
        )

    def _run(self, command: Sequence[str], *, check: bool, within: float) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            cwd=COMPOSE_FILE.parent,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
        if check and done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
            raise TryError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
        return done
