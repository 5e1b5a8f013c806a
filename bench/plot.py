"""A chart of shares by rates, as SVG: the rates on a logarithmic axis that begins with 0."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 48, 56
COLOURS = ("#0969da", "#cf222e", "#1a7f37")
MARKS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True, slots=True)
class Series:
    """A named line: rates and shares."""

    name: str
    points: Sequence[tuple[float, float]]


def plot(title: str, lines: Sequence[Series]) -> str:
    """Return the SVG. It is readable on light and on dark pages."""
    rates = sorted({rate for line in lines for rate, _ in line.points})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f'<title>{escape(title)}</title><g font-family="system-ui, sans-serif" font-size="13" fill="#57606a">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" font-size="16" font-weight="600" fill="#24292f">{escape(title)}</text>',
    ]
    for share in MARKS:
        y = _y(share)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    parts += [f'<text x="{_x(rate, rates)}" y="{_y(0) + 22}" text-anchor="middle">{rate:,g}</text>' for rate in rates]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">row updates per second</text>')
    for line, colour in zip(lines, COLOURS, strict=False):
        parts += _line(line, colour, rates)
    return "\n".join([*parts, "</g></svg>", ""])


def _line(line: Series, colour: str, rates: Sequence[float]) -> list[str]:
    points = [(_x(rate, rates), _y(share), share) for rate, share in line.points]
    path = " ".join(f"{x},{y}" for x, y, _ in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>']
    for x, y, share in points:
        parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"><title>{share:.1%}</title></circle>')
    x, y, share = points[-1]
    parts.append(
        f'<text x="{x + 12}" y="{y + 4}" fill="{colour}" font-weight="600">{escape(line.name)} {share:.0%}</text>'
    )
    return parts


def _x(rate: float, rates: Sequence[float]) -> float:
    places = [_place(each) for each in rates]
    span = (places[-1] - places[0]) or 1.0
    return round(LEFT + 20 + (_place(rate) - places[0]) / span * (WIDTH - LEFT - RIGHT - 40), 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _place(rate: float) -> float:
    return math.log10(rate) if rate >= 1 else -1.0
