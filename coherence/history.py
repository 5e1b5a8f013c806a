"""The recent changes, and which of them affect an answer. Sans-IO."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from coherence.batch import Batch
from coherence.query import Query
from coherence.rows import Page, RowChange, Scope, Verdict

MOST_KEYS = 256
"""Cache keys of one namespace whose answers are known to be outdated; with more than that all of them are."""

MOST_NAMESPACES = 1024
"""Namespaces that a history tells apart; with more than that it forgets which, and takes everything as changed."""


@dataclass(frozen=True, slots=True)
class Affecting:
    """A change that ends an answer: its generation, and why. `row` is None where more than single rows changed."""

    generation: int
    why: str
    row: RowChange | None = None


@dataclass(slots=True)
class _Namespace:
    wholesale: int = 0
    """The latest generation after which nothing older is known to be right."""
    latest: int = 0
    batches: deque[Batch] = field(default_factory=deque)
    keys: dict[str, int] = field(default_factory=dict)
    """The latest generation that outdated the answer under a cache key."""


@dataclass(slots=True)
class History:
    """Changes by namespace. At most `most_rows` changed rows are kept, in batches; what is older counts as changed.

    Calls must come in the order of the generations.
    """

    most_rows: int = 4096
    everything: int = 0
    """The latest generation in which everything changed."""
    rows_kept: int = 0
    forgotten: int = 0
    """Changed rows that were forgotten, so far."""
    _namespaces: dict[str, _Namespace] = field(default_factory=dict)
    _order: deque[str] = field(default_factory=deque)

    def change_everything(self, generation: int) -> None:
        """Everything changed in `generation`."""
        self.everything = generation
        self._namespaces.clear()
        self._order.clear()
        self.rows_kept = 0

    def change_namespace(self, namespace: str, generation: int) -> None:
        """More than single rows changed in `namespace`."""
        kept = self._namespace(namespace, generation)
        if kept is not None:
            kept.wholesale = kept.latest = generation
            kept.keys.clear()

    def change_key(self, namespace: str, generation: int, key: str) -> None:
        """The answer under one cache key is outdated; no row changed."""
        kept = self._namespace(namespace, generation)
        if kept is None:
            return
        if len(kept.keys) >= MOST_KEYS and key not in kept.keys:
            self.change_namespace(namespace, generation)
            return
        kept.keys[key] = kept.latest = generation

    def change_rows(self, namespace: str, generation: int, rows: tuple[RowChange, ...]) -> None:
        """These rows, and no others, changed in `namespace`."""
        kept = self._namespace(namespace, generation)
        if kept is None:
            return
        kept.latest = generation
        for row in rows:
            if not kept.batches or kept.batches[-1].full:
                kept.batches.append(Batch())
                self._order.append(namespace)
            kept.batches[-1].rows.append((generation, row))
        self.rows_kept += len(rows)
        while self.rows_kept > self.most_rows:
            self._forget()

    def unchanged(self, namespace: str, since: int) -> bool:
        """Tell whether nothing at all changed in `namespace` after generation `since`."""
        kept = self._namespaces.get(namespace)
        return self.everything <= since and (kept is None or kept.latest <= since)

    def affecting(self, query: Query, page: Page | None, since: int) -> Affecting | None:
        """Return a change after generation `since` that affects the answer to `query`; None where there is none.

        `page` is the answer's place in its list, None where that is not known (yet).
        """
        if self.everything > since:
            return Affecting(self.everything, "everything changed")
        kept = self._namespaces.get(query.namespace)
        if kept is None or kept.latest <= since:
            return None
        if kept.wholesale > since:
            return Affecting(kept.wholesale, "the whole namespace changed, or older changes are forgotten")
        purged = kept.keys.get(query.key, 0)
        if purged > since:
            return Affecting(purged, "this answer was purged")
        return self._row_affecting(kept, query, page, since)

    def _row_affecting(self, kept: _Namespace, query: Query, page: Page | None, since: int) -> Affecting | None:
        if query.scope is None:
            return Affecting(kept.latest, "any change of the namespace affects this query")
        for batch in reversed(kept.batches):
            if batch.latest <= since:
                break
            if not batch.spares(query.scope, page):
                found = _first_affecting(batch, query.scope, page, since)
                if found is not None:
                    return found
        return None

    def latest(self, query: Query, page: Page | None) -> Affecting | None:
        """Return the latest change that affects the answers to `query`; None where none is known."""
        kept = self._namespaces.get(query.namespace)
        wholesale = max(self.everything, kept.wholesale if kept is not None else 0)
        # Where more than rows changed, nothing is known of the rows before it.
        return self.affecting(query, page, wholesale) or self.affecting(query, page, max(0, wholesale - 1))

    def judged(self, query: Query, page: Page | None, since: int) -> Iterator[tuple[int, RowChange, Verdict]]:
        """Yield each changed row after `since`, the latest first, with its verdict, to explain `affecting`."""
        kept = self._namespaces.get(query.namespace)
        for batch in reversed(kept.batches if kept is not None else ()):
            for generation, row in reversed(batch.rows):
                if generation <= since:
                    return
                yield generation, row, query.scope.judge(row, page) if query.scope is not None else Verdict.UNKNOWN

    def _namespace(self, namespace: str, generation: int) -> _Namespace | None:
        kept = self._namespaces.get(namespace)
        if kept is None and len(self._namespaces) >= MOST_NAMESPACES:
            self.change_everything(generation)
            return None
        return self._namespaces.setdefault(namespace, _Namespace())

    def _forget(self) -> None:
        kept = self._namespaces[self._order.popleft()]
        batch = kept.batches.popleft()
        kept.wholesale = max(kept.wholesale, batch.latest)
        self.rows_kept -= len(batch.rows)
        self.forgotten += len(batch.rows)


def _first_affecting(batch: Batch, scope: Scope, page: Page | None, since: int) -> Affecting | None:
    for generation, row in reversed(batch.rows):
        if generation <= since:
            break
        verdict = scope.judge(row, page)
        if verdict.affects:
            return Affecting(generation, verdict.value, row)
    return None
