"""Stand-in images: Debian's packages under the names of the images that compose.yaml and the Dockerfile ask for."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.compose.engine import BUILD_SECONDS, Engine
from tests.compose.machine import certificates, debian_release, pip_options
from tests.compose.saying import TryError, say
from tests.support.compose_file import ROOT

RECIPES = Path(__file__).parent / "standins"
LOCAL = "localhost/anomaly-cache-standin"
WITHOUT = {"grafana"}
"""Images that Debian has no package for."""


def make_standins(engine: Engine, home: Path) -> None:
    """Make those images that are missing or outdated, and give each the name of the real one."""
    make_base(engine, home)
    context = home / "context"
    shutil.copytree(RECIPES, context, dirs_exist_ok=True)
    shutil.copyfile(certificates(), context / "ca-certificates.crt")
    options = "".join(f"{name} = {value}\n" for name, value in pip_options().items())
    (context / "pip.conf").write_text(f"[global]\n{options}")
    for image in sorted(set(real_images(engine))):
        kind = re.sub(r".*/|:.*", "", image)
        if kind in WITHOUT:
            continue
        say(f"stand-in for {image}")
        engine.call(
            "build", "--network=host", f"--target={kind}", f"--tag={LOCAL}/{kind}", str(context), within=BUILD_SECONDS
        )
        engine.call("tag", f"{LOCAL}/{kind}", full_name(image))


def real_images(engine: Engine) -> Iterator[str]:
    """Yield the images that are not built here."""
    for service in engine.services.values():
        if "build" not in service:
            yield service["image"]
    yield from re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)


def full_name(image: str) -> str:
    """Return an image's name with its registry: `redis:7` is `docker.io/library/redis:7`."""
    return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"


def make_base(engine: Engine, home: Path) -> None:
    """Make the smallest Debian, of the release and from the mirror of this machine."""
    codename, mirror = debian_release()
    tag = f"{LOCAL}/base:{hashlib.sha256(f'{codename} {mirror}'.encode()).hexdigest()[:12]}"
    if engine.call("image", "exists", tag, check=False).returncode != 0:
        say(f"a Debian {codename} to stand on (about half a minute) …")
        tree = home / "base"
        shutil.rmtree(tree, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", codename, str(tree), mirror]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
        if done.returncode != 0:
            raise TryError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr}")
        archive = home / "base.tar"
        subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True, timeout=BUILD_SECONDS)
        engine.call("import", "--quiet", str(archive), tag, within=BUILD_SECONDS)
        archive.unlink()
        shutil.rmtree(tree)
    engine.call("tag", tag, f"{LOCAL}/base")
