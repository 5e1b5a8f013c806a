"""Run mutants, and see that each is caught: `python -m tests.mutants [--jobs N] [name of a mutant]…`.

Exits with 1 if one survives, or cannot be run.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Catcher, Mutant

COLUMNS = "{:<9} {:<34} {:<74} {:>7}  {}"
PATIENCE_SECONDS = 900
FAILED = 1

_SYMPTOM = re.compile(
    r"^(?:E  +|FAILED [a-z]+ - )(?P<test>.*)$|^(?P<promise>an entry of .*|a view that .*|generation \d+ judges .*)$",
    re.MULTILINE,
)
_BROKEN_TEST = re.compile(r"^(TypeError|AttributeError|NameError|ImportError|KeyError|[\w.]*\bGone\b)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: caught, or not; how that showed; and the seconds that it took."""

    caught: bool
    how: str
    seconds: float


def judge(mutant: Mutant, catcher: Catcher) -> Verdict:
    """Run what should catch a mutant."""
    command = [sys.executable, "-m", "tests.mutants.weakened", mutant.name, catcher.module, *catcher.arguments]
    started = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Verdict(caught=False, how="no end", seconds=PATIENCE_SECONDS)
    seconds = time.perf_counter() - started
    found = _SYMPTOM.search(done.stdout)
    how = (found["test"] or found["promise"]) if found else f"exit code {done.returncode}"
    caught = done.returncode == FAILED and found is not None and not _BROKEN_TEST.match(how)
    if not caught:
        how = f"{how}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return Verdict(caught, how, seconds)


def lines(mutants: list[Mutant], jobs: int) -> Iterator[tuple[str, bool]]:
    """Run mutants, so many at once; yield what to print, and whether all is well."""
    yield COLUMNS.format("", "mutant", "by", "seconds", "how"), True
    with ThreadPoolExecutor(jobs) as pool:
        trials = [(mutant, by, pool.submit(judge, mutant, by)) for mutant in mutants for by in mutant.by]
        survivors = 0
        for mutant, by, trial in trials:
            verdict = trial.result()
            survivors += not verdict.caught
            word = "caught" if verdict.caught else "SURVIVED"
            how = verdict.how[:100] if verdict.caught else verdict.how
            yield COLUMNS.format(word, mutant.name, by.name, f"{verdict.seconds:.1f}", how), verdict.caught
    yield f"{len(mutants)} mutants, {len(trials)} trials, {survivors} not caught", survivors == 0


@click.command()
@click.option("--jobs", default=os.cpu_count(), show_default=True, help="So many at once.")
@click.argument("mutants", nargs=-1, type=click.Choice(list(MUTANTS)))
def main(jobs: int, mutants: tuple[str, ...]) -> None:
    """Run every weakened build, or the MUTANTS that are named, and see that each is caught."""
    caught = True
    for line, well in lines([MUTANTS[name] for name in mutants or MUTANTS], jobs):
        click.echo(line)
        caught = caught and well
    sys.exit(0 if caught else 1)


if __name__ == "__main__":
    main()
