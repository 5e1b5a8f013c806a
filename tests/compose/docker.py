"""Docker with its Compose plugin, which does by itself what is promised."""

import shutil
import subprocess
from collections.abc import Sequence

from tests.compose.engine import BUILD_SECONDS, Engine


def docker_answers() -> bool:
    """Whether there is a Docker engine here, with the Compose plugin."""
    if shutil.which("docker") is None:
        return False
    questions = (["docker", "info"], ["docker", "compose", "version"])
    return all(
        subprocess.run(question, capture_output=True, check=False, timeout=60).returncode == 0 for question in questions
    )


class Docker(Engine):
    """`docker compose`, with the real images."""

    name = "docker compose"
    cli = ("docker",)
    composer = ("docker", "compose")

    def prepare(self) -> None:
        """Do nothing: images are pulled when they are needed."""

    def build(self) -> None:
        """Build the image."""
        self.compose("build", within=BUILD_SECONDS)

    def up(self) -> None:
        """Start the services; the command waits for the health that others depend on."""
        self.compose("up", "--detach", within=BUILD_SECONDS)

    def start(self, service: str, *, profile: str) -> None:
        """Start one service of a profile."""
        self.compose("--profile", profile, "up", "--detach", "--wait", "--no-deps", service, within=BUILD_SECONDS)

    def scale(self, service: str, replicas: int) -> None:
        """Scale as a user does."""
        self.compose(
            "up", "--detach", "--wait", "--no-deps", "--no-recreate", "--scale", f"{service}={replicas}", service
        )

    def run_once(self, service: str, *, profile: str) -> str:
        """Run it in a container that is removed at its end."""
        done = self.compose("--profile", profile, "run", "--rm", service)
        return done.stdout + done.stderr

    def as_written(self, words: Sequence[str]) -> str:
        """Hand it on, and wait for health where services are started."""
        words = ["up", "--detach", *words[1:]] if words[0] == "up" else words
        waiting = ["--wait"] if "up" in words else []
        done = self.compose(*words, *waiting, within=BUILD_SECONDS)
        return done.stdout + done.stderr

    def healthy(self, container: str) -> bool:
        """Ask the engine, which runs the checks."""
        return self.call("inspect", "--format", "{{.State.Health.Status}}", container).stdout.strip() == "healthy"
