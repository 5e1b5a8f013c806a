"""JSON schemas of models: those of answers and bodies as components, those of parameters in place."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, create_model

from service.parameters import Limit, Offset
from service.questions import Listing, Question

Object = dict[str, Any]

_Wanted = tuple[type, Literal["serialization", "validation"], TypeAdapter[Any]]
_REF = "#/components/schemas/{model}"


def name_of(model: type) -> str:
    """Return the name of a model's component."""
    return model.__name__


def ref(model: type) -> Object:
    """Return a reference to a model's component."""
    return {"$ref": _REF.format(model=name_of(model))}


def components(answers: Iterable[type], bodies: Iterable[type[BaseModel]]) -> Object:
    """Return the schemas of what is answered and of what is taken, with all that they consist of."""
    answered: list[_Wanted] = [(model, "serialization", TypeAdapter(model)) for model in answers]
    taken: list[_Wanted] = [(model, "validation", TypeAdapter(model)) for model in bodies]
    _, definitions = TypeAdapter.json_schemas([*answered, *taken], ref_template=_REF)
    return {name: _plain(schema, {"title", "default"}) for name, schema in sorted(definitions["$defs"].items())}


def page_of(listing: Listing) -> type[BaseModel]:
    """Return the model of a page of a list."""
    following = Annotated[str | None, Field(description="The page behind this one; null where this one is not full.")]
    count = Annotated[int, Field(ge=0, description="How many rows this page has.")]
    rows: Any = list[listing.table.row]  # type: ignore[name-defined] # a type that is known when it runs
    members: Any = {
        listing.namespace: (rows, ...),
        "count": (count, ...),
        "limit": (Limit, ...),
        "offset": (Offset, ...),
        "next": (following, ...),
    }
    return create_model(f"{listing.table.row.__name__}Page", __doc__=f"A page of {listing.namespace}.", **members)


def parameters(question: Question) -> list[Object]:
    """Return the parameters of a question's route: of the path, and of the query string."""
    schema = question.parameters.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "path" if name == question.path_parameter else "query",
            "required": name in required,
            **_described(_parameter(given, f"{question.namespace}-cursor" if name == "cursor" else None)),
        }
        for name, given in schema["properties"].items()
    ]


def _described(schema: Object) -> Object:
    """Return the members of a parameter with this schema, what describes it outside of the schema."""
    outside = {"description": schema.pop("description")} if "description" in schema else {}
    return {**outside, "schema": schema}


def _parameter(schema: Mapping[str, Any], form: str | None) -> Object:
    """Return a parameter's schema: what is not there has no null; `form` is the name of a format."""
    plain = _plain(schema, {"title"})
    if plain.get("default", ...) is None:
        del plain["default"]
        (some,) = (each for each in plain.pop("anyOf") if each != {"type": "null"})
        plain = {**some, **plain}
    return plain if form is None else {**plain, "format": form}


def _plain(schema: Any, less: AbstractSet[str]) -> Any:
    """Return a schema without these keywords."""
    if isinstance(schema, list):
        return [_plain(part, less) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: _plain(part, less) for name, part in value.items()} if key == "properties" else _plain(value, less)
        for key, value in schema.items()
        if key not in less
    }
