"""Run a state machine of Hypothesis at length: `python -m tests.mutants.machines puts`. Exits with 1 if it fails."""

import sys

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model import test_interleavings, test_leases, test_puts

MACHINES: dict[str, type[RuleBasedStateMachine]] = {
    "interleavings": test_interleavings.Model,
    "puts": test_puts.Model,
    "leases": test_leases.Model,
}
AT_LENGTH = settings(
    max_examples=2000,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)


def main(name: str) -> int:
    """Run, print what failed, and return the exit code."""
    try:
        run_state_machine_as_test(MACHINES[name], settings=AT_LENGTH)
    except AssertionError as error:
        sys.stdout.write(f"FAILED {name} - {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
