"""The worlds that are searched. Each leaves something out, so that the rest can be seen to the end."""

from dataclasses import replace

from tests.model.world import KINDS, World

_ONE = World(replicas=1, others=True, listeners=1, commits=1, messages=1, faults=0)

WORLDS = {
    "one commit": _ONE,
    "one commit, nothing left out": replace(_ONE, whole=True),
    "two commits": replace(_ONE, commits=2),
    "two commits, two messages under way": replace(_ONE, commits=2, messages=2),
    "a change of its own": replace(_ONE, puts=True),
    "changes of others": replace(_ONE, puts_elsewhere=True),
    "a trigger that is off for a moment": replace(_ONE, unannounced=True),
    "a successor": replace(_ONE, listeners=2),
    "a successor, and Redis fails over": replace(_ONE, listeners=2, faults=1, kinds=frozenset({"failover"})),
    "two primaries": replace(_ONE, faults=1, kinds=frozenset({"failover"}), split=True, puts_elsewhere=True),
    "a change of its own, and no answer": replace(_ONE, puts=True, faults=1, kinds=frozenset({"answer"})),
    **{f"one fault: {kind}": replace(_ONE, faults=1, kinds=frozenset({kind})) for kind in sorted(KINDS)},
    "two replicas": replace(_ONE, replicas=2, others=False),
    "all at once": World(faults=2, puts=True, unannounced=True),
}
"""In all but the last two, one replica, and any number beside it of which nothing is known but what they may cache."""
