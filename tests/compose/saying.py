"""What the try says while it runs."""

import time

import click

STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    click.echo(f"[{time.monotonic() - STARTED:6.1f} s] {text}")


class TryError(Exception):
    """The system in containers does not do what it should, or cannot be tried here. The message says what and why."""


def require(truth: object, otherwise: str) -> None:
    """Raise TryError with this text unless it is true."""
    if not truth:
        raise TryError(otherwise)
