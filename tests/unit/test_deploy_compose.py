"""compose.yaml says what is promised of it. That its services work is tried by the integration tests."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.compose_file import (
    COMPOSE_FILE,
    ROOT,
    MissingVariableError,
    interpolate,
    load_compose,
    variables_of_compose,
)
from tests.support.documents import DOCS, read

SCHEMA = ROOT / "tests" / "data" / "compose-spec.json"
SECRETS = (
    "API_DB_PASSWORD",
    "API_KEYS",
    "CACHE_REDIS_PASSWORD",
    "GRAFANA_ADMIN_PASSWORD",
    "LISTENER_DB_PASSWORD",
    "POSTGRES_PASSWORD",
)
FILLED_IN = {name: f"some-{name.lower()}" for name in SECRETS}
ONE_SHOT = {"migrate", "seed"}
OURS = {"migrate", "seed", "listener", "api"}


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file with its required secrets and nothing else filled in."""
    return load_compose(FILLED_IN)


def test_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    """The file follows the schema of the compose specification, before and after its variables are filled in."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for document in (yaml.safe_load(COMPOSE_FILE.read_text()), compose):
        assert [error.message for error in validator.iter_errors(document)] == []


def test_the_schema_finds_a_mistake(compose: dict[str, Any]) -> None:
    """The schema is strict: a misspelt key of a service does not pass it."""
    compose["services"]["api"]["heathcheck"] = compose["services"]["api"].pop("healthcheck")
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert not validator.is_valid(compose)


def test_redis_is_started_and_checked_as_ever(compose: dict[str, Any]) -> None:
    """Redis' image, command, port, volume and health check are the ones that operators know."""
    redis = compose["services"]["redis"]
    assert redis["image"] == "redis:7-alpine"
    assert redis["command"] == "redis-server --appendonly yes --maxmemory 256mb --maxmemory-policy allkeys-lru"
    assert redis["volumes"] == ["redis_data:/data"]
    assert redis["ports"] == ["127.0.0.1:6379:6379"]
    assert redis["healthcheck"] == {
        "test": ["CMD", "redis-cli", "ping"],
        "interval": "10s",
        "timeout": "3s",
        "retries": 3,
    }


def test_the_programs_have_the_redis_user_of_the_documentation(compose: dict[str, Any]) -> None:
    """As which they log in; behind a prefix, it is about the keys and channels that have it."""
    shell, option, script, _ = compose["services"]["redis"]["entrypoint"]
    assert (shell, option) == ("sh", "-c")
    _, user, on, password, *rules = shlex.split(script[script.index("--user") :])
    assert password == ">$CACHE_REDIS_PASSWORD"
    (documented,) = read(DOCS / "operations.md").section("which-redis-commands-does-it-need", "sh")
    _, _, _, name, reset, *rest = shlex.split(documented.replace("\\\n", " "))
    assert [user, "reset", on] == [name, reset, rest[0]]
    unprefixed = [rule.replace("${CACHE_PREFIX}", "", 1) for rule in rules]
    assert sorted(unprefixed) == sorted(rest[2:])
    assert all(("${CACHE_PREFIX}" in rule) is (rule[0] in "~&") for rule in rules)
    for program in ("api", "listener"):
        assert compose["services"][program]["environment"]["REDIS_USERNAME"] == user


def test_has_all_parts_of_the_system(compose: dict[str, Any]) -> None:
    """Two listeners, two replicas behind nginx on 8000, a one-shot migration; the monitoring only when asked for."""
    services = compose["services"]
    always = {name for name, service in services.items() if "profiles" not in service}
    assert always == {"postgres", "redis", "migrate", "listener", "api", "nginx"}
    monitoring = {name for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    assert monitoring == {"prometheus", "grafana"}
    assert services["listener"]["scale"] == services["api"]["scale"] == 2
    assert services["nginx"]["ports"] == ["8000:8000"]


def test_a_service_of_several_containers_names_and_publishes_nothing(compose: dict[str, Any]) -> None:
    """`--scale api=N` works: nothing that only one container may have is asked for."""
    for name in ("api", "listener"):
        assert not {"container_name", "ports", "hostname"} & compose["services"][name].keys()


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    """Each long-running service says how to see that it works; what runs once exits instead."""
    for name, service in compose["services"].items():
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name
        if name in ONE_SHOT:
            assert service["restart"] == "no"


def test_starts_in_the_order_of_health(compose: dict[str, Any]) -> None:
    """Everything waits for what it needs to be healthy, or to have finished where it runs once."""
    needs = {name: service.get("depends_on", {}) for name, service in compose["services"].items()}
    for name, wanted in needs.items():
        for other, how in wanted.items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how == {"condition": expected}, f"{name} needs {other}"
    assert needs["migrate"].keys() == {"postgres"}
    assert needs["api"].keys() == needs["listener"].keys() == {"redis", "migrate"}
    assert needs["nginx"].keys() == {"api"}


@pytest.mark.parametrize("name", SECRETS)
def test_does_not_start_without_a_secret(name: str) -> None:
    """A missing or empty secret is refused by its name, with a word on what to do."""
    for incomplete in ({**FILLED_IN, name: ""}, {key: value for key, value in FILLED_IN.items() if key != name}):
        with pytest.raises(MissingVariableError, match=rf"^{name} .*new-env\.sh"):
            load_compose(incomplete)


def test_no_other_variable_is_required() -> None:
    """With the secrets alone the file is complete: each other variable has a default."""
    named = variables_of_compose()
    assert {name for name, operators in named.items() if ":?" in operators} == set(SECRETS)
    assert all(operators <= {":-", ":?"} for operators in named.values())


def test_each_program_gets_its_own_secrets_alone() -> None:
    """No service is handed a secret that it does not use; a superuser's stays with its server and the migration."""
    given = {**FILLED_IN, "REDIS_PASSWORD": "the-operators'"}
    holders = {
        name: {secret for secret, value in given.items() if value in json.dumps(service)}
        for name, service in load_compose(given)["services"].items()
    }
    assert {name: sorted(held) for name, held in holders.items() if held} == {
        "postgres": ["POSTGRES_PASSWORD"],
        "migrate": ["API_DB_PASSWORD", "LISTENER_DB_PASSWORD", "POSTGRES_PASSWORD"],
        "seed": ["POSTGRES_PASSWORD"],
        "redis": ["CACHE_REDIS_PASSWORD", "REDIS_PASSWORD"],
        "listener": ["CACHE_REDIS_PASSWORD", "LISTENER_DB_PASSWORD"],
        "api": ["API_DB_PASSWORD", "API_KEYS", "CACHE_REDIS_PASSWORD"],
        "grafana": ["GRAFANA_ADMIN_PASSWORD"],
    }


def test_nothing_but_the_api_is_published_beyond_this_machine(compose: dict[str, Any]) -> None:
    """Databases and monitoring are reached from the loopback address alone."""
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert name == "nginx" or port.startswith("127.0.0.1:"), f"{name} {port}"


def test_containers_may_do_no_more_than_they_need(compose: dict[str, Any]) -> None:
    """No new privileges, no capabilities and a read-only root, save where an image's own start wants more."""
    for name, service in compose["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is (name != "grafana"), name
        assert ("cap_add" in service) == (name == "postgres"), name


def test_data_is_on_named_volumes(compose: dict[str, Any]) -> None:
    """What must outlive a container is on a declared volume, and each declared volume is used."""
    used = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == compose["volumes"].keys() == {"postgres_data", "redis_data", "prometheus_data", "grafana_data"}


def test_what_is_mounted_from_here_exists(compose: dict[str, Any]) -> None:
    """Each directory of the repository that a container sees is there, and is read-only to it."""
    mounts = [
        volume
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    assert mounts
    for mount in mounts:
        source, _, mode = mount.split(":")
        assert (ROOT / source).is_dir(), mount
        assert mode == "ro", mount


def test_programs_have_time_to_leave(compose: dict[str, Any]) -> None:
    """A program is given more than the ten seconds that it may take to end."""
    for name in (*OURS, "nginx"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > 10, name


def test_images_are_of_one_version_each(compose: dict[str, Any]) -> None:
    """Every image that is not ours carries a version, so that two starts give the same system."""
    for name, service in compose["services"].items():
        if name in OURS:
            assert service["build"] == "."
        else:
            assert re.search(r":v?\d+(\.\d+)*(-alpine)?$", service["image"]), service["image"]


def test_the_image_takes_in_what_the_dockerfile_copies() -> None:
    """Everything that the Dockerfile copies passes .dockerignore, and nothing else does."""
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and not line.startswith("COPY --from")
        for source in line.split()[1:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert copied == {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert [source for source in copied if not Path(ROOT / source).exists()] == []


def test_the_image_is_not_run_as_root() -> None:
    """The image's last user is a number other than 0."""
    users = [line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("USER ")]
    assert users
    assert int(users[-1].partition(":")[0]) > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A ${A} ${B}", "a a "),
        ("${A:-d} ${B:-d} ${E:-d} ${E-d}", "a d d "),
        ("${A:+x} ${B:+x} ${E:+x}", "x  "),
        ("${A:?m} $$A $${A}", "a $A ${A}"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, expected: str) -> None:
    """The reader of these tests knows the forms of the compose specification."""
    assert interpolate(text, {"A": "a", "E": ""}) == expected
