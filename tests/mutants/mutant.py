"""What a mutant is: how it is made of the sound build, and by which commands it is caught."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

Owner = type | ModuleType
Weakened = Callable[..., Any]
"""Stands in for a function: it is called with that one first, and then with what that one is called with."""


class Gone(Exception):  # noqa: N818 - it names what happened
    """What a mutant should weaken is not there any more: the mutant has to be written anew."""


@dataclass(frozen=True, slots=True)
class Catcher:
    """A command that has to fail for a mutant: a Python module and its arguments, and a name for it."""

    name: str
    module: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A weakened build. `weaken` makes it of the sound one, in this process."""

    name: str
    what: str
    weaken: Callable[[], None]
    by: tuple[Catcher, ...]


@dataclass
class Catalogue:
    """The mutants, by name."""

    mutants: dict[str, Mutant] = field(default_factory=dict)

    def instead_of(self, owner: Owner, attribute: str, *by: Catcher) -> Callable[[Weakened], Weakened]:
        """Register a function as a mutant that stands in for `attribute` of `owner`; its docstring says what it is."""

        def register(weakened: Weakened) -> Weakened:
            self._add(weakened, lambda: stand_in(owner, attribute, weakened), by)
            return weakened

        return register

    def mutant(self, *by: Catcher) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Register a function that weakens this process as a mutant."""

        def register(weaken: Callable[[], None]) -> Callable[[], None]:
            self._add(weaken, weaken, by)
            return weaken

        return register

    def _add(self, function: Callable[..., Any], weaken: Callable[[], None], by: tuple[Catcher, ...]) -> None:
        name = function.__name__.replace("_", "-")
        assert name not in self.mutants, f"two mutants are called {name}"
        assert function.__doc__, f"{name} does not say what it is"
        self.mutants[name] = Mutant(name, function.__doc__.splitlines()[0].rstrip("."), weaken, by)


def stand_in(owner: Owner, attribute: str, weakened: Weakened) -> None:
    """Put `weakened` in the place of a function. Raises Gone where there is none."""
    original = vars(owner).get(attribute)
    if not callable(original):
        raise Gone(f"{owner.__name__} has no function {attribute}")

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return weakened(original, *args, **kwargs)

    setattr(owner, attribute, replacement)


def edit(text: str, before: str, after: str) -> str:
    """Return `text` with `after` for `before`, which has to be there once. Raises Gone."""
    if text.count(before) != 1:
        raise Gone(f"there is not one {before!r}")
    return text.replace(before, after)


def world(name: str) -> Catcher:
    """The search through a world of tests.model."""
    return Catcher(f"explorer: {name}", "tests.model", (name,))


def machine(name: str) -> Catcher:
    """A state machine of Hypothesis, with more examples than the suite can afford."""
    return Catcher(f"hypothesis: {name}", "tests.mutants.machines", (name,))


def test(node: str) -> Catcher:
    """A test, or a file of them."""
    return Catcher(node, "pytest", ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "", f"tests/{node}"))


def scenario(node: str) -> Catcher:
    """A test of tests/chaos."""
    return test(f"chaos/{node}")
