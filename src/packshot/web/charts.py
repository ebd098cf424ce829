"""Charts as SVG: finished values in, markup and the table behind it out. Knows no page and no query.

Across, everything stands in percent of the plot, so that a chart fits any width and no text is stretched.
Down, it stands in pixels. What is not known (None) is a gap and is said in words, never drawn as nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from itertools import islice
from math import ceil, sqrt

from markupsafe import Markup, escape

Value = float | None  # None: not known
Show = Callable[[float], str]

TOP_PX, BOTTOM_PX = 14, 22
MOST_TICKS = 5
MOST_SERIES = 8
MOST_LABELS = 7
DIRECT_LABELS = 6
_GUTTERS_PX = (16, 24, 32, 40, 48, 64, 96, 128)
_CHARACTER_PX = 6.6  # of the 11 px that labels are set in
_BAR_SHARE, _WIDEST_BAR = 0.68, 14.0  # of a bucket's width; in percent of the plot
_GAP_PX = 0.8
_CIRCLE = '<circle cx="5" cy="5" r="4.6"/>'


@dataclass(frozen=True, slots=True)
class Words:
    """What a chart says: its finding in one sentence, and what stands there while it has nothing to show."""

    finding: str
    caption: str  # of its table
    of: str  # what a row of the table is one of: Hour, Day, Provider
    empty: str


@dataclass(frozen=True, slots=True)
class Scale:
    """How values are written, and how far their axis reaches if they do not say it themselves."""

    show: Show  # in tooltip and table
    axis: Show  # beside the axis
    whole: bool = False  # halves make no sense: 2 images, not 2.5
    least: float = 1  # the top of an axis that has nothing above 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of time: `tick` under the axis, `name` in tooltip and table."""

    tick: str
    name: str


@dataclass(frozen=True, slots=True)
class Series:
    """One value a bucket. `provider` gives shape and colour; what is no provider has a `tone`."""

    label: str
    values: tuple[Value, ...]
    provider: str = ""
    tone: str = "plain"  # plain, ok, warn, bad, run, accent, other


@dataclass(frozen=True, slots=True)
class Level:
    """A line that values are held against: a budget, a target, a threshold."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the buckets after the known ones are likely to hold."""

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One mark of a scatter. Its area grows with `size`; `shape` is markup of ours in a box of 10 by 10."""

    label: str
    x: float
    y: float
    size: float = 1
    provider: str = ""
    tone: str = "plain"
    shape: str = _CIRCLE
    also: tuple[tuple[str, str], ...] = ()  # what else there is to say of it: a name and a value each


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate that lies between `low` and `high`, or None while nothing is known."""

    label: str
    middle: Value
    low: Value
    high: Value
    provider: str = ""
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class LegendEntry:
    label: str
    provider: str
    tone: str


@dataclass(frozen=True, slots=True)
class Table:
    """The same values for whoever does not look at pictures."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished chart. Without anything to show it has no legend and no table, and the same height."""

    svg: Markup
    legend: tuple[LegendEntry, ...] = ()
    table: Table | None = None
    note: str = ""  # what the picture cannot show


# -- the charts ------------------------------------------------------------------------------------


def bars(
    series: Sequence[Series],
    buckets: Sequence[Bucket],
    words: Words,
    scale: Scale,
    *,
    height: int = 190,
    unfinished: bool = False,
    level: Level | None = None,
) -> Drawing:
    """Stacked bars from zero, the first series at the bottom; an unfinished last bucket is paler."""
    shown, scale = most_important(series), _remembering(scale)
    _check(shown, len(buckets))
    if not buckets or not shown:
        return _nothing(words, height)
    columns = [[each.values[place] for each in shown] for place in range(len(buckets))]
    plot = _plot(
        scale,
        low=min(0, *(_sum(column, below=True) for column in columns)),
        high=max(0, *(_sum(column) for column in columns), *([level.value] if level else [])),
        height=height,
    )
    slot = 100 / len(buckets)
    width = min(slot * _BAR_SHARE, _WIDEST_BAR)
    layers: list[tuple[list[str], list[str]]] = [([], []) for _ in shown]
    hits = []
    for place, (bucket, column) in enumerate(zip(buckets, columns, strict=True)):
        x = _n(place * slot + (slot - width) / 2)
        paler = unfinished and place == len(buckets) - 1
        for (whole, pale), (top, tall) in zip(layers, _stack(column, plot), strict=True):
            if tall:
                (pale if paler else whole).append(f"M{x} {_n(top)}h{_n(width)}v{_n(tall)}H{x}z")
        hits.append(_hit(place * slot, slot, height, _tip(bucket.name, shown, column, scale)))
    stacks = []
    for each, (whole, pale) in zip(shown, layers, strict=True):
        stacks.append(f'<path class="stack {_tone(each)}" d="{"".join(whole)}"/>')
        if pale:
            stacks.append(f'<path class="stack {_tone(each)} unfinished" d="{"".join(pale)}"/>')
    parts = [
        plot.grid,
        # One path a series, in a box that is a hundred wide and as tall as the drawing.
        f'<svg class="plot" width="100%" height="{height}" viewBox="0 0 100 {height}" '
        f'preserveAspectRatio="none">{"".join(stacks)}</svg>',
        plot.zero,
        *hits,
        _labels([(place * slot + slot / 2, bucket.tick) for place, bucket in enumerate(buckets)], height),
        _level(level, plot),
    ]
    return Drawing(
        _svg(parts, words.finding, height, plot.gutter_px),
        _legend(shown),
        _table(shown, buckets, words, scale, unfinished=unfinished),
        _note(value for column in columns for value in column),
    )


def line(
    series: Sequence[Series],
    buckets: Sequence[Bucket],
    words: Words,
    scale: Scale,
    *,
    height: int = 190,
    area: bool = False,
    unfinished: bool = False,
    level: Level | None = None,
    thresholds: Sequence[Level] = (),
    forecast: Forecast | None = None,
) -> Drawing:
    """Straight lines that break where nothing is known. `forecast` follows on the first series."""
    shown, scale = most_important(series), _remembering(scale)
    ahead = len(forecast.values) if forecast else 0
    _check(shown, len(buckets) - ahead)
    if forecast and not (len(forecast.low) == len(forecast.high) == ahead):
        raise ValueError("a forecast has as many lows and highs as values")
    known = [value for each in shown for value in each.values if value is not None]
    if not known:
        return _nothing(words, height)
    reach = [*known, *(each.value for each in (*thresholds, *([level] if level else [])))]
    if forecast:
        reach += [*forecast.low, *forecast.high, *forecast.values]
    plot = _plot(scale, low=min(0, *reach), high=max(reach), height=height)
    across = _across(len(buckets))

    def at(place: int, value: float) -> str:
        return f"{_n(across[place])} {_n(plot.share_down(value) * 100)}"

    drawn = [_fan(shown[0], forecast, at)] if forecast else []
    ground = plot.share_down(max(plot.low, min(0, plot.high))) * 100
    for each in shown:
        for run in _runs(each.values):
            points = [at(place, value) for place, value in run]
            if area:
                ends = across[run[0][0]], across[run[-1][0]]
                drawn.append(_area(points, ends, ground, _tone(each)))
            drawn.append(_strokes(each, points, pale=unfinished and run[-1][0] == len(each.values) - 1))
    rows = [_line_row(shown, place, forecast, len(buckets) - ahead) for place in range(len(buckets))]
    half = 50 / len(buckets)
    hits = []
    for x, bucket, row in zip(across, buckets, rows, strict=True):
        left, right = max(0, x - half), min(100, x + half)
        hits.append(_hit(left, right - left, height, _line_tip(bucket.name, row, scale)))
    tall = height - TOP_PX - BOTTOM_PX
    parts = [
        plot.grid,
        f'<svg class="plot" y="{TOP_PX}" width="100%" height="{tall}" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none">{"".join(drawn)}</svg>',
        plot.zero,
        *hits,
        _labels([(x, bucket.tick) for x, bucket in zip(across, buckets, strict=True)], height),
        _level(level, plot),
        *(_threshold(each, plot) for each in thresholds),
    ]
    return Drawing(
        _svg(parts, words.finding, height, plot.gutter_px),
        _legend(shown),
        _line_table(shown, buckets, rows, words, scale, forecast=forecast, unfinished=unfinished),
        _note(value for each in shown for value in each.values),
    )


def scatter(
    points: Sequence[Point],
    words: Words,
    across: Scale,
    up: Scale,
    *,
    across_name: str,
    up_name: str,
    size_name: str = "",
    show_size: Show | None = None,
    height: int = 244,
) -> Drawing:
    """Marks of one shape and colour a provider; up to six carry their names themselves."""
    if not points:
        return _nothing(words, height)
    inner = height - 18  # the name of the axis across stands under its labels
    plot = _plot(up, low=min(p.y for p in points), high=max(p.y for p in points), height=inner, padded=True)
    lows, highs = min(p.x for p in points), max(p.x for p in points)
    x_ticks = ticks(*_padded(across, lows, highs), whole=across.whole)
    width = x_ticks[-1] - x_ticks[0]
    largest = max(point.size for point in points) or 1

    def facts(point: Point) -> list[tuple[str, str]]:
        shown = [(up_name, up.show(point.y)), (across_name, across.show(point.x))]
        if show_size:
            shown.append((size_name, show_size(point.size)))
        return [*((name[:1].upper() + name[1:], value) for name, value in shown), *point.also]

    parts = [plot.grid, _text("0", 8, f"↑ {up_name}", "start")]
    parts += [
        _text(f"{_n((tick - x_ticks[0]) / width * 100)}%", inner - 5, across.axis(tick)) for tick in x_ticks
    ]
    parts.append(_text("100%", height - 3, f"{across_name} →", "end"))
    taken: list[tuple[float, float]] = []
    # The largest first, so that a small mark is never hidden behind one.
    for point in sorted(points, key=lambda point: -point.size):
        x, y = (point.x - x_ticks[0]) / width * 100, plot.down(point.y)
        grown = max(1.2, 4.2 * sqrt(max(point.size, 0) / largest))
        name = _direct_label(point.label, x, y, grown * 5, taken) if len(points) <= DIRECT_LABELS else ""
        tip = "\n".join([point.label, *(f"{of}  {value}" for of, value in facts(point))])
        parts.append(
            f'<svg x="{_n(x)}%" y="{_n(y)}" class="point {_tone(point)}"><g data-tip="{_attribute(tip)}" '
            f'transform="scale({_n(grown)}) translate(-5 -5)">{point.shape}</g>{name}</svg>'
        )
    columns = (words.of, *(of for of, _ in facts(points[0])))
    rows = tuple((point.label, *(value for _, value in facts(point))) for point in points)
    legend = tuple(LegendEntry(point.label, point.provider, point.tone) for point in points)
    return Drawing(
        _svg(parts, words.finding, height, plot.gutter_px),
        legend if len(points) > DIRECT_LABELS else (),
        Table(words.caption, columns, rows),
    )


def intervals(
    rows: Sequence[Interval], words: Words, scale: Scale, *, row_px: int = 34, level: Level | None = None
) -> Drawing:
    """One line a row from the low to the high end of what is plausible, with a dot at the estimate."""
    height = max(len(rows), 1) * row_px + BOTTOM_PX + (TOP_PX if level else 0)
    known = [value for each in rows for value in (each.low, each.middle, each.high) if value is not None]
    if not known:
        return _nothing(words, height)
    reach = [*known, *([level.value] if level else [])]
    marks = ticks(*_padded(scale, min(reach), max(reach)), whole=scale.whole)
    width = marks[-1] - marks[0]
    bottom = height - BOTTOM_PX
    top = height - BOTTOM_PX - len(rows) * row_px

    def at(value: float) -> str:
        return f"{_n((value - marks[0]) / width * 100)}%"

    parts = []
    for mark in marks:
        parts.append(f'<line class="grid" x1="{at(mark)}" x2="{at(mark)}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(at(mark), height - 5, scale.axis(mark)))
    if level:
        x = at(level.value)
        parts.append(f'<line class="level" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(x, top - 4, level.label))
    table = []
    for place, row in enumerate(rows):
        y = top + place * row_px + row_px / 2
        parts.append(_text("-10", y + 4, _short(row.label), "end", "name"))
        if row.low is None or row.middle is None or row.high is None:
            parts.append(_text("0", y + 4, "not enough yet", "start"))
            table.append((row.label, "unknown", "unknown", "unknown"))
            continue
        middle, low, high = (scale.show(value) for value in (row.middle, row.low, row.high))
        table.append((row.label, middle, low, high))
        parts.append(
            f'<g class="interval {_tone(row)}">{_whiskers(at(row.low), at(row.high), y)}'
            f'<circle cx="{at(row.middle)}" cy="{_n(y)}" r="4.5"/></g>'
        )
        tip = _attribute(f"{row.label}\n{middle}\nplausibly {low} to {high}")
        parts.append(
            f'<rect class="hit" width="100%" y="{_n(y - row_px / 2)}" height="{row_px}" data-tip="{tip}"/>'
        )
    unknown = sum(1 for row in rows if row.middle is None)
    return Drawing(
        _svg(parts, words.finding, height, _gutter(_short(row.label) for row in rows)),
        (),
        Table(words.caption, (words.of, "Estimate", "At least", "At most"), tuple(table)),
        f"{unknown} of {len(rows)} with too few values yet." if unknown else "",
    )


def spark(
    values: Sequence[Value],
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    tone: str = "",
) -> Markup:
    """A line without an axis. Give the range, so that calm looks calm and a zero stays at the bottom."""
    known = [value for value in values if value is not None]
    floor = low if low is not None else min(known, default=0)
    span = (high if high is not None else max(known, default=1)) - floor
    across = _across(len(values))

    def at(place: int, value: float) -> str:
        share = 0.5 if span <= 0 else min(1, max(0, (value - floor) / span))
        return f"{_n(across[place])} {_n(96 - 92 * share)}"

    drawn = []
    for run in _runs(values):
        points = [at(place, value) for place, value in run]
        drawn.append(_area(points, (across[run[0][0]], across[run[-1][0]]), 100))
        drawn.append(f'<path class="line" d="{_path(points)}"/>')
    if not known:
        drawn.append('<path class="line none" d="M0 96 100 96"/>')
    kind = " ".join(["spark", *([f"tone-{tone}"] if tone else [])])
    return _markup(
        f'<svg class="{escape(kind)}" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{_attribute(label)}">{"".join(drawn)}</svg>'
    )


# -- axes --------------------------------------------------------------------------------------------


def ticks(low: float, high: float, *, whole: bool = False) -> tuple[float, ...]:
    """At most five round numbers, the first at or below `low` and the last at or above `high`."""
    if high <= low:
        high = low + 1
    bottom, top = Decimal(repr(low)), Decimal(repr(high))

    def places_of(step: Decimal) -> tuple[float, ...]:
        first = int((bottom / step).to_integral_value(ROUND_FLOOR))
        last = int((top / step).to_integral_value(ROUND_CEILING))
        return tuple(_plain(step * place) for place in range(first, last + 1))

    fitting = (
        places for places in map(places_of, _steps(top - bottom, whole=whole)) if len(places) <= MOST_TICKS
    )
    # Of the finest steps the one that wastes the least room: 0 to 50 by 25, rather than 0 to 60 by 20.
    return min(islice(fitting, 3), key=lambda places: places[-1] - places[0])


def _steps(span: Decimal, *, whole: bool) -> Iterable[Decimal]:
    """1, 2, 2.5, 5, 10, ... from about a tenth of the span upwards."""
    power = (span / 10).adjusted()
    while True:
        for digits in (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5)):
            step = digits.scaleb(power)
            if not whole or step == step.to_integral_value():
                yield step
        power += 1


def _plain(number: Decimal) -> float:
    return int(number) if number == number.to_integral_value() else float(number)


@dataclass(frozen=True, slots=True)
class _Plot:
    """The space between the lowest and the highest tick."""

    low: float
    high: float
    height: int
    gutter_px: int
    grid: str
    zero: str  # drawn over the bars where some of them hang below it

    def share_down(self, value: float) -> float:
        return (self.high - value) / (self.high - self.low)

    def down(self, value: float) -> float:
        """How many pixels below the top edge of the drawing `value` lies."""
        return TOP_PX + self.share_down(value) * (self.height - TOP_PX - BOTTOM_PX)


def _plot(scale: Scale, *, low: float, high: float, height: int, padded: bool = False) -> _Plot:
    if padded:
        low, high = _padded(scale, low, high)
    else:
        low = scale.low if scale.low is not None else low
        high = scale.high if scale.high is not None else high
        if high <= low:
            high = low + scale.least
    marks = ticks(low, high, whole=scale.whole)
    names = [scale.axis(mark) for mark in marks]
    plot = _Plot(marks[0], marks[-1], height, _gutter(names), "", "")
    grid = []
    for mark, name in zip(marks, names, strict=True):
        y = _n(plot.down(mark))
        grid.append(f'<line class="grid" x2="100%" y1="{y}" y2="{y}"/>')
        grid.append(_text("-8", plot.down(mark) + 4, name, "end"))
    y = _n(plot.down(0))
    zero = f'<line class="axis" x2="100%" y1="{y}" y2="{y}"/>' if plot.low < 0 < plot.high else ""
    return _Plot(plot.low, plot.high, height, plot.gutter_px, "".join(grid), zero)


def _padded(scale: Scale, low: float, high: float) -> tuple[float, float]:
    """A little air around marks that would else stand on the edge."""
    air = (high - low) * 0.08 or abs(high) * 0.1 or scale.least
    below = low - air if low < 0 else max(0, low - air)
    return (
        scale.low if scale.low is not None else below,
        scale.high if scale.high is not None else high + air,
    )


def _gutter(names: Iterable[str]) -> int:
    """How many pixels the longest of these labels needs beside the plot."""
    wanted = max((len(name) for name in names), default=0) * _CHARACTER_PX + 8
    return next((px for px in _GUTTERS_PX if px >= wanted), _GUTTERS_PX[-1])


def _across(count: int) -> list[float]:
    """Where `count` points stand, in percent: from edge to edge, one alone in the middle."""
    return [50.0] if count == 1 else [place * 100 / (count - 1) for place in range(count)]


def _labels(places: Sequence[tuple[float, str]], height: int) -> str:
    """Under the axis, as many as fit, at even distances from the first."""
    every = next(
        step
        for step in (1, 2, 3, 4, 7, 14, 28, *range(60, 10_000, 30))
        if ceil(len(places) / step) <= MOST_LABELS
    )
    labels = (_text(f"{_n(x)}%", height - 5, text, _anchor(x)) for x, text in places[::every])
    return f'<g class="ticks">{"".join(labels)}</g>'  # of which a phone shows every second


def _anchor(x: float) -> str:
    return "start" if x < 0.5 else "end" if x > 99.5 else "middle"


def _level(level: Level | None, plot: _Plot) -> str:
    if level is None:
        return ""
    y = plot.down(level.value)
    rule = f'<line class="level" x2="100%" y1="{_n(y)}" y2="{_n(y)}"/>'
    return rule + _text("100%", y - 5, level.label, "end")


def _threshold(level: Level, plot: _Plot) -> str:
    y = plot.down(level.value)
    tick = f'<line class="threshold" x1="98%" x2="100%" y1="{_n(y)}" y2="{_n(y)}"/>'
    return tick + _text("97%", y + 4, level.label, "end")


# -- marks -------------------------------------------------------------------------------------------


def _stack(column: Sequence[Value], plot: _Plot) -> list[tuple[float, float]]:
    """Top and height of each segment in pixels: above zero upwards, below it downwards."""
    above = below = 0.0
    highest = max((place for place, value in enumerate(column) if value and value > 0), default=-1)
    found = []
    for place, value in enumerate(column):
        if not value:
            found.append((0.0, 0.0))
            continue
        if value > 0:
            top, bottom = plot.down(above + value), plot.down(above)
            above += value
            if place != highest:  # a hair of ground between two colours
                top = min(top + _GAP_PX, bottom - 0.4)
        else:
            top, bottom = plot.down(below), plot.down(below + value)
            below += value
        found.append((top, max(bottom - top, 0.4)))
    return found


def _runs(values: Sequence[Value]) -> list[list[tuple[int, float]]]:
    """The unbroken stretches, each value with its place."""
    runs: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _area(points: Sequence[str], ends: tuple[float, float], ground: float, tone: str = "") -> str:
    """What lies between a line and the ground; a value that stands alone has none."""
    if len(points) == 1:
        return ""
    first, last = ends
    kind = f"area {tone}".rstrip()
    edge = f"{_n(last)} {_n(ground)} {_n(first)} {_n(ground)}"
    return f'<path class="{kind}" d="M{" ".join(points)} {edge}z"/>'


def _whiskers(left: str, right: str, y: float) -> str:
    """From end to end, with a stop at each."""
    middle, above, below = _n(y), _n(y - 5), _n(y + 5)
    return (
        f'<line x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>'
        f'<line x1="{left}" x2="{left}" y1="{above}" y2="{below}"/>'
        f'<line x1="{right}" x2="{right}" y1="{above}" y2="{below}"/>'
    )


def _path(points: Sequence[str]) -> str:
    """A line, or a dot where a value stands alone between two gaps (round ends make it one)."""
    return f"M{points[0]}h0" if len(points) == 1 else f"M{' '.join(points)}"


def _strokes(series: Series, points: Sequence[str], *, pale: bool) -> str:
    tone = _tone(series)
    if not pale or len(points) == 1:
        return f'<path class="line {tone}{" unfinished" if pale else ""}" d="{_path(points)}"/>'
    whole = f'<path class="line {tone}" d="{_path(points[:-1])}"/>'
    return f'{whole}<path class="line {tone} unfinished" d="{_path(points[-2:])}"/>'


def _fan(series: Series, forecast: Forecast, at: Callable[[int, float], str]) -> str:
    """Dots from the last known point, between two edges that part from there."""
    first = len(series.values)
    last = next((value for value in reversed(series.values) if value is not None), None)
    start = [] if last is None or series.values[-1] is None else [at(first - 1, last)]
    middle = start + [at(first + place, value) for place, value in enumerate(forecast.values)]
    high = start + [at(first + place, value) for place, value in enumerate(forecast.high)]
    low = [at(first + place, value) for place, value in enumerate(forecast.low)]
    tone = _tone(series)
    return (
        f'<path class="fan {tone}" d="M{" ".join([*high, *reversed(low)])}z"/>'
        f'<path class="line forecast {tone}" d="{_path(middle)}"/>'
    )


def _direct_label(label: str, x: float, y: float, reach_px: float, taken: list[tuple[float, float]]) -> str:
    """The name beside its mark, to the left where the edge is near, a line lower where one stands already."""
    left = x > 66
    drop = 4.0
    while any(abs(x - other_x) < 30 and abs(y + drop - other_y) < 13 for other_x, other_y in taken):
        drop += 13
    taken.append((x, y + drop))
    side = -(reach_px + 7) if left else reach_px + 7
    return _text(_n(side), drop, label, "end" if left else "start", "name")


def _hit(x: float, width: float, height: int, tip: str) -> str:
    tall = height - TOP_PX - BOTTOM_PX
    return (
        f'<rect class="hit" x="{_n(x)}%" y="{TOP_PX}" width="{_n(width)}%" height="{tall}" '
        f'data-tip="{_attribute(tip)}"/>'
    )


# -- words -------------------------------------------------------------------------------------------


def most_important(series: Sequence[Series]) -> tuple[Series, ...]:
    """The eight with the largest sums in their own order, and the others as one: `other (3)`."""
    if len(series) <= MOST_SERIES:
        return tuple(series)
    by_size = sorted(series, key=lambda each: -sum(value or 0 for value in each.values))
    kept = {id(each) for each in by_size[:MOST_SERIES]}
    rest = [each for each in series if id(each) not in kept]
    together = tuple(_total(values) for values in zip(*(each.values for each in rest), strict=True))
    return (
        *(each for each in series if id(each) in kept),
        Series(f"other ({len(rest)})", together, tone="other"),
    )


def _remembering(scale: Scale) -> Scale:
    """Each value is written in a tooltip and in the table, and most of them more than once."""
    return replace(scale, show=cache(scale.show))


def _total(values: Iterable[Value]) -> Value:
    """The sum, which is not known if one of its parts is not."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _sum(column: Iterable[Value], *, below: bool = False) -> float:
    """What a stack reaches on one side of zero."""
    return sum(value for value in column if value is not None and (value < 0) is below)


def _tip(name: str, series: Sequence[Series], column: Sequence[Value], scale: Scale) -> str:
    named = zip(series, column, strict=True)
    lines = [name, *(f"{each.label}  {_shown(value, scale)}" for each, value in named)]
    if len(column) > 1:
        lines.append(f"Total  {_shown_total(column, scale)}")
    return "\n".join(lines)


def _shown(value: Value, scale: Scale) -> str:
    return "unknown" if value is None else scale.show(value)


def _shown_total(values: Sequence[Value], scale: Scale) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    total = scale.show(sum(known))
    return total if len(known) == len(values) else f"at least {total}"


def _table(
    series: Sequence[Series], buckets: Sequence[Bucket], words: Words, scale: Scale, *, unfinished: bool
) -> Table:
    rows = []
    for place, name in enumerate(_names(buckets, unfinished=unfinished)):
        values = [each.values[place] for each in series]
        total = [_shown_total(values, scale)] if len(series) > 1 else []
        rows.append((name, *(_shown(value, scale) for value in values), *total))
    columns = (words.of, *(each.label for each in series), *(["Total"] if len(series) > 1 else []))
    return Table(words.caption, columns, tuple(rows))


_Ahead = tuple[float, float, float]  # likely, low, high


def _line_row(
    series: Sequence[Series], place: int, forecast: Forecast | None, known: int
) -> tuple[list[tuple[str, Value]], _Ahead | None]:
    if forecast is None or place < known:
        return [(each.label, each.values[place]) for each in series], None
    ahead = place - known
    return [], (forecast.values[ahead], forecast.low[ahead], forecast.high[ahead])


def _line_tip(name: str, row: tuple[list[tuple[str, Value]], _Ahead | None], scale: Scale) -> str:
    cells, ahead = row
    if ahead is None:
        return "\n".join([name, *(f"{label}  {_shown(value, scale)}" for label, value in cells)])
    likely, low, high = map(scale.show, ahead)
    return f"{name}\nabout {likely}\nplausibly {low} to {high}"


def _line_table(
    series: Sequence[Series],
    buckets: Sequence[Bucket],
    rows: Sequence[tuple[list[tuple[str, Value]], _Ahead | None]],
    words: Words,
    scale: Scale,
    *,
    forecast: Forecast | None,
    unfinished: bool,
) -> Table:
    lines = []
    for name, (cells, ahead) in zip(
        _names(buckets, unfinished=unfinished and not forecast), rows, strict=True
    ):
        shown = [_shown(value, scale) for _, value in cells] or ["" for _ in series]
        if forecast:
            shown += [scale.show(value) for value in ahead] if ahead else ["", "", ""]
        lines.append((name, *shown))
    columns = (
        words.of,
        *(each.label for each in series),
        *(["Likely", "At least", "At most"] if forecast else []),
    )
    return Table(words.caption, columns, tuple(lines))


def _names(buckets: Sequence[Bucket], *, unfinished: bool) -> list[str]:
    names = [bucket.name for bucket in buckets]
    if unfinished and names:
        names[-1] += ", so far"
    return names


def _legend(series: Sequence[Series]) -> tuple[LegendEntry, ...]:
    """One series that is no provider is what the title says already."""
    if len(series) == 1 and not series[0].provider:
        return ()
    return tuple(LegendEntry(each.label, each.provider, each.tone) for each in series)


def _note(values: Iterable[Value]) -> str:
    unknown = sum(1 for value in values if value is None)
    if not unknown:
        return ""
    return f"{unknown} {'value is' if unknown == 1 else 'values are'} not known and left out."


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17].rstrip()}…"


def _check(series: Sequence[Series], count: int) -> None:
    for each in series:
        if len(each.values) != count:
            raise ValueError(f"{each.label!r} has {len(each.values)} values for {count} buckets")


# -- markup ------------------------------------------------------------------------------------------


def _nothing(words: Words, height: int) -> Drawing:
    """The same room, and a sentence in it."""
    y = height - BOTTOM_PX
    parts = [
        f'<line class="grid" x2="100%" y1="{y}" y2="{y}"/>',
        _text("50%", (y + TOP_PX) / 2 + 4, words.empty),
    ]
    return Drawing(_svg(parts, words.empty, height, 0, kind="chart none"))


def _svg(parts: Iterable[str], label: str, height: int, gutter_px: int, *, kind: str = "chart") -> Markup:
    gutter = f" gutter-{gutter_px}" if gutter_px else ""
    return _markup(
        f'<svg class="{kind}{gutter}" height="{height}" role="img" aria-label="{_attribute(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: str, y: float, text: str, anchor: str = "middle", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _markup(text: str) -> Markup:
    # Put together from numbers, from constants of ours and from texts that went through escape().
    return Markup(text)  # noqa: S704


def _attribute(text: str) -> str:
    """Safe between quotes, its line breaks kept whoever parses it."""
    return str(escape(text)).replace("\n", "&#10;")


def _tone(of: Series | Point | Interval) -> str:
    return str(escape(f"tone-{of.provider or of.tone}"))


def _n(number: float) -> str:
    """At most two places, and none that say nothing."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
