"""What a cached route answers: one declaration, from which come the checks, the SQL and the cache key."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import combinations
from urllib.parse import quote, urlencode

from coherence.keys import Scalar
from coherence.loading import Content
from coherence.query import Query
from coherence.rows import Equals, Page, Scope, Start
from service.links import page_end
from service.parameters import Parameters, parse_query_string, validate
from service.place import InvalidCursor, Place
from service.problems import Fault, Problem, invalid, not_found
from service.tables import Filter, Row, Table

PARSED_QUERIES = 1024
"""How many requests' parameters are remembered in checked form."""

Statement = tuple[str, Mapping[str, Scalar]]
"""SQL with named places, and their values."""


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

    @property
    def always(self) -> AbstractSet[str]:
        """The parameters that every query has a value of."""
        return {name for name, field in self.parameters.model_fields.items() if field.default is not None}

    def _ask(self, query_string: bytes, path_value: str) -> Query:
        """Return the query that a request means, the same for the same parameters, defaults filled in.

        Raises the Problem that says what is wrong with the request. `path_value` is empty where the path holds none.
        """
        given = parse_query_string(query_string)
        if self.path_parameter:
            if self.path_parameter in given:
                raise invalid(Fault(self.path_parameter, "stands in the path"))
            given[self.path_parameter] = path_value
        if faults := self.faults(given):
            raise invalid(*faults)
        return self._query(given)

    def _query(self, given: Mapping[str, object]) -> Query:
        parameters = validate(self.parameters, given, in_path=self.path_parameter).model_dump()
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

    def faults(self, given: Mapping[str, str]) -> Sequence[Fault]:  # noqa: ARG002 - for those that have any
        """Return what is wrong with parameters beside each other; each one is checked later."""
        return ()

    @abstractmethod
    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """Return which rows the answer shows."""

    @abstractmethod
    def statement(self, query: Query) -> Statement:
        """Return the SQL that answers `query`."""

    @abstractmethod
    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """Return the answer made of what `statement` brings. Raises the 404 Problem where no row is no answer."""


def distinct(*questions: Question) -> Sequence[Question]:
    """Return `questions`. Raises ValueError where two of one namespace could mean the same cache key.

    A parameter without a value is not in the key: so two can meet if each has all that the other cannot do without.
    """
    for one, other in combinations(questions, 2):
        meet = one.always <= other.parameters.model_fields.keys() and other.always <= one.parameters.model_fields.keys()
        if meet and one.namespace == other.namespace:
            raise ValueError(f"{one.path} and {other.path} would share cache keys: rename a parameter or the namespace")
    return questions


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

    def faults(self, given: Mapping[str, str]) -> Sequence[Fault]:
        """See Question."""
        both = "cursor" in given and given.get("offset", "").strip("0")
        return [Fault("offset", "cannot be given together with a cursor")] if both else ()

    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """See Question."""
        conditions = [
            narrows.condition(parameters[name])
            for name, narrows in self.filters.items()
            if parameters.get(name) is not None
        ]
        place = self._place(parameters)
        start = Start(place.value) if place is not None else None
        return Scope(tuple(conditions), descending=self.table.newest_by, start=start)

    def statement(self, query: Query) -> Statement:
        """See Question."""
        given: dict[str, Scalar] = {name: value for name, value in query.parameters.items() if value is not None}
        conditions = [narrows.sql(name) for name, narrows in self.filters.items() if name in given]
        place = self._place(query.parameters)
        if place is None:
            rows = self.table.rows(conditions, f"ORDER BY {self.table.order} LIMIT %(limit)s OFFSET %(offset)s")
        else:
            given |= {"after": place.value, "after_key": place.key}
            rows = self.table.rows_behind(conditions, "LIMIT %(limit)s", null=place.value is None)
        return self.table.as_page(rows), given

    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """See Question."""
        items, count, first, last, key = rows[0]
        limit, offset = query.parameters["limit"], query.parameters["offset"]
        full = count == limit
        end = page_end(count, limit, offset, self._link_behind(query, Place(last, key)) if full else None)
        body = b'{"%s":[%s%s' % (self.namespace.encode(), items or b"", end)
        return Content(body, Page(first, last, full=full, empty=not count))

    def _link_behind(self, query: Query, last: Place) -> str:
        """Return the link to the page behind `last`."""
        given = {name: value for name, value in query.parameters.items() if value is not None}
        path = self.path
        if self.path_parameter:
            path = path.replace(f"{{{self.path_parameter}}}", quote(str(given.pop(self.path_parameter)), safe=""))
        del given["offset"]
        return f"{path}?{urlencode({**given, 'cursor': last.as_cursor(self.path)})}"

    def _place(self, parameters: Mapping[str, Scalar]) -> Place | None:
        cursor = parameters["cursor"]
        if cursor is None:
            return None
        try:
            return Place.from_cursor(str(cursor), self.path)
        except InvalidCursor:
            raise invalid(Fault("cursor", "must be taken from the `next` of a page of this list")) from None


class Lookup(Question):
    """The one row whose column, named like the path's parameter, has its value."""

    def scope(self, parameters: Mapping[str, Scalar]) -> Scope:
        """See Question."""
        return Scope((Equals(self.path_parameter, parameters[self.path_parameter]),))

    def statement(self, query: Query) -> Statement:
        """See Question."""
        rows = self.table.rows([f"{self.path_parameter} = %({self.path_parameter})s"])
        return self.table.as_json(rows), query.parameters

    def content(self, query: Query, rows: Sequence[Row]) -> Content:
        """See Question."""
        if not rows:
            raise not_found(f"no {self.path_parameter} {query.parameters[self.path_parameter]!r}")
        return Content(rows[0][0])
