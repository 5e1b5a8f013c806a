"""What schemathesis has to know of the API beside its description: cursors, and what goes without them."""

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure

from service.place import Place
from service.queries import ANOMALIES, TRANSACTIONS
from service.questions import Listing

PLACES = st.builds(
    Place, st.sampled_from([None, "2025-01-01T10:03:00+00:00"]), st.sampled_from(["a-0003", "T3", "ß", "x" * 200])
)


def cursors(listing: Listing) -> st.SearchStrategy[str]:
    """Return cursors of a list."""
    return PLACES.map(lambda place: place.as_cursor(listing.path))


for each in (ANOMALIES, TRANSACTIONS):
    schemathesis.openapi.format(f"{each.namespace}-cursor", cursors(each))


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Leave out what OpenAPI cannot rule out: a page begins at an offset or behind a cursor."""
    valid = case.meta is not None and case.meta.generation.mode.is_positive
    if valid and case.query and {"cursor", "offset"} <= case.query.keys():
        del case.query["offset"]


OF_HTTP = {"date", "content-type", "content-length", "transfer-encoding", "connection"}


@schemathesis.check
def response_headers_are_described(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Fail where an answer has a header field that its description does not have."""
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if described is None or response.request.method != case.operation.method.upper():
        return
    unknown = set(response.headers) - {name.lower() for name in described.get("headers", ())} - OF_HTTP
    if unknown:
        label = f"{case.operation.label}: {response.status_code}"
        raise Failure(operation=label, title="Undescribed header fields", message=", ".join(sorted(unknown)))
