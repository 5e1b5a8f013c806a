"""A chart of how many answers were outdated by more than so many seconds, as SVG; both axes are logarithmic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tests.chaos.oracle import Staleness

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 48, 56
COLOURS = ("#1a7f37", "#cf222e", "#0969da")
LEAST_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Curve:
    """A named kind of answers."""

    name: str
    staleness: Staleness

    @property
    def points(self) -> list[tuple[float, float]]:
        """Seconds, and the share of the answers that were outdated by at least as much."""
        counts = self.staleness.by_millisecond
        total = left = counts.total()
        points = []
        for milliseconds, count in sorted(counts.items()):
            if milliseconds:
                points.append((milliseconds / 1000, left / total))
            left -= count
        return points


def plot(title: str, curves: Sequence[Curve], bound: float) -> str:
    """Return the SVG. It is readable on light and on dark pages."""
    drawn = [curve for curve in curves if curve.points]
    least = min((share for curve in drawn for _, share in curve.points), default=0.1)
    decades = math.ceil(-math.log10(least))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f'<title>{escape(title)}</title><g font-family="system-ui, sans-serif" font-size="13" fill="#57606a">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" font-size="16" font-weight="600" fill="#24292f">{escape(title)}</text>',
    ]
    for decade in range(decades + 1):
        y = _y(10**-decade, decades)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{10 ** (2 - decade):g} %</text>')
    for seconds in (0.001, 0.01, 0.1, bound):
        label = f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
        x = _x(seconds, bound)
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">{label}</text>')
    x = _x(bound, bound)
    parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#24292f" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{x - 6}" y="{TOP + 14}" text-anchor="end" fill="#24292f">the bound</text>')
    caption = "answers outdated for at least so long when they were asked for"
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{caption}</text>')
    for place, (curve, colour) in enumerate(zip(drawn, COLOURS, strict=False)):
        line = " ".join(f"{_x(seconds, bound)},{_y(share, decades)}" for seconds, share in curve.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        text = f"{curve.name}: of {curve.staleness.by_millisecond.total():,}, at worst {curve.staleness.worst:.3f} s"
        y = HEIGHT - BOTTOM - 14 - 20 * (len(drawn) - 1 - place)
        parts.append(f'<text x="{LEFT + 12}" y="{y}" fill="{colour}" font-weight="600">{escape(text)}</text>')
    return "\n".join([*parts, "</g></svg>", ""])


def _x(seconds: float, bound: float) -> float:
    span = math.log10(bound * 1.3 / LEAST_SECONDS)
    return round(LEFT + math.log10(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) / span * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float, decades: int) -> float:
    return round(TOP - math.log10(share) / decades * (HEIGHT - TOP - BOTTOM), 1)
