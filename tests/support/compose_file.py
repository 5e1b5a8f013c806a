"""compose.yaml as Compose reads it: variables filled in, merge keys resolved."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "compose.yaml"

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-?+])(?P<operand>[^{}]*))?\})"
)


class MissingVariableError(Exception):
    """A variable that compose.yaml requires (`${NAME:?message}`) is not set."""


def load_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return compose.yaml with these variables filled in; raises MissingVariableError for a required one."""
    filled: dict[str, Any] = _fill(yaml.safe_load(COMPOSE_FILE.read_text()), variables)
    return filled


def variables_of_compose() -> dict[str, set[str]]:
    """Return the variables that compose.yaml names, each with the operators it is used with ("" for none)."""
    named: dict[str, set[str]] = {}
    text = "\n".join(line for line in COMPOSE_FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    for found in _VARIABLE.finditer(text):
        name = found["name"] or found["bare"]
        if name and not text.startswith("$", found.start() - 1):
            named.setdefault(name, set()).add(found["operator"] or "")
    return named


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in `$NAME`, `${NAME}` and its forms with `:-`, `-`, `:?`, `?`, `:+` and `+`; `$$` is a dollar."""
    return _VARIABLE.sub(lambda found: _value(found, variables), text)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    name, operator, operand = found["name"] or found["bare"], found["operator"] or "", found["operand"] or ""
    value = variables.get(name)
    if operator.startswith(":") and value == "":
        value = None
    match operator[-1:]:
        case "?" if value is None:
            raise MissingVariableError(f"{name} {operand}")
        case "-" if value is None:
            return operand
        case "+":
            return "" if value is None else operand
    return value or ""


def _fill(node: Any, variables: Mapping[str, str]) -> Any:
    match node:
        case str():
            return interpolate(node, variables)
        case dict():
            return {key: _fill(value, variables) for key, value in node.items()}
        case list():
            return [_fill(value, variables) for value in node]
    return node
