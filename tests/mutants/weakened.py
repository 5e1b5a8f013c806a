"""Run a module as a mutant: `python -m tests.mutants.weakened MUTANT service serve`, or `… pytest tests/…`.

The Python programs that a test starts are mutants, too. What is to be weakened and is not there ends it with GONE.
"""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Gone, stand_in
from tests.support import processes

GONE = 70
ROOT = Path(__file__).parents[2]


def weaken_children(name: str) -> None:
    """Have tests start their programs as the mutant."""

    def child(make: Any, label: str, command: list[str], **options: Any) -> Any:
        interpreter, dash_m, *program = command
        assert dash_m == "-m", command
        return make(label, [interpreter, "-m", "tests.mutants.weakened", name, *program], **options)

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    for kind in ("Child", "Nursling"):
        stand_in(processes, kind, child)


def main(name: str, module: str, *arguments: str) -> None:
    """Weaken this process, and run the module in it."""
    try:
        MUTANTS[name].weaken()
        weaken_children(name)
    except Gone as gone:
        sys.stderr.write(f"{name}: {gone}\n")
        sys.exit(GONE)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
