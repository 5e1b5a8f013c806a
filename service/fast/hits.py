"""Which requests are plain hits, and what is answered to them: without routing, validation or a database.

A request is one if it carries an analyst's key, its target was validated before, and L1 has an answer that is proven
fresh. Whatever else a request holds that could matter sends it the long way, which gives every other answer.
"""

from collections.abc import Callable, Iterable
from math import ceil

from starlette.types import Scope

from coherence.changes import parse_generation
from coherence.coherence import Coherence
from coherence.query import Query
from service.auth import HEADER, KeyRing, Role
from service.fast.asking import Asking, Form
from service.fast.heads import Heads
from service.fast.recent import Ready, Recent
from service.fast.table import Known, Table, target_of
from service.metrics import Metrics
from service.negotiation import Accepted
from service.representation import Forms, hit_headers
from service.responses import Header

_ENCODING = b"accept-encoding"

_MATTERS = frozenset(
    {HEADER, _ENCODING, b"if-match", b"if-none-match", b"cache-generation", b"cache-control", b"origin"}
    | {b"connection", b"content-length", b"expect", b"transfer-encoding", b"upgrade"}
)
"""Headers by which an answer, or what becomes of the connection, may differ. Those that `read` does not read make a
request one for the long way."""

TRACEPARENT = b"traceparent"
NOT_SAMPLED = b"-00"

_METHODS = frozenset({"GET", "HEAD"})


class Hits:
    """One process' plain hits. `accepted` reads an Accept-Encoding header. `heads` are requests that came before.

    In a process that is `traced`, a request that is part of a trace goes the long way, where it gets its span.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        coherence: Coherence,
        metrics: Metrics,
        accepted: Callable[[bytes | None], Accepted],
        traced: bool = False,
    ) -> None:
        self._matters = _MATTERS | {TRACEPARENT} if traced else _MATTERS
        self._keys = keys
        self._coherence = coherence
        self._metrics = metrics
        self._accepted = accepted
        self._table = Table()
        self.heads = Heads()

    def learn(self, scope: Scope, query: Query, template: str) -> None:
        """Take it that the request of `scope`, a valid GET or HEAD of the route `template`, asks `query`."""
        if "raw_path" in scope and not scope.get("root_path"):
            self._table.learn(target_of(scope["raw_path"], scope["query_string"]), Known(query, template))

    def read_scope(self, scope: Scope) -> Asking | None:
        """Return what a request asks that an ASGI server has read; see `read`."""
        get, headers = scope.get, scope["headers"]
        head = (scope["method"], get("raw_path"), scope["query_string"], get("root_path"), *headers)
        try:
            asking = self.heads.get(head)
        except TypeError:
            # A server may give headers as lists, which cannot be looked up.
            return self._read_scope(scope)
        if asking is None:
            asking = self._read_scope(scope)
            if asking is not None:
                size = sum(map(len, head[1:3])) + sum(len(name) + len(value) for name, value in headers)
                self.heads.learn(head, size, asking)
        return asking

    def _read_scope(self, scope: Scope) -> Asking | None:
        method = scope["method"]
        if method not in _METHODS or "raw_path" not in scope or scope.get("root_path"):
            return None
        return self.read(target_of(scope["raw_path"], scope["query_string"]), method, scope["headers"])

    def read(self, target: bytes, method: str, headers: Iterable[Header]) -> Asking | None:
        """Return what a GET or HEAD asks, None where it is not to be answered here.

        The same bytes ask the same for as long as the process lives: keys and routes do not change.
        """
        key = encoding = None
        known: tuple[bytes, ...] = ()
        at_least = 0
        matters = self._matters
        for name, value in headers:
            if name not in matters:
                continue
            if name == HEADER and key is None:
                key = value
            elif name == _ENCODING and encoding is None:
                encoding = value
            elif name == b"if-none-match":
                known = (*known, value)
            elif name == b"cache-generation" and (generation := parse_generation(value.strip())) is not None:
                at_least = max(at_least, generation)
            elif not (
                (name == b"connection" and value.lower() == b"keep-alive")
                or (name == TRACEPARENT and value.endswith(NOT_SAMPLED))
            ):
                return None
        if key is None or self._keys.role_of(key) is not Role.ANALYST:
            return None
        meant = self._table.get(target)
        return meant and Asking(meant.query, at_least, Form(meant.template, method, encoding, known))

    def answer(self, asking: Asking) -> Ready | None:
        """Return the answer, if it is a plain hit at this moment. The caller counts it."""
        query, at_least, form = asking
        found = self._coherence.peek(query, at_least)
        if found is None:
            return None
        kept, left = found
        forms: Forms = kept.prepared or Forms.of(kept)
        age = kept.entry.ttl - left
        recent: Recent | None = forms.recent
        if recent is None or not recent.fits(age, left):
            recent = forms.recent = Recent(int(age), ceil(left))
        ready = recent.get(form)
        if ready is None:
            ready = self._compose(forms, age, left, query.namespace, form)
            if ready is not None:
                recent.put(form, ready)
        return ready

    def _compose(self, forms: Forms, age: float, left: float, namespace: str, form: Form) -> Ready | None:
        accepted = self._accepted(form.encoding)
        chosen = forms.best(accepted)
        if chosen is None:
            return None
        varying = hit_headers("l1", age, left)
        head = form.method == "HEAD"
        response = forms.respond(chosen, head=head, known=form.known, accepted=accepted, varying=varying)
        tally = self._metrics.tally(namespace, form.template, form.method, response.status)
        return Ready(response.status, response.headers, response.body, tally)
