"""The OpenAPI document: valid, complete, and made of what the service really does."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.routing import Route

from service.app import create_app
from service.openapi.document import document
from service.openapi.operations import JSON
from service.queries import ANOMALIES, NAMESPACES
from service.routes.resource import Resource
from tests.support.api import settings_for


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The document."""
    return document()


def application(console: str = "on") -> Starlette:
    """Return the application, which has nothing to connect to."""
    settings = settings_for("postgresql://nowhere/none", "redis://nowhere", console=console)
    return create_app(settings, on_failure=lambda: None)


@pytest.fixture(scope="module")
def app() -> Starlette:
    """The application, as it is by default."""
    return application()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each operation with its path."""
    for path, methods in described["paths"].items():
        for operation in methods.values():
            yield path, operation


def references(part: Any) -> Iterator[str]:
    """Return what is referred to."""
    if isinstance(part, dict):
        yield from (part["$ref"],) if isinstance(part.get("$ref"), str) else ()
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_is_openapi_3_1(described: dict[str, Any]) -> None:
    """As its meta-schema, and the rules that this cannot say, have it."""
    assert described["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []


def answered(app: Starlette) -> Iterator[tuple[str, set[str]]]:
    """Return each path that is answered, with its methods: HEAD, OPTIONS and a slash too many go without saying."""
    for route in app.routes:
        assert isinstance(route, Route)
        resource = route.app
        assert isinstance(resource, Resource)
        if not resource.template.endswith("/"):
            yield resource.template, {method.lower() for method in resource._handlers} - {"head", "options"}


def test_every_method_of_every_route_is_there(described: dict[str, Any], app: Starlette) -> None:
    """And nothing else."""
    assert {path: set(methods) for path, methods in described["paths"].items()} == dict(answered(app))


async def test_what_is_served_without_a_console_has_none() -> None:
    """What CONSOLE=off leaves out is not described either, and the rest is valid by itself."""
    app = application(console="off")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as client:
        served = (await client.get("/openapi.json")).json()
    assert {path: set(methods) for path, methods in served["paths"].items()} == dict(answered(app))
    assert not [path for path in served["paths"] if "console" in path]
    assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []


def test_all_that_is_referred_to_is_there_and_the_other_way_round(described: dict[str, Any]) -> None:
    """No component is of no use, but for what no method of a path answers: a 405, and the error of an OPTIONS."""
    there = {f"#/components/{kind}/{name}" for kind, parts in described["components"].items() for name in parts}
    named = set(references(described))
    assert named <= there
    assert there - named == {
        "#/components/securitySchemes/ApiKey",
        "#/components/headers/Allow",
        "#/components/examples/method-not-allowed",
        "#/components/examples/preflight-refused",
    }


def test_names_of_operations_are_words(described: dict[str, Any]) -> None:
    """Programs are made of them; no two are the same."""
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    assert "get_anomalies_by_transaction_id" in names


def test_what_needs_a_key_says_so(described: dict[str, Any]) -> None:
    """All below /api, and nothing else; and it may be a 401."""
    for path, operation in operations(described):
        needs_key = path.startswith("/api/")
        assert bool(operation["security"]) is needs_key
        assert ("401" in operation["responses"]) is needs_key
        assert ("403" in operation["responses"]) is (operation["security"] == [{"ApiKey": ["admin"]}])


def test_every_operation_has_the_errors_of_any_request(described: dict[str, Any]) -> None:
    """As problem documents, each with an example of its own status."""
    examples = described["components"]["examples"]
    for _, operation in operations(described):
        assert {"400", "414", "431", "500"} <= operation["responses"].keys()
        for status, response in operation["responses"].items():
            problem = response.get("content", {}).get("application/problem+json")
            assert (problem is not None) is (int(status) >= 400) or operation["operationId"] == "get_readyz"
            for example in (problem or {"examples": {}})["examples"].values():
                assert examples[example["$ref"].rpartition("/")[2]]["value"]["status"] == int(status)


def test_every_answer_and_body_has_an_example_that_is_one(described: dict[str, Any]) -> None:
    """Of all its members, and no others, each as the schema has it; and an error's, too."""
    known = described["components"]
    shown = 0
    for _, operation in operations(described):
        taken = [operation["requestBody"]] if "requestBody" in operation else []
        for part in (*taken, *operation["responses"].values()):
            for content in part.get("content", {}).values():
                if "$ref" not in content["schema"]:
                    continue
                schema = {**content["schema"], "components": known}
                refs = [each["$ref"].rpartition("/")[2] for each in content.get("examples", {}).values()]
                examples = [known["examples"][name]["value"] for name in refs] or [content["example"]]
                for example in examples:
                    Draft202012Validator(schema).validate(example)
                    shown += 1
                    model = known["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                    assert example.keys() <= model.get("properties", example).keys()
    assert shown > 100
    assert described["paths"]["/readyz"]["get"]["responses"]["503"]["content"][JSON]["example"]["status"] == "unready"


def test_it_says_what_it_is_itself(described: dict[str, Any]) -> None:
    """Schemathesis leaves out where it found the description."""
    answered = described["paths"]["/openapi.json"]["get"]["responses"]["200"]["content"][JSON]
    assert answered["schema"]["type"] == "object"


def test_parameters_are_what_is_checked(described: dict[str, Any]) -> None:
    """Bounds, defaults and choices."""
    parameters = {each.get("name"): each for each in described["paths"][ANOMALIES.path]["get"]["parameters"]}
    assert parameters["limit"]["schema"] == {"default": 100, "maximum": 1000, "minimum": 1, "type": "integer"}
    assert parameters["min_score"]["schema"].items() >= {"maximum": 1, "minimum": 0, "type": "number"}.items()
    assert "NEW" in parameters["status"]["schema"]["enum"]
    choices = described["components"]["schemas"]["Invalidation"]["oneOf"]
    assert {choice["properties"]["namespace"]["const"] for choice in choices} == NAMESPACES


async def test_it_is_served_to_anybody(app: Starlette, described: dict[str, Any]) -> None:
    """With a tag, and small where gzip is taken."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as client:
        response = await client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert response.json() == json.loads(json.dumps(described))
        assert int(response.headers["content-length"]) < 10_000
        again = await client.get("/openapi.json", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
