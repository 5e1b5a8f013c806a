"""What the project depends on, by uv.lock: under which licences, and fixed to the byte. `scripts/audit` runs it."""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, distributions
from typing import Any

from tests.support.compose_file import ROOT

REGISTRY = {"registry": "https://pypi.org/simple"}
OURS = "anomaly-cache"

PERMISSIVE = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "PSF-2.0", "ISC", "0BSD", "Unlicense"}
WEAK_COPYLEFT = {"LGPL-3.0-only", "MPL-2.0"}
"""Licences that ask nothing of a program that uses the package unchanged."""

TOOLS = {"libfaketime", "podman-compose"}
"""Programs that tests run, under the GPL: nothing of them is in what is released, nor asked for by it."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
}
WORDS = {"3-Clause BSD License": "BSD-3-Clause"}
UNTOLD = {"axe-playwright-python": "MIT AND MPL-2.0", "promql-parser": "MIT"}
"""Packages whose metadata are silent; what the licence in their archive says."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How many packages there are, which of them are not installed here, and what is wrong."""

    packages: int
    absent: list[str]
    complaints: list[str]


def audit() -> Audit:
    """Look at each package of the lock."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    found = {normal(each.metadata["Name"]): each.metadata for each in distributions()}
    packages = [package for package in lock["package"] if package["name"] != OURS]
    absent = [package["name"] for package in packages if package["name"] not in found]
    complaints = [line for package in packages for line in loose(package)]
    complaints += [
        line
        for package in packages
        if package["name"] in found
        for line in unlicensed(package["name"], found[package["name"]])
    ]
    return Audit(len(packages), absent, complaints)


def loose(package: dict[str, Any]) -> Iterator[str]:
    """Yield what leaves it open what will be installed for a package of the lock."""
    if package["source"] != REGISTRY:
        yield f"{package['name']}: is not from the public registry, but from {package['source']}"
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    if not files or not all(file.get("hash", "").startswith("sha256:") for file in files):
        yield f"{package['name']}: has files without a SHA-256 in uv.lock"


def unlicensed(name: str, metadata: PackageMetadata) -> Iterator[str]:
    """Yield what speaks against a package's licence. Of `A OR B` one is enough; of `A AND B` both count."""
    expression = licence(name, metadata)
    allowed = PERMISSIVE | WEAK_COPYLEFT
    choices = [choice.split(" AND ") for choice in expression.split(" OR ")]
    if name not in TOOLS and not any(set(choice) <= allowed for choice in choices):
        yield f"{name}: its licence is {expression or 'not told'}, which nobody has allowed"


def licence(name: str, metadata: PackageMetadata) -> str:
    """Return a package's licence as an SPDX expression; as it calls it where that is no known name."""
    if expression := metadata["License-Expression"]:
        return expression
    told = [each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if each.startswith("License")]
    named = [CLASSIFIERS[each] for each in told if each in CLASSIFIERS]
    return " AND ".join(named) or WORDS.get(metadata["License"] or "", UNTOLD.get(name, metadata["License"] or ""))


def normal(name: str) -> str:
    """Return a package's name as the lock has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print what was found; exit with 1 where something is wrong."""
    done = audit()
    for line in done.complaints:
        sys.stderr.write(f"{line}\n")
    elsewhere = f"; not installed on this machine, and not read: {', '.join(done.absent)}" if done.absent else ""
    sys.stdout.write(f"{done.packages} packages: {len(done.complaints)} complaints of licences and hashes{elsewhere}\n")
    sys.exit(1 if done.complaints else 0)


if __name__ == "__main__":
    main()
