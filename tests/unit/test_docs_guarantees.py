"""docs/guarantees.md: a line for each scenario, a scenario for each line."""

from tests.chaos.guarantees import COLUMNS, PAGE, lines_of, measured, refreshed, scenarios
from tests.chaos.report import SOAK

REPORT = {"reads": 1200, "violations": 0, "worst": 0.4321, "bound": 1.0, "figures": {}}


def test_each_scenario_has_its_line() -> None:
    """A fault that is tried is told of, once, and the other way round."""
    lines = lines_of(PAGE.read_text())
    assert sorted(lines) == sorted(scenarios())
    assert {name: cells for name, cells in lines.items() if len(cells) != COLUMNS} == {}
    assert [name for name, cells in lines.items() if not all(cells[:4])] == []


def test_soaks_are_summed_up() -> None:
    """Their lengths, faults and answers; of each fault, the worst."""
    soak = REPORT | {
        "reads": 1000,
        "minutes": 1.5,
        "hits": {"l1": 800, "l2": 90},
        "faults": {"API paused": 2},
        "worst_by_phase": {"API paused": 0.4, "quiet": 0.01},
    }
    page = "before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n"
    text = refreshed(page, {SOAK: [soak, soak | {"worst_by_phase": {"API paused": 0.5}}]})
    assert text == (
        "before\n<!-- soak -->\n"
        "2 runs, 3 minutes, 4 faults, 2,000 answers: 80.0 % from l1, 9.0 % from l2, the others from Postgres.\n\n"
        "| while | times | worst, s |\n|---|---:|---:|\n| API paused | 4 | 0.50 |\n| quiet |  | 0.01 |\n"
        "<!-- end of soak -->\nafter\n"
    )


def test_what_was_measured_replaces_what_is_there() -> None:
    """The last cell alone, and only where there is a report."""
    page = "| `a` | f | u | b | |\n| `b` | f | u | b | old |\n| `c` | f | u | b | 1 |\n"
    reports = {"a": [REPORT, REPORT], "b": [REPORT | {"reads": 0, "figures": {"old of 10,000 PUTs": 3.0}}]}
    assert refreshed(page, reports) == (
        "| `a` | f | u | b | 0 of 2,400; 0.43 s |\n"
        "| `b` | f | u | b | old of 10,000 PUTs: 3 |\n"
        "| `c` | f | u | b | 1 |\n"
    )
    assert refreshed(refreshed(page, reports), reports) == refreshed(page, reports)
    assert measured([REPORT]) == "0 of 1,200; 0.43 s"
    assert measured([REPORT | {"bound": 2.5}]) == "0 of 1,200; 0.43 s (B = 2.5 s)"
