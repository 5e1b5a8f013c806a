"""What Redis has still to be told, and whether a lease may be given. Sans-IO."""

from collections.abc import Iterable
from dataclasses import dataclass

from coherence.changes import Bump, Change, merge
from listener.triggers import Audit, difference


@dataclass(frozen=True, slots=True)
class Claim:
    """What a lease is asked for with: see `GenerationKey.renew`."""

    t0_us: int
    age: float
    floor: int
    namespaces: frozenset[str]
    server: str


@dataclass(slots=True)
class Proof:
    """A proof under way: T0, the server, our own time then, and how far it has come."""

    t0_us: int
    server: str
    began: float
    fenced: bool = False
    looked: bool = False


class Ledger:
    """The books of one listener.

    A lease says that the caches were told of every change up to a moment T0. So there is none while one is owed, and
    none while changes may go by unseen; and it takes a proof: `begin_proof`, `fenced` and `audited`, in this order,
    after which all is told and `claim` says what may be asked for. Where something may have been missed, everything is
    owed.
    """

    def __init__(self, *, by_rows: bool = True) -> None:
        """Keep which rows changed; unless `by_rows`, only in which namespaces."""
        self._by_rows = by_rows
        self.owed: tuple[Change, ...] = ()
        """What has changed since the last bump that Redis took."""
        self.floor = 0
        """The highest generation that this process has seen."""
        self.audit: Audit | None = None
        """The latest look at the triggers in this session that told something."""
        self._blind: str | None = None
        self._server: str | None = None
        self._proof: Proof | None = None

    def begin(self) -> None:
        """A session begins to hear: whatever came before it was missed."""
        self.audit = self._proof = None
        self.missed("resync")

    def missed(self, cause: str) -> None:
        """Something may have been missed, or Redis may have lost something; `cause` says why."""
        self.owed = (Change(None, cause, sum(change.notifications for change in self.owed)),)

    def begin_proof(self, t0_us: int, server: str, now: float) -> None:
        """Redis showed the time T0, in µs, and which run of which server it is; `now` is our own time after that.

        Another server than before may have lost what that one told the caches.
        """
        if self._server not in (None, server):
            self.missed("redis")
        self._server = server
        self._proof = Proof(t0_us, server, now)

    def fenced(self, changes: Iterable[Change]) -> None:
        """Postgres announced `changes`, the last of what was committed before the fence was put up."""
        self.heard(changes)
        if self._proof is not None:
            self._proof.fenced = True

    def heard(self, changes: Iterable[Change]) -> None:
        """Postgres announced `changes`."""
        if not self._by_rows:
            changes = (Change(change.namespace, change.cause, change.notifications) for change in changes)
        self.owed = merge((*self.owed, *changes))

    def audited(self, audit: Audit) -> None:
        """The triggers were looked at. If they are not what they were the last time, writes may have gone by unseen."""
        self._blind = audit.problem
        if self._proof is not None:
            # Looked at earlier, the triggers may have been other ones when the last of the changes were made.
            self._proof.looked = self._proof.fenced
        if audit.failure is not None:
            return
        if self.audit is not None:
            self.heard(difference(self.audit, audit))
        elif all(change.cause != "resync" for change in self.owed):
            self.missed("triggers")  # the session's first look that told something, and its resync is over
        self.audit = audit

    def told(self, bump: Bump) -> None:
        """Redis took `bump`, made of all that was owed."""
        self.owed = ()
        self.seen(bump.generation)

    def claim(self, now: float) -> Claim | None:
        """Return what a lease may be asked for with, None while there is no proof. A proof is good for one claim."""
        proof, self._proof = self._proof, None
        if proof is None or not proof.looked or self.owed or self._blind is not None:
            return None
        return Claim(proof.t0_us, now - proof.began, self.floor, self.namespaces, proof.server)

    def seen(self, generation: int) -> None:
        """A generation was seen in Redis."""
        self.floor = max(self.floor, generation)

    @property
    def blind(self) -> str | None:
        """Why changes may go by unseen; None while the triggers are all in place."""
        return self._blind

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of the watched tables, as far as they are known."""
        return self.audit.namespaces if self.audit is not None else frozenset()
