"""docs/http.md, compared with what the service declares."""

import ast
from typing import get_args

from service.app import create_app
from service.openapi.errors import KINDS
from service.parameters import Status
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from tests.support.api import settings_for
from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, read

PAGE = DOCS / "http.md"


def test_every_path_is_there() -> None:
    """The page names each path that the application answers."""
    app = create_app(settings_for("postgresql://nowhere/none", "redis://nowhere"), on_failure=lambda: None)
    paths = [str(getattr(route, "path", "")).replace(":path}", "}") for route in app.routes]
    assert len(paths) > 8
    text = PAGE.read_text()
    assert [path for path in paths if path not in text] == []


def test_every_parameter_is_there() -> None:
    """The page names each parameter of each route, and each status."""
    text = PAGE.read_text()
    for question in (ANOMALIES, ANOMALY, TRANSACTIONS):
        for name in question.parameters.model_fields:
            assert f"`{name}`" in text or f"{{{name}}}" in text
    assert [status for status in get_args(Status) if f"`{status}`" not in text] == []


def test_every_error_is_in_the_table() -> None:
    """The table has each kind of problem that the service raises, and no other; so has the OpenAPI document."""
    raised = set()
    for file in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Problem"), args=[_, ast.Constant(value=str() as kind), *_]):
                    raised.add(kind)
                case ast.Call(
                    func=ast.Name(id="unavailable" | "DatabaseUnavailable"),
                    args=[ast.Constant(value=str() as kind), *_],
                ):
                    raised.add(kind)
    rows = [line.split("|") for line in read(PAGE).prose if line.startswith(("| 4", "| 5"))]
    assert {row[2].strip().strip("`") for row in rows} == raised == set(KINDS)
    assert {row[2].strip().strip("`"): int(row[1]) for row in rows} == {
        name: int(kind.status) for name, kind in KINDS.items()
    }
