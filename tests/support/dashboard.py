"""The Grafana dashboard of `deploy/`, as tests look at it."""

import json
from typing import Any

from tests.support.compose_file import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "anomaly-cache.json").read_text())
ROWS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: dict[str, dict[str, Any]] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}


def queries() -> dict[str, list[str]]:
    """Return the queries of each panel, as Grafana sends them when all instances are chosen."""
    return {panel["title"]: [everywhere(target["expr"]) for target in panel["targets"]] for panel in PANELS}


def everywhere(expression: str) -> str:
    """Return an expression with the variable for the instance filled in, for all of them."""
    return expression.replace("$instance", VARIABLES["instance"]["allValue"])
