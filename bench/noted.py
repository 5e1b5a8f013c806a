"""`python -m bench.noted` is `python -m service`, and notes in BENCH_NOTES when it has applied each change."""

import os
import time
from pathlib import Path

from bench.notes import Note, Notes
from coherence.changes import Bump
from coherence.view import Received, View
from service.command import api


def note_into(notes: Notes) -> None:
    """Have every view of this process note what it has applied: from then on nothing older is served."""
    receive = View.receive

    def noted(view: View, bump: Bump) -> Received:
        received = receive(view, bump)
        notes.take(Note(bump.generation, bump.made_at, time.monotonic()))
        return received

    View.receive = noted  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    note_into(Notes(Path(os.environ["BENCH_NOTES"])))
    api(prog_name="python -m bench.noted")
