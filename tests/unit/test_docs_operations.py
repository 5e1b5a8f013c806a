"""docs/operations.md names things that exist: metrics, log lines, settings, files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly_cache.admin import AdminSettings
from coherence.settings import CoherenceSettings
from listener.metrics import Metrics as ListenerMetrics
from listener.settings import ListenerSettings
from listener.status import Status
from service.metrics import Metrics as ServiceMetrics
from service.queries import NAMESPACES
from service.settings import ServiceSettings
from tests.support.compose_file import ROOT, variables_of_compose
from tests.support.documents import DOCS, Document, read
from tests.unit.test_deploy_monitoring import check, labels_by_metric

OF_POSTGRES = {"ON_ERROR_STOP"}
OF_OPENTELEMETRY = {"OTEL_SERVICE_NAME"}
OF_THE_EXAMPLES = {"KEY", "ADMIN"}
PROGRAMS = ("coherence", "listener", "service")
METRIC = re.compile(r"(?:sum|rate|histogram_quantile).*|(?:cache|listener|http)_\w+(?:\{.*\})?")


@pytest.fixture(scope="module")
def page() -> Document:
    """docs/operations.md."""
    return read(DOCS / "operations.md")


def expressions(page: Document) -> list[str]:
    """Every PromQL expression and every metric on the page."""
    inline = [code for code in page.code if METRIC.fullmatch(code)]
    return [*(block.text for block in page.blocks if block.language == "promql"), *inline]


def test_every_expression_reads_what_is_exported(page: Document) -> None:
    """What an operator pastes into Prometheus parses, and names metrics and labels that there are."""
    registries = (ServiceMetrics(NAMESPACES)._registry, ListenerMetrics(Status()).registry)
    exported = {name: labels for registry in registries for name, labels in labels_by_metric(registry)}
    found = expressions(page)
    assert len(found) > 15
    for expression in found:
        check(expression, exported)


def strings_of_the_programs() -> Iterator[re.Pattern[str]]:
    """Every string in the programs' sources, as a pattern: what is filled in may be anything."""
    for package in PROGRAMS:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield re.compile(re.escape(node.value))
                elif isinstance(node, ast.JoinedStr):
                    yield re.compile("".join(_pattern(part) for part in node.values))


def _pattern(part: ast.expr) -> str:
    return re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"


def test_every_log_line_is_written_somewhere(page: Document) -> None:
    """The first column of the tables of log lines holds what the programs' sources have."""
    start = page.prose.index("## What do the log lines mean?")
    end = page.prose.index("## How do I tune it?")
    rows = [line.split("|")[1] for line in page.prose[start:end] if line.startswith("| `")]
    named = [code for row in rows for code in re.findall(r"`([^`]+)`", row) if " " in code]
    assert len(named) > 15
    known = list(strings_of_the_programs())
    assert [line for line in named if not any(pattern.fullmatch(line) for pattern in known)] == []


def test_every_setting_exists(page: Document) -> None:
    """A name in capitals with an underscore is a setting of a program, or a variable of compose.yaml."""
    text = "\n".join([*page.prose, *(block.text for block in page.blocks if block.language == "sh")])
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text))
    settings = (CoherenceSettings, ServiceSettings, ListenerSettings, AdminSettings)
    known = {name.upper() for kind in settings for name in kind.model_fields} | set(variables_of_compose())
    assert named - known - OF_POSTGRES - OF_OPENTELEMETRY - OF_THE_EXAMPLES == set()


def test_every_file_exists(page: Document) -> None:
    """A path of the repository in a command or a sentence is there."""
    texts = [*page.code, *(line for block in page.blocks for line in block.lines)]
    named = {Path(found) for text in texts for found in re.findall(r"\b(?:deploy|sql|scripts)/[\w./-]*", text)}
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []
