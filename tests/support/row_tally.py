"""What became of cached answers when rows had changed."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of cached answers."""

    pairs: int = 0
    """Times that a cached answer met a change."""
    served: Counter[str] = field(default_factory=Counter)
    """Answers that were served after that, by layer; each was the database's."""
    dropped: int = 0
    """Answers that were not, though only single rows had changed."""
    dropped_rightly: int = 0
    """Those of them whose bytes had changed."""
    wholesale: int = 0
    """Answers that were not, for more than single rows had changed, or a load had overlapped the change."""

    @property
    def precision(self) -> float:
        """The share of dropped answers that had really changed."""
        return self.dropped_rightly / max(1, self.dropped)

    def __str__(self) -> str:
        """Return it in a line."""
        return (
            f"{self.pairs} pairs: served {self.served['l1']} from L1 and {self.served['l2']} from L2,"
            f" dropped {self.dropped} by rows ({self.precision:.1%} of them had changed), {self.wholesale} otherwise"
        )


class Outdated(AssertionError):  # noqa: N818 - it names what was found
    """The cache gave an answer that is not the database's. The message says which, and what was done before.

    `pairs` is how many answers had met a change until then.
    """

    def __init__(self, message: str, pairs: int) -> None:
        super().__init__(message)
        self.pairs = pairs
