"""Changed rows in batches, most of which are judged as one: by a summary of each column's values. Sans-IO."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from coherence.keys import Scalar
from coherence.rows import AtLeast, Equals, Page, RowChange, Scope, compare

BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of a column in a batch, old and new ones: all of one kind, text or numbers.

    `greatest` is None where they have no order that is known here.
    """

    values: frozenset[Scalar]
    text: bool
    greatest: Scalar


@dataclass(slots=True)
class Batch:
    """Consecutive changed rows of a namespace, with the generations in which they changed."""

    rows: list[tuple[int, RowChange]] = field(default_factory=list)
    _spreads: dict[str, Spread | None] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether the next row begins another batch."""
        return len(self.rows) >= BATCH_ROWS

    @property
    def latest(self) -> int:
        """The generation of its latest row."""
        return self.rows[-1][0]

    def spares(self, scope: Scope, page: Page | None) -> bool:
        """Tell whether it is certain, from the summary alone, that none of its rows affects an answer."""
        if not self.full:
            return False
        if any(self._excludes(condition) for condition in scope.conditions):
            return True
        if scope.descending is None or page is None or not page.full:
            return False
        spread = self._spread(scope.descending)
        beyond = None if spread is None else compare(spread.greatest, page.last)
        return beyond is not None and beyond < 0

    def _excludes(self, condition: Equals | AtLeast) -> bool:
        spread = self._spread(condition.column)
        if spread is None:
            return False
        if isinstance(condition, Equals):
            return spread.text is isinstance(condition.value, str) and condition.value not in spread.values
        return isinstance(spread.greatest, (int, float)) and spread.greatest < condition.value

    def _spread(self, column: str) -> Spread | None:
        """Return the spread of a column, None where a row tells no value of it or kinds are mixed."""
        if column not in self._spreads:
            self._spreads[column] = self._summarise(column)
        return self._spreads[column]

    def _summarise(self, column: str) -> Spread | None:
        values = frozenset(self._values(column))
        kinds = {isinstance(value, str) for value in values}
        if None in values or len(kinds) != 1:
            return None
        greatest: Scalar = next(iter(values))
        for value in values:
            order = compare(value, greatest)
            if order is None:
                greatest = None
                break
            if order > 0:
                greatest = value
        return Spread(values, kinds.pop(), greatest)

    def _values(self, column: str) -> Iterator[Scalar]:
        for _, change in self.rows:
            for row in (change.old, change.new):
                if row is not None:
                    yield row.get(column)
