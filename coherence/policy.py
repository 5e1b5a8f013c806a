"""What is done with answers that cannot be proven fresh, and how old one can be at most. Sans-IO."""

from dataclasses import dataclass

from coherence.view import View


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator chooses. By default nothing is served that cannot be proven fresh.

    `until_ttl`: without a lease, answers are kept and served until their TTL ends, unless a change that is known
    affects them. `stale_if_error`: where the database does not answer, what was right this many seconds ago is served.
    """

    until_ttl: bool = False
    stale_if_error: float = 0.0


PROVEN_ONLY = Policy()


def staleness_bound(view: View, policy: Policy, now: float, *, longest_ttl: float, failing: bool) -> float:
    """Return how old an answer given at `now` can be at most, in seconds: it reflects all that was visible before that.

    While the view is proven: the time since the moment that it is proven for. Otherwise answers are Postgres' own, and
    0 s old, but for what the policies let through. That is no older than the last proof; nor, by `until_ttl`, than
    `longest_ttl`; nor, by `stale_if_error`, which counts while loads are `failing`, than that.
    """
    since_proven = now - view.proven
    if view.valid(now):
        return since_proven
    if view.distrusted or view.vouched == frozenset():
        return 0.0
    by_ttl = longest_ttl if policy.until_ttl else 0.0
    by_error = policy.stale_if_error if failing else 0.0
    return min(since_proven, max(by_ttl, by_error))
