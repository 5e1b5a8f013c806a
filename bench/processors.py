"""Who keeps the processors busy."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

Processes = Mapping[str, Sequence[psutil.Process]]
OTHERS = "others"


class Snapshot:
    """The processor time that each process had used at one moment, and that all of the machine had."""

    def __init__(self, processes: Processes) -> None:
        self.used: dict[tuple[str, int], float] = {}
        for name, members in processes.items():
            for each in members:
                with suppress(psutil.NoSuchProcess):  # a session of Postgres that has just ended
                    times = each.cpu_times()
                    self.used[name, each.pid] = times.user + times.system
        whole = psutil.cpu_times()
        self.busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0.0) - getattr(whole, "guest", 0.0)

    def since(self, earlier: "Snapshot", seconds: float) -> dict[str, float]:
        """Return how many processors each name, and everything else on this machine, has used since then."""
        used = dict.fromkeys((name for name, _ in self.used), 0.0)
        for (name, pid), time in self.used.items():
            used[name] += time - earlier.used.get((name, pid), 0.0)
        others = self.busy - earlier.busy - sum(used.values())
        return {name: round(time / seconds, 3) for name, time in {**used, OTHERS: max(0.0, others)}.items()}
