"""A chart of bars, as SVG: one figure for each of a few names."""

from collections.abc import Sequence
from html import escape

from bench.plot import COLOURS

WIDTH, LEFT, RIGHT, TOP = 720, 250, 70, 48
STEP, THICK = 26, 17


def bars(title: str, figures: Sequence[tuple[str, float]], *, unit: str, marked: str = "") -> str:
    """Return the SVG, readable on light and on dark pages. Names that begin with `marked` stand out."""
    height = TOP + STEP * len(figures) + 16
    most = max((figure for _, figure in figures), default=0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f'<title>{escape(title)}</title><g font-family="system-ui, sans-serif" font-size="13" fill="#57606a">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        f'<text x="24" y="28" font-size="16" font-weight="600" fill="#24292f">{escape(title)}</text>',
    ]
    for number, (name, figure) in enumerate(figures):
        y = TOP + STEP * number
        wide = round((WIDTH - LEFT - RIGHT) * figure / most, 1)
        colour = COLOURS[0] if marked and name.startswith(marked) else "#8c959f"
        parts.append(f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{wide}" height="{THICK}" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + wide + 8}" y="{y + 13}">{figure:.3g}{escape(unit)}</text>')
    return "\n".join([*parts, "</g></svg>", ""])
