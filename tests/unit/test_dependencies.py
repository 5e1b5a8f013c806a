"""What the project depends on is fixed to the byte, may be used, and is asked about where there is somebody to ask."""

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageMetadata
from typing import cast

import pytest

from tests.support.compose_file import ROOT
from tests.support.dependencies import audit, loose, unlicensed

WHEEL = {"hash": "sha256:00"}
PYPI = {"registry": "https://pypi.org/simple"}


def test_every_package_may_be_used_and_is_fixed() -> None:
    """Each licence is an allowed one, each file has its hash."""
    assert audit().complaints == []


def test_what_is_asked_for_has_an_upper_bound() -> None:
    """A release of somebody else's next year is not a surprise, save where versions are dates, or types alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    open_ended = [each for each in asked if "<" not in each.partition(";")[0] and "==" not in each]
    assert open_ended == ["structlog>=25.5"]


@pytest.mark.parametrize(
    ("package", "complaint"),
    [
        ({"source": {"git": "https://example.com/x"}, "wheels": [WHEEL]}, "not from the public registry"),
        ({"source": PYPI, "wheels": [WHEEL, {"url": "x"}]}, "without a SHA-256"),
        ({"source": PYPI}, "without a SHA-256"),
    ],
)
def test_what_is_loose_is_found(package: dict[str, object], complaint: str) -> None:
    """Another source, or a file without a hash."""
    (said,) = loose({"name": "x", **package})
    assert complaint in said
    assert list(loose({"name": "x", "source": PYPI, "sdist": WHEEL})) == []


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"License-Expression": "MIT"}, True),
        ({"License-Expression": "GPL-3.0-only"}, False),
        ({"License-Expression": "GPL-3.0-only OR MIT"}, True),
        ({"License-Expression": "MIT AND GPL-3.0-only"}, False),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, True),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v2 (GPLv2)"}, False),
        ({"License": "Ask us"}, False),
        ({}, False),
    ],
)
def test_a_licence_that_nobody_allowed_is_found(headers: dict[str, str], fine: bool) -> None:
    """Whichever way the package tells of it; also where it tells of none."""
    metadata = Message()
    for name, value in headers.items():
        metadata[name] = value
    assert list(unlicensed("x", cast("PackageMetadata", metadata))) == [] or not fine
    assert fine or len(list(unlicensed("x", cast("PackageMetadata", metadata)))) == 1


@contextmanager
def database(known: dict[str, str] | None) -> Iterator[str]:
    """A server that knows of these vulnerabilities, by package; of None it has nothing to say but 500."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            hits = [(known or {}).get(each["package"]["name"]) for each in asked]
            self.answer({"results": [{"vulns": [{"id": hit, "modified": DAY}]} if hit else {} for hit in hits]})

        def do_GET(self) -> None:
            self.answer({"id": self.path.rpartition("/")[2], "modified": DAY, "published": DAY, "affected": []})

        def answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(500 if known is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


DAY = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("known", "code", "said"),
    [
        ({}, 0, "Found no known vulnerabilities"),
        ({"click": "GHSA-x"}, 1, "click"),
        (None, 0, "Known vulnerabilities were NOT looked up: "),
    ],
)
def test_known_vulnerabilities_are_asked_for(known: dict[str, str] | None, code: int, said: str) -> None:
    """None known is fine, a known one is red; and a database that does not answer is said, and is not red."""
    with database(known) as url:
        done = subprocess.run(
            [ROOT / "scripts" / "audit", "--service-url", url],
            env={**os.environ, "VENV_PYTHON": sys.executable, "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
