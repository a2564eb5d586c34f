"""Axes and marks of a static SVG plot, as text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Place = tuple[float, float]
INK, SOFT, GRID = "#1c1e21", "#5d6268", "#ecebe5"
MARK_RADIUS = 4.2


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    """Pixel of the lowest value."""
    end: float
    marks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is put on the edge."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        part = (value - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.end - self.start)


def log_axis(values: Sequence[float], *, left: float, right: float) -> Axis:
    """Round numbers of the form 1, 2, 5 times a power of ten around positive values."""
    known = [max(value, 1.0) for value in values] or [1.0]
    low, high = min(known) / 1.25, max(known) * 1.25
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    round_numbers = [factor * 10.0**power for power in exponents for factor in (1, 2, 5)]
    inside = [number for number in round_numbers if low <= number <= high]
    if len(inside) > 12:
        inside = [number for number in inside if math.log10(number).is_integer()]
    return Axis(low, high, left, right, tuple((n, f"{n:,.5g}") for n in inside), is_log=True)


def step_axis(steps: Sequence[float], *, left: float, right: float) -> Axis:
    """Whole steps from the first to the last."""
    low, high = min(steps), max(steps)
    raw = max(1.0, (high - low) / 5)
    power = 10.0 ** math.floor(math.log10(raw))
    size = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / size), math.floor(high / size)
    marks = tuple((n * size, f"{n * size:,.5g}") for n in range(first, last + 1))
    return Axis(low, high, left, right, marks)


@dataclass(frozen=True, slots=True)
class Frame:
    """A panel between two axes."""

    x: Axis
    y: Axis

    def draw(self, label: str, title: str) -> list[str]:
        """Grid, marks, the name of the horizontal axis and a title."""
        left, right = self.x.start, self.x.end
        parts = [text(left, self.y.end - 14, title, size=13.5, weight=600)]
        for value, words in self.y.marks:
            up = self.y.at(value)
            parts.append(_line(left, up, right, up))
            parts.append(text(left - 8, up + 4, words, anchor="end", soft=True))
        for value, words in self.x.marks:
            across = self.x.at(value)
            parts.append(_line(across, self.y.start, across, self.y.start + 5))
            parts.append(text(across, self.y.start + 19, words, anchor="middle", soft=True))
        middle = (left + right) / 2
        return [*parts, text(middle, self.y.start + 42, label, anchor="middle")]


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 12.5,
    weight: int = 400,
    anchor: str = "start",
    soft: bool = False,
) -> str:
    """A line of text."""
    color, kind = (SOFT, ' class="soft"') if soft else (INK, "")
    return (
        f'<text{kind} x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{color}">{escape(words)}</text>'
    )


def polyline(places: Sequence[Place], color: str, number: int, *, dashes: str = "") -> str:
    """A line through places. dashes: as `stroke-dasharray` has them."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path class="k{number}" d="{path}" fill="none" stroke="{color}" '
        f'stroke-width="1.8"{dashed}/>'
    )


def error_bar(x: float, low: float, high: float, color: str, number: int) -> str:
    """A vertical bar with caps between two pixels; nothing where it has no length."""
    if abs(low - high) < 0.05:
        return ""
    path = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
    return f'<path class="k{number}" d="{path}" fill="none" stroke="{color}" stroke-width="1.1"/>'


def mark(x: float, y: float, color: str, number: int, shape: int) -> str:
    """A circle, square, triangle or diamond, or one of them hollow."""
    r = MARK_RADIUS
    outlines = (
        f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z",
        f"M{x - r + 0.4:.1f} {y - r + 0.4:.1f}h{2 * r - 0.8}v{2 * r - 0.8}h{0.8 - 2 * r}z",
        f"M{x:.1f} {y - r - 0.8:.1f}l{r + 0.8} {2 * r}h{-2 * r - 1.6}z",
        f"M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l{-r - 1} {r + 1}l{-r - 1} {-r - 1}z",
    )
    path = outlines[shape % len(outlines)]
    return f'<path class="f{number}" d="{path}" fill="{color}" stroke="#fff" stroke-width="0.9"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path class="grid" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{GRID}"/>'
