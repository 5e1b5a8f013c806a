"""Alert rules and dashboard: every expression is PromQL, and what it reads is what the system exports."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Info

from listener.metrics import Metrics as ListenerMetrics
from listener.status import Status
from service.metrics import Metrics as ServiceMetrics
from tests.support.compose_file import ROOT, load_compose
from tests.support.dashboard import DASHBOARD, GRAFANA, PANELS, ROWS, VARIABLES
from tests.support.promql import selected_by
from tests.support.tools import tool
from tests.unit.test_deploy_compose import FILLED_IN

PROMETHEUS = ROOT / "deploy" / "prometheus"
OF_PROMETHEUS = {"up": frozenset[str]()}
OF_THE_PROCESS = {"process_cpu_seconds_total": frozenset[str](), "process_resident_memory_bytes": frozenset[str]()}
OF_EVERY_TARGET = {"job", "instance"}

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]
]


def labels_by_metric(registry: CollectorRegistry) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each name that a registry exports, with the labels that it carries."""
    for name, collector in registry._names_to_collectors.items():
        labels = frozenset(getattr(collector, "_labelnames", ()))
        if isinstance(collector, Info):
            labels |= collector._value.keys()
        yield name, labels | {"le"} if name.endswith("_bucket") else labels


@pytest.fixture(scope="module")
def exported() -> dict[str, frozenset[str]]:
    """The names that the API and the listener export, with their labels."""
    api = ServiceMetrics(["anomalies", "transactions"])._registry
    return dict([*labels_by_metric(api), *labels_by_metric(ListenerMetrics(Status()).registry)])


def check(expression: str, exported: dict[str, frozenset[str]]) -> None:
    """Fail unless the expression parses and reads nothing but exported metrics, by labels that they have."""
    selected = selected_by(expression)
    assert selected, f"{expression} reads no metric"
    for one in selected:
        known = exported | OF_PROMETHEUS | OF_THE_PROCESS
        assert one.metric in known, f"nobody exports {one.metric}"
        assert one.labels <= known[one.metric] | OF_EVERY_TARGET, f"{one.metric} has no {set(one.labels)}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_read_what_is_exported(rule: dict[str, Any], exported: dict[str, frozenset[str]]) -> None:
    """An alert's expression can fire: its metrics and their labels exist."""
    check(rule["expr"], exported)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_read_what_is_exported(panel: dict[str, Any], exported: dict[str, frozenset[str]]) -> None:
    """A panel shows something: its metrics exist, and its legend names labels that are kept."""
    assert panel["targets"]
    for target in panel["targets"]:
        check(target["expr"], exported)
        kept = frozenset().union(*(one.labels for one in selected_by(target["expr"]))) | OF_EVERY_TARGET
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


@pytest.mark.parametrize(
    "wrong",
    ["sum(rate(cache_hits_total[5m])", "cache_hits", "cache_hit_total", "sum by (layer) (cache_hits_total)"],
)
def test_a_wrong_expression_is_found(wrong: str, exported: dict[str, frozenset[str]]) -> None:
    """The check is worth something: bad syntax, an unknown name and a label that is not there fail it."""
    exported = {name: labels for name, labels in exported.items() if name != "cache_hits"}
    with pytest.raises((ValueError, AssertionError)):
        check(wrong, exported)


def test_alerts_cover_what_can_go_wrong() -> None:
    """There is an alert for each way in which the cache stops helping."""
    assert {rule["alert"] for rule in RULES} == {
        "CacheListenerNotActive",
        "CacheListenerWithoutStandby",
        "CacheLeaseMissing",
        "CacheStalenessAboveBound",
        "CacheAuditViolation",
        "CacheListenerDeaf",
        "CacheTableNotWatched",
        "CacheInvalidationSlow",
        "CacheFenceSlow",
        "PostgresNotificationQueueFilling",
        "CacheErrors",
        "CacheRedisDown",
        "CacheHitRateLow",
        "CacheLoadsShed",
        "ApiUnready",
        "ApiErrors",
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_say_what_to_do(rule: dict[str, Any]) -> None:
    """Each alert has a severity, a summary, a description and its own section in the operations guide."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    anchor = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"]).lower()
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{anchor}"


def test_prometheus_finds_all_containers_of_the_programs() -> None:
    """It asks DNS for every API replica and listener, on the ports where compose.yaml has them listen."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    services = load_compose(FILLED_IN)["services"]
    found = {
        job["job_name"]: [(names, sd["port"]) for sd in job["dns_sd_configs"] for names in sd["names"]]
        for job in configuration["scrape_configs"]
    }
    assert found == {
        "api": [("api", int(services["api"]["environment"]["API_PORT"]))],
        "listener": [("listener", int(services["listener"]["environment"]["LISTENER_HEALTH_PORT"]))],
    }
    assert configuration["rule_files"] == ["rules.yml"]


def test_alerts_ask_for_jobs_that_are_scraped() -> None:
    """A job named in an alert is one of Prometheus' jobs."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in configuration["scrape_configs"]}
    named = {job for rule in RULES for job in re.findall(r'job="(\w+)"', rule["expr"])}
    assert named <= jobs


@pytest.mark.parametrize(
    "command", [["check", "config", "prometheus.yml"], ["test", "rules", "rules.test.yml"]], ids=" ".join
)
def test_promtool_takes_them_and_they_fire(command: list[str]) -> None:
    """Prometheus' own tool checks configuration and rules, and runs the rules' own tests."""
    done = subprocess.run(
        [tool("promtool"), *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_of_its_own() -> None:
    """The rules' tests name each alert twice at least: where it fires, and where it must not."""
    tests = yaml.safe_load((PROMETHEUS / "rules.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    every = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == every
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == every


def test_the_hit_rate_is_the_familiar_one() -> None:
    """The first panel shows the hit rate as operators have always computed it."""
    expected = """
        (sum(rate(cache_hits_total[5m]))
        / (sum(rate(cache_hits_total[5m])) + sum(rate(cache_misses_total[5m])))) * 100
    """
    assert squeezed(PANELS[0]["targets"][0]["expr"]) == squeezed(expected)


def test_grafana_finds_dashboard_and_datasource() -> None:
    """The provider's path is where compose.yaml mounts the dashboard, and its datasource is the provisioned one."""
    grafana = load_compose(FILLED_IN)["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    [provider] = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "anomaly-cache.yml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/anomaly-cache.json"
    [source] = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    chosen = VARIABLES["datasource"]
    assert (chosen["query"], chosen["current"]["value"]) == (source["type"], source["uid"])
    used = {target["datasource"]["uid"] for panel in PANELS for target in (panel, *panel["targets"])}
    assert used == {"${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_can_be_read(panel: dict[str, Any]) -> None:
    """Each says in which unit its numbers are, what is good of them, and what they mean."""
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panel["description"]
    assert all(target["legendFormat"] for target in panel["targets"])


def test_each_row_has_panels_of_its_own() -> None:
    """The dashboard is laid out in rows, none empty, and no two panels have the same title."""
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    tops = [row["gridPos"]["y"] for row in ROWS]
    assert tops == sorted(set(tops))
    for top, following in zip(tops, [*tops[1:], float("inf")], strict=True):
        assert any(top < panel["gridPos"]["y"] < following for panel in PANELS)


def test_panels_do_not_overlap() -> None:
    """Each panel has a number and a place of its own, within the grid."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def squeezed(text: str) -> str:
    """Return a text without its white space."""
    return "".join(text.split())
