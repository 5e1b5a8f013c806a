"""What can be asked: one declaration an endpoint, from which come the checks, the SQL and the cache key."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from coherence.keys import Query, Scalar
from service.parameters import Limit, Offset, Parameters, Score, Status, Text, parse_query_string, validate
from service.problems import Fault, invalid, not_found

PARSED_QUERIES = 1024
"""How many requests' parameters are remembered in checked form."""

Statement = tuple[str, Mapping[str, Scalar]]
"""SQL with named places, and their values."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the columns of it that answers show, and the order of its lists."""

    name: str
    columns: tuple[str, ...]
    order: str

    @property
    def column_list(self) -> str:
        """The columns as SQL."""
        return ", ".join(self.columns)

    def select(self, tail: str) -> str:
        """Return the SELECT of this table's rows as JSON, `tail` being what follows FROM."""
        return self.as_json(f"{self.name} {tail}")

    def as_json(self, source: str) -> str:
        """Return the SELECT of the rows of `source`, which has this table's columns, as JSON: the one form of a row."""
        return f"SELECT row_to_json(r) FROM (SELECT {self.column_list} FROM {source}) AS r"  # noqa: S608 - no input


class Question(ABC):
    """What one cached route answers.

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
        return Query(self.namespace, validate(self.parameters, given).model_dump())

    @abstractmethod
    def statement(self, query: Query) -> Statement:
        """Return the SQL that answers `query` with rows of one JSON value each."""

    @abstractmethod
    def body(self, query: Query, rows: Sequence[bytes]) -> bytes:
        """Return the answer made of the rows. Raises the 404 Problem where there is no answer without a row."""


class Listing(Question):
    """A page of a table's rows. `filters` has the SQL condition of each parameter that narrows the rows."""

    def __init__(
        self,
        path: str,
        *,
        namespace: str,
        parameters: type[Parameters],
        table: Table,
        filters: Mapping[str, str],
    ) -> None:
        super().__init__(path, namespace=namespace, parameters=parameters, table=table)
        self.filters = filters

    def statement(self, query: Query) -> Statement:
        """See Question."""
        given = {name: value for name, value in query.parameters.items() if value is not None}
        conditions = " AND ".join(sql for name, sql in self.filters.items() if name in given)
        where = f"WHERE {conditions} " if conditions else ""
        return self.table.select(f"{where}ORDER BY {self.table.order} LIMIT %(limit)s OFFSET %(offset)s"), given

    def body(self, query: Query, rows: Sequence[bytes]) -> bytes:
        """See Question."""
        limit, offset = query.parameters["limit"], query.parameters["offset"]
        end = f'],"count":{len(rows)},"limit":{limit},"offset":{offset}}}'
        return b'{"%s":[%s%s' % (self.namespace.encode(), b",".join(rows), end.encode())


class Lookup(Question):
    """The one row whose column, named like the path's parameter, has its value."""

    def statement(self, query: Query) -> Statement:
        """See Question."""
        return self.table.select(f"WHERE {self.path_parameter} = %({self.path_parameter})s"), query.parameters

    def body(self, query: Query, rows: Sequence[bytes]) -> bytes:
        """See Question."""
        if not rows:
            raise not_found(f"no {self.path_parameter} {query.parameters[self.path_parameter]!r}")
        return rows[0]


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
    (
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
    order="detected_at DESC, transaction_id",
)

TRANSACTIONS_TABLE = Table(
    "public.transactions",
    (
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
    order="occurred_at DESC, transaction_id",
)

ANOMALIES = Listing(
    "/api/v1/anomalies",
    namespace="anomalies",
    parameters=AnomalyPage,
    table=ANOMALIES_TABLE,
    filters={
        "min_score": "score >= %(min_score)s",
        "status": "status = %(status)s",
        "account_id": "account_id = %(account_id)s",
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
    filters={"account_id": "account_id = %(account_id)s"},
)

NAMESPACES = frozenset(question.namespace for question in (ANOMALIES, ANOMALY, TRANSACTIONS))
"""What `POST /api/v1/cache/invalidate` and the metrics' labels know."""

# The time stays where the status does: setting it to what it is already changes nothing that is shown.
SET_STATUS = f"""
WITH updated AS (
    UPDATE {ANOMALIES_TABLE.name}
    SET status = %(status)s, updated_at = CASE WHEN status = %(status)s THEN updated_at ELSE now() END
    WHERE transaction_id = %(transaction_id)s
    RETURNING {ANOMALIES_TABLE.column_list}
)
{ANOMALIES_TABLE.as_json("updated")}
"""  # noqa: S608 - made of the declarations above
