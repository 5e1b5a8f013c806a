"""What can be asked: one declaration an endpoint, from which come the checks, the SQL and the cache key."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from coherence.keys import Scalar
from coherence.loading import Content
from coherence.query import Query
from coherence.rows import AtLeast, Equals, Page, Scope
from service.parameters import Limit, Offset, Parameters, Score, Status, Text, parse_query_string, validate
from service.problems import Fault, Problem, invalid, not_found

PARSED_QUERIES = 1024
"""How many requests' parameters are remembered in checked form."""

Statement = tuple[str, Mapping[str, Scalar]]
"""SQL with named places, and their values."""


Row = Sequence[Any]
"""What Postgres answers: the row's JSON as bytes, and, of a list, its sort value as text."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its key, the columns that answers show, and the one by which lists are sorted, the newest first."""

    name: str
    key: str
    columns: tuple[str, ...]
    newest_by: str

    @property
    def column_list(self) -> str:
        """The columns as SQL."""
        return ", ".join(self.columns)

    @property
    def order(self) -> str:
        """The order of lists as SQL. Every row has its place in it."""
        return f"{self.newest_by} DESC, {self.key}"

    def select(self, tail: str, *, place: bool = False) -> str:
        """Return the SELECT of rows as JSON, the one form of a row, `tail` being what follows the table's name.

        With `place`, a second column has the sort value, as JSON writes it.
        """
        shown = f"row_to_json(r), to_jsonb(r.{self.newest_by}) #>> '{{}}'" if place else "row_to_json(r)"
        return f"SELECT {shown} FROM (SELECT {self.column_list} FROM {self.name} {tail}) AS r"  # noqa: S608 - no input


@dataclass(frozen=True, slots=True)
class Filter:
    """How a parameter narrows the rows: in SQL, and for a changed row."""

    column: str
    kind: type[Equals] | type[AtLeast] = Equals

    def sql(self, parameter: str) -> str:
        """Return the condition on the column, with a named place for the parameter."""
        return f"{self.column} {'=' if self.kind is Equals else '>='} %({parameter})s"

    def condition(self, value: Any) -> Equals | AtLeast:
        """Return the condition for a value of the parameter."""
        return self.kind(self.column, value)


class Question(ABC):
    """What one cached route answers.

    From its declaration come the checks, the SQL, the cache key, and which changes affect an answer.
    `path` is the route's template. The name in braces in it, if any, is one of the parameters; all others come from
    the query string.
    """

    def __init__(self, path: str, *, namespace: str, parameters: type[Parameters], table: Table) -> None:
        self.path = path
        self.namespace = namespace
        self.parameters = parameters
        self.table = table
        self.path_parameter = path.partition("{")[2].partition("}")[0]
        self.ask = lru_cache(PARSED_QUERIES)(self._ask)

    def _ask(self, query_string: bytes, path_value: str) -> Query:
        """Return the query that a request means, the same for the same parameters, defaults filled in.

        Raises the Problem that says what is wrong with the request. `path_value` is empty where the path holds none.
        """
        given = parse_query_string(query_string)
        if self.path_parameter:
            if self.path_parameter in given:
                raise invalid(Fault(self.path_parameter, "stands in the path"))
            given[self.path_parameter] = path_value
        return self._query(given)

    def _query(self, given: Mapping[str, object]) -> Query:
        parameters = validate(self.parameters, given).model_dump()
        return Query(self.namespace, parameters, self.scope(parameters))

    def query(self, parameters: Mapping[str, object]) -> Query | None:
        """Return the query with these parameters; None where they are not of this question."""
        try:
            return self._query(parameters)
        except Problem:
            return None

    def asks(self, query: Query) -> bool:
        """Tell whether `query` is one of this question's."""
        return query.namespace == self.namespace and query.parameters.keys() == self.parameters.model_fields.keys()

    @abstractmethod
    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """Return which rows the answer shows."""

    @abstractmethod
    def statement(self, query: Query) -> Statement:
        """Return the SQL that answers `query` with rows of one JSON value each."""

    @abstractmethod
    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """Return the answer made of the rows. Raises the 404 Problem where there is no answer without a row."""


class Listing(Question):
    """A page of a table's rows. `filters` says of each parameter that narrows the rows how it does."""

    def __init__(
        self,
        path: str,
        *,
        namespace: str,
        parameters: type[Parameters],
        table: Table,
        filters: Mapping[str, Filter],
    ) -> None:
        super().__init__(path, namespace=namespace, parameters=parameters, table=table)
        self.filters = filters

    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """See Question."""
        conditions = [
            narrows.condition(parameters[name])
            for name, narrows in self.filters.items()
            if parameters.get(name) is not None
        ]
        return Scope(tuple(conditions), descending=self.table.newest_by)

    def statement(self, query: Query) -> Statement:
        """See Question."""
        given = {name: value for name, value in query.parameters.items() if value is not None}
        conditions = " AND ".join(narrows.sql(name) for name, narrows in self.filters.items() if name in given)
        where = f"WHERE {conditions} " if conditions else ""
        tail = f"{where}ORDER BY {self.table.order} LIMIT %(limit)s OFFSET %(offset)s"
        return self.table.select(tail, place=True), given

    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """See Question."""
        limit, offset = query.parameters["limit"], query.parameters["offset"]
        tail = f'],"count":{len(rows)},"limit":{limit},"offset":{offset}}}'
        body = b'{"%s":[%s%s' % (self.namespace.encode(), b",".join([row[0] for row in rows]), tail.encode())
        if not rows:
            return Content(body, Page(None, None, full=False, empty=True))
        return Content(body, Page(rows[0][1], rows[-1][1], full=len(rows) == limit))


class Lookup(Question):
    """The one row whose column, named like the path's parameter, has its value."""

    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """See Question."""
        return Scope((Equals(self.path_parameter, parameters[self.path_parameter]),))

    def statement(self, query: Query) -> Statement:
        """See Question."""
        return self.table.select(f"WHERE {self.path_parameter} = %({self.path_parameter})s"), query.parameters

    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """See Question."""
        if not rows:
            raise not_found(f"no {self.path_parameter} {query.parameters[self.path_parameter]!r}")
        return Content(rows[0][0])


class AnomalyPage(Parameters):
    """Parameters of the list of anomalies."""

    limit: Limit = 100
    offset: Offset = 0
    min_score: Score | None = None
    status: Status | None = None
    account_id: Text | None = None


class AnomalyId(Parameters):
    """Parameters of one anomaly."""

    transaction_id: Text


class AccountPage(Parameters):
    """Parameters of the list of an account's transactions."""

    account_id: Text
    limit: Limit = 100
    offset: Offset = 0


ANOMALIES_TABLE = Table(
    "public.anomalies",
    key="transaction_id",
    columns=(
        "transaction_id",
        "account_id",
        "amount",
        "currency",
        "score",
        "status",
        "reason",
        "detected_at",
        "updated_at",
        "merchant",
        "channel",
        "country",
        "device_id",
        "model_version",
    ),
    newest_by="detected_at",
)

TRANSACTIONS_TABLE = Table(
    "public.transactions",
    key="transaction_id",
    columns=(
        "transaction_id",
        "account_id",
        "amount",
        "currency",
        "merchant",
        "channel",
        "occurred_at",
        "country",
        "city",
        "device_id",
        "ip_address",
        "user_agent",
        "description",
    ),
    newest_by="occurred_at",
)

ANOMALIES = Listing(
    "/api/v1/anomalies",
    namespace="anomalies",
    parameters=AnomalyPage,
    table=ANOMALIES_TABLE,
    filters={
        "min_score": Filter("score", AtLeast),
        "status": Filter("status"),
        "account_id": Filter("account_id"),
    },
)

ANOMALY = Lookup(
    "/api/v1/anomalies/{transaction_id}",
    namespace="anomalies",
    parameters=AnomalyId,
    table=ANOMALIES_TABLE,
)

TRANSACTIONS = Listing(
    "/api/v1/transactions/{account_id}",
    namespace="transactions",
    parameters=AccountPage,
    table=TRANSACTIONS_TABLE,
    filters={"account_id": Filter("account_id")},
)

QUESTIONS = (ANOMALIES, ANOMALY, TRANSACTIONS)

NAMESPACES = frozenset(question.namespace for question in QUESTIONS)
"""What `POST /api/v1/cache/invalidate` and the metrics' labels know."""

ANNOUNCED = ("transaction_id", "account_id", "status", "score", "detected_at")
"""The columns of anomalies that a change is told by, as `sql/030_watch.sql` has the triggers tell it."""

_ANNOUNCED = ", ".join(ANNOUNCED)

# The time stays where the status does: setting it to what it is already changes nothing that is shown. It is read when
# the row is locked, so that it tells the order of the changes; a transaction's own time would tell when each began.
SET_STATUS = f"""
WITH known AS (
    SELECT {_ANNOUNCED}, xmin FROM {ANOMALIES_TABLE.name} WHERE transaction_id = %(transaction_id)s FOR UPDATE
), updated AS (
    UPDATE {ANOMALIES_TABLE.name} AS a
    SET status = %(status)s, updated_at = CASE WHEN a.status = %(status)s THEN a.updated_at ELSE clock_timestamp() END
    FROM known WHERE a.transaction_id = known.transaction_id
    RETURNING a.*
)
SELECT row_to_json(r), (SELECT to_jsonb(k) FROM (SELECT {_ANNOUNCED} FROM known) AS k),
       (SELECT to_jsonb(u) FROM (SELECT {_ANNOUNCED} FROM updated) AS u),
       (SELECT xmin::text::bigint FROM known), pg_snapshot_xmin(pg_current_snapshot())::text::bigint %% 4294967296
FROM (SELECT {ANOMALIES_TABLE.column_list} FROM updated) AS r
"""  # noqa: S608 - made of the declarations above
"""Set a status; return the row's JSON, and what the change is told by: the old and the new values.

Then the transaction that wrote the old ones, and the oldest that had not ended, for `Horizon`.
"""
