"""docs/configuration.md, made from the settings classes. `scripts/configuration` writes it."""

import sys
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import ByteSize, SecretStr
from pydantic.fields import FieldInfo

from anomaly_cache.admin import AdminSettings
from coherence.settings import CoherenceSettings
from listener.settings import ListenerSettings
from service.settings import ServiceSettings

_HEAD = """\
# Configuration

Made from the settings classes by `scripts/configuration`; a test fails where this page is out of date.

Every setting is an environment variable, or a line `NAME=value` of the file `.env` in the directory where the program
starts; the environment goes before the file. An empty variable counts as unset. A wrong value ends the program at once
with exit code 2 and one line for each variable, which names it and quotes no secret.

```sh
anomaly-cache config                  # what is in effect here, and where each value is from; secrets hidden
anomaly-cache config --for listener   # of one program only
```

[`.env.example`](../.env.example) has them all, ready to copy, with those of `compose.yaml`. What to set them to, and
when to change them, is in [operations](operations.md).

`CACHE_PREFIX`, `CACHE_MAX_STALENESS_SECONDS` and where Redis is must be the same for the API and the listener; a
program of your own that uses [`coherence`](add-to-your-service.md) reads the first group, too. Postgres' connections
also heed libpq's own variables, such as `PGPASSWORD`, `PGPASSFILE` and `PGSSLROOTCERT`, where the URL leaves something
out.
"""

_GROUPS: tuple[tuple[str, str, type[CoherenceSettings]], ...] = (
    ("Every program", "", CoherenceSettings),
    (
        "The API",
        "Read by `anomaly-cache api` and `python -m service`; by uvicorn's workers too, which know their own address.",
        ServiceSettings,
    ),
    ("The listener", "Read by `anomaly-cache listener` and `python -m listener`.", ListenerSettings),
    (
        "migrate, seed, audit and invalidate",
        "Read by the commands of these names. `make demo` heeds no setting: it makes its own.",
        AdminSettings,
    ),
)


def page() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD, *(_group(*group) for group in _GROUPS)])


def _group(title: str, text: str, settings: type[CoherenceSettings]) -> str:
    shared = CoherenceSettings.model_fields
    own = {
        name: info
        for name, info in settings.model_fields.items()
        if settings is CoherenceSettings or name not in shared
    }
    rows = (f"| `{name.upper()}` | {_default(info)} | {_takes(info)} | {_cell(info)} |" for name, info in own.items())
    head = ("| variable | default | takes | |", "|---|---|---|---|")
    return "\n".join([f"## {title}", "", *([text, ""] if text else []), *head, *rows, ""])


def _cell(info: FieldInfo) -> str:
    assert info.description, "every setting says what it is"
    return info.description.replace("|", "\\|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "*required*"
    match info.default:
        case None | "":
            return ""
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case ByteSize() as size:
            return f"`{size.human_readable().replace('.0', '')}`"
    return f"`{info.default}`"


def _takes(info: FieldInfo) -> str:
    kinds = [kind for kind in _members(info.annotation) if kind is not type(None)]
    (kind,) = kinds
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    bounds = _bounds(info.metadata)
    if kind is bool:
        return "`true`, `false`"
    if kind is ByteSize:
        return "bytes, or with a unit"
    name = {int: "whole number", float: "number", SecretStr: "text, kept secret"}.get(kind, "text")
    return " ".join([name, *bounds])


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or what is no union by itself."""
    if annotation is None or get_origin(annotation) is Literal or isinstance(annotation, type):
        return (annotation,)
    return get_args(annotation)


def _bounds(metadata: Iterable[object]) -> list[str]:
    low = high = None
    for bound in metadata:
        match bound:
            case annotated_types.Ge(ge):
                low = f"from {ge:,}" if isinstance(ge, (int, float)) else None
            case annotated_types.Gt(gt):
                low = f"above {gt:,}" if isinstance(gt, (int, float)) else None
            case annotated_types.Le(le):
                high = f"to {le:,}" if isinstance(le, (int, float)) else None
            case annotated_types.MaxLen(length):
                high = f"of at most {length:,} characters"
    return [bound for bound in (low, high) if bound is not None]


if __name__ == "__main__":
    sys.stdout.write(page())
