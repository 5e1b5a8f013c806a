"""Every mutant, by name."""

from tests.mutants.caches import CACHES
from tests.mutants.ledgers import LEDGERS
from tests.mutants.mutant import Mutant
from tests.mutants.plain import PLAIN
from tests.mutants.processes import PROCESSES
from tests.mutants.scripts import SCRIPTS
from tests.mutants.views import VIEWS

MUTANTS: dict[str, Mutant] = {
    name: mutant
    for catalogue in (VIEWS, LEDGERS, SCRIPTS, CACHES, PROCESSES, PLAIN)
    for name, mutant in catalogue.mutants.items()
}
