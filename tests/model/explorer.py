"""The search through every state that the small world can be in, breadth first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.model import caching, listening, weather
from tests.model.promise import Broken, check
from tests.model.state import State, canonical, settled
from tests.model.world import Step, World, beginning


@dataclass(slots=True)
class Report:
    """What a search saw. `depth` is the number of steps to the farthest state."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    serving: int = 0
    """States in which some replica answers from its cache."""
    complete: bool = False
    """Whether there is no state left to see."""
    broken: str = ""
    """What did not hold, if anything, and the steps that led there."""


def successors(world: World, state: State) -> Iterator[Step]:
    """Yield every step that anybody can take, with the state after it in its canonical form."""
    for steps in (weather.steps, listening.steps, caching.steps):
        for did, after in steps(world, state):
            yield did, canonical(after, world.commits, world.messages, others=world.others, whole=world.whole)


@dataclass(slots=True)
class Search:
    """A breadth-first search. States are remembered by their hashes of 64 bits.

    Two of a million states have the same hash, and one of them is passed over, with a probability of 1 in 10^7.
    """

    world: World
    report: Report = field(default_factory=Report)
    _before: dict[int, int] = field(default_factory=dict)

    def run(self, most_states: int, progress: Callable[[Report], None] = lambda _: None) -> Report:
        """See every state, or `most_states` of them, or all up to the first that breaks the promise."""
        first = beginning(self.world)
        self._before[hash(first)] = 0
        layer = [first]
        while layer and self.report.states < most_states and not self.report.broken:
            layer = self._next(layer, most_states)
            self.report.depth += 1
            progress(self.report)
        self.report.complete = not layer
        return self.report

    def _next(self, layer: list[State], most_states: int) -> list[State]:
        found: list[State] = []
        report = self.report
        for state in layer:
            mark = hash(state)
            for _, after in successors(self.world, state):
                report.transitions += 1
                key = hash(after)
                if key in self._before:
                    continue
                self._before[key] = mark
                report.states += 1
                try:
                    report.serving += check(after) > 0
                except Broken as broken:
                    report.broken = f"{broken}\n" + "\n".join(self.path(key))
                    return found
                if self.world.whole or not settled(after, self.world.commits):
                    found.append(after)
            if report.states >= most_states:
                break
        return found

    def path(self, mark: int) -> list[str]:
        """Return the steps that lead to the state whose hash is `mark`."""
        marks = [mark]
        while self._before[marks[-1]]:
            marks.append(self._before[marks[-1]])
        state, path = beginning(self.world), []
        for wanted in reversed(marks[:-1]):
            did, state = next(step for step in successors(self.world, state) if hash(step[1]) == wanted)
            path.append(did)
        return [*path, str(state)]
