"""What a request asks, found by what it is made of: the same as an earlier one that was read.

This compares the key in a request with those in known heads, and not in constant time. It gives nothing away for all
that: two heads are compared byte by byte only where all 64 bits of their hashes agree, and what a head hashes to nobody
can tell who does not have it, key and all. So no answer comes sooner for a key that is nearly right.
"""

from collections.abc import Hashable

from service.fast.asking import Asking

MOST_HEADS = 4096
LONGEST_HEAD = 1024
"""Bytes. So the heads take no more than 4 MiB."""


class Heads:
    """Requests that were plain hits. What they ask is all that is kept: an answer is in L1, or nowhere.

    Bounded in number and length, the oldest dropped first. One is kept when it comes for the second time: many have
    something in them that no other has, and would only push out those that come again.
    """

    def __init__(self, most: int = MOST_HEADS) -> None:
        self._most = most
        self._asking: dict[Hashable, Asking] = {}
        self._once: set[int] = set()
        self.get = self._asking.get
        """Return what a request with this head asks; None where that is not known."""

    def learn(self, head: Hashable, size: int, asking: Asking) -> None:
        """Take it that a request with this head, of `size` bytes, asks `asking`, whenever it comes."""
        if size > LONGEST_HEAD or head in self._asking:
            return
        digest = hash(head)
        if digest not in self._once:
            if len(self._once) >= self._most:
                self._once.clear()
            self._once.add(digest)
            return
        if len(self._asking) >= self._most:
            del self._asking[next(iter(self._asking))]
        self._asking[head] = asking

    def __len__(self) -> int:
        return len(self._asking)
