"""A click group that loads a command's module when the command is asked for, not before."""

from difflib import get_close_matches
from importlib import import_module
from typing import cast

import click


class LazyGroup(click.Group):
    """A group of commands given as `module:name`, each with the line that the group's help has for it.

    `--help` of the group is instant: it imports no server.
    """

    def __init__(self, *, lazy: dict[str, tuple[str, str]], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # click's own keyword arguments, passed on
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were given."""
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        del ctx
        if cmd_name not in self._lazy:
            return None
        module, _, name = self._lazy[cmd_name][0].partition(":")
        return cast("click.Command", getattr(import_module(module), name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; a name that is nearly one is answered with that one."""
        name = args[0]
        meant = get_close_matches(name, self._lazy, n=1)
        if name not in self._lazy and meant:
            ctx.fail(f"No such command {name!r}. Did you mean {meant[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from what is known without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._lazy.items()])
