"""The style page: every component in every state, light beside dark, drawn by the parts that the pages use.

What stands here is sample data and nothing of the site's. The colours are read from the style sheet itself,
with their contrast, so that this page cannot be out of date.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from packshot import web
from packshot.kernel.money import dollars
from packshot.reports import Happened, ProviderRow
from packshot.web import charts, words
from packshot.web.answers import Link, Toast, Undo
from packshot.web.charts import Bucket, Drawing, Forecast, Interval, Level, Point, Scale, Series, Words
from packshot.web.figures import Health, KeyFigures, Limit, Money, OverviewFigures, Success
from packshot.web.security import needs

THEMES = ("light", "dark")
NOW = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
_PROVIDERS = (
    ("openai", "OpenAI", 34),
    ("midjourney", "Midjourney", 14),
    ("stability", "Stable Diffusion", 22),
    ("flux", "FLUX", 21),
)
_COUNTS = Scale(lambda number: words.count(int(number)), words.axis_count, whole=True)
_MONEY = Scale(lambda micros: words.money(dollars(int(micros))), words.axis_money, least=1_000_000)
_SHARES = Scale(words.percent, lambda share: f"{share * 100:.0f}%", low=0, high=1)
_SCORES = Scale(lambda score: f"{score:.0f}", lambda score: f"{score:.0f}")


# -- colours -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Colour:
    """A token of the sheet, as oklch in each theme."""

    name: str
    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """One colour upon another, which must differ by at least `least` to 1."""

    name: str
    ground: str
    least: float
    light: float
    dark: float

    @property
    def holds(self) -> bool:
        return min(self.light, self.dark) >= self.least


_TOKEN = re.compile(r"--([\w-]+): light-dark\((oklch\([^)]*\)), (oklch\([^)]*\))\);")
_NUMBERS = re.compile(r"oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)")
# Text stands at 4.5 to 1; marks and the edges of controls at 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11).
_TEXT, _MARK = 4.5, 3.0
_PAIRS = (
    *(
        (ink, ground, _TEXT)
        for ink in ("ink", "ink-2", "ink-3")
        for ground in ("bg", "surface", "sunk", "raise")
    ),
    *((ink, ground, _TEXT) for ink in ("accent",) for ground in ("surface", "accent-soft")),
    ("on-ink", "ink", _TEXT),
    ("on-accent", "accent", _TEXT),
    *((tone, f"{tone}-soft", _TEXT) for tone in ("ok", "warn", "bad", "run")),
    *((tone, "surface", _TEXT) for tone in ("ok", "warn", "bad", "run")),
    *((provider, "surface", _MARK) for provider, _, _ in _PROVIDERS),
    ("control-edge", "surface", _MARK),
)


@cache
def colours() -> dict[str, Colour]:
    """The tokens of base.css that differ by theme."""
    sheet = files(web).joinpath("styles", "base.css").read_text("utf-8")
    return {name: Colour(name, light, dark) for name, light, dark in _TOKEN.findall(sheet)}


@cache
def contrasts() -> tuple[Contrast, ...]:
    """Every pair that text and marks are set in, with how much they differ in each theme."""
    known = colours()
    return tuple(
        Contrast(
            name,
            ground,
            least,
            contrast(known[name].light, known[ground].light),
            contrast(known[name].dark, known[ground].dark),
        )
        for name, ground, least in _PAIRS
    )


def contrast(one: str, other: str) -> float:
    """How much two oklch colours differ in luminance, 1 to 21, as WCAG counts it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of an oklch colour, clipped to sRGB as a screen clips it."""
    found = _NUMBERS.fullmatch(colour)
    assert found is not None, f"{colour} is not a plain oklch colour"
    lightness, chroma, hue = (float(number) for number in found.groups())
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    clipped = [min(1.0, max(0.0, channel)) for channel in (red, green, blue)]
    return 0.2126 * clipped[0] + 0.7152 * clipped[1] + 0.0722 * clipped[2]


# -- samples -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SampleChart:
    """A chart, and what it is there to show."""

    name: str
    title: str
    drawing: Drawing

    @property
    def picture(self) -> Drawing:
        """Without its table, which the same chart in the other theme has already."""
        return replace(self.drawing, table=None)


@needs("manage_settings")
@require_safe
def parts(request: HttpRequest) -> HttpResponse:
    """Everything but the charts. Nothing here asks the database for anything."""
    return render(
        request,
        "pages/style.html",
        {
            "of": "parts",
            "themes": THEMES,
            "colours": list(colours().values()),
            "contrasts": contrasts(),
            "cards": _cards(),
            "health": _health(),
            "lines": _lines(),
            "toasts_shown": _toasts(),
            "names": {**{name: label for name, label, _ in _PROVIDERS}, "sandbox": "Sandbox"},
            "now": NOW,
        },
    )


@needs("manage_settings")
@require_safe
def chart_samples(request: HttpRequest) -> HttpResponse:
    """The charts: a page of their own, since they weigh as much as all other parts together."""
    return render(request, "pages/style.html", {"of": "charts", "themes": THEMES, "samples": _charts()})


def _cards() -> OverviewFigures:
    rates = (0.97, 0.98, 0.96, 0.97, 0.98, 0.97, 0.91, 0.62, 0.58, 0.78, 0.9, 0.95, 0.96)
    money = Money(
        True, Decimal("41.82"), Decimal("268.40"), Decimal("1104.75"), Decimal("1.26"), unknown_count=2
    )
    now = KeyFigures(214, 18, 0, 0.964, 868, 31, 37, 9, money)
    limit = Limit("daily", Decimal(80), 0.52, "plain", 0.79, Decimal("63.20"), NOW + timedelta(hours=10))
    spark = charts.spark(rates, "Success by hour, lowest 58.0%", low=0.4, high=1)
    made = charts.spark((4, 6, 9, 14, 22, 30, 28, 26, 33, 31, 29), "242 images made in 24 hours", low=0)
    success = Success(0.964, "24 hours", 868, 31, -0.008, spark)
    return OverviewFigures(now, limit, success, made, clear_in_s=660.0)


def _health() -> list[Health]:
    states = (
        ("openai", "OpenAI", "healthy"),
        ("midjourney", "Midjourney", "waiting"),
        ("flux", "FLUX", "paused"),
    )
    calm, trouble = (0.98, 0.97, 0.98, 0.96, 0.98), (0.97, 0.98, 0.7, 0.55, None, 0.6)
    found = []
    for name, label, state in states:
        row = ProviderRow(
            name=name,
            label=label,
            state=state,  # type: ignore[arg-type]
            simulated=False,
            paused_kind="person",
            paused_message="paused by Ada",
            wait_until=None,
            pending=4,
            processing=6,
            uncertain=0,
            max_in_flight=8,
            total_generated=9284,
            success_count=9163,
            failed_count=121,
            success_rate=0.987,
            success_rate_low=0.984,
            success_rate_high=0.989,
            total_cost=Decimal("566.32"),
            avg_cost=Decimal("0.061"),
            avg_processing_time=12.1,
            p50_s=11.2,
            p95_s=24.0,
            last_used=NOW,
        )
        bad = state == "paused"
        spark = charts.spark(
            trouble if bad else calm, f"{label}: success by hour", low=0.4, high=1, tone="bad" if bad else ""
        )
        found.append(Health(row, spark))
    return found


def _lines() -> list[Happened]:
    def ago(minutes: int) -> datetime:
        return NOW - timedelta(minutes=minutes)

    return [
        Happened(8, "generation", "completed", ago(0), 14, "flux", ""),
        Happened(7, "generation", "failed", ago(2), 1, "openai", "", name="Linen sage", detail="refused"),
        Happened(6, "generation", "uncertain", ago(3), 2, "", ""),
        Happened(5, "product", "activated", ago(6), 1, "", "Ada", name="Facial serum"),
        Happened(4, "provider", "paused", ago(9), 1, "flux", "", name="FLUX", detail="paused by Ada"),
        Happened(3, "spending", "stopped", ago(14), 1, "", "Ada"),
        Happened(2, "catalogue", "imported", ago(21), 1, "", "", created=72, changed=3, rejected=1),
    ]


def _toasts() -> list[Toast]:
    return [
        Toast("3 generations cancelled", undo=Undo("/", {"id": "1"})),
        Toast("Image set active", link=Link("/", "Show")),
        Toast("2 choices taken back, 1 set anew since", tone="warn"),
        Toast("The prompt is too long: 2,000 characters at most", tone="bad"),
    ]


def _wave(place: int, base: int, *, phase: float = 0) -> int:
    return max(0, round(base * (0.62 + 0.5 * math.sin((place - 9 + phase) / 24 * math.tau))))


@cache
def _charts() -> list[SampleChart]:
    """Always the same, so drawn once."""
    hours = [Bucket(f"{place:02}:00", f"{place:02}:00 to {place + 1:02}:00") for place in range(24)]
    days = [Bucket(f"{place} Nov", f"{place} November") for place in range(1, 11)]
    by_provider = [
        Series(label, tuple(_wave(place, base) for place in range(24)), name)
        for name, label, base in _PROVIDERS
    ]
    morning = [replace(each, values=each.values[:8]) for each in by_provider]
    cost = [
        Series(label, tuple(_wave(place * 5, base) * 300_000 for place in range(10)), name)
        for name, label, base in _PROVIDERS
    ]
    refunds = [
        Series("OpenAI", (4_000_000, 6_000_000, None, 5_000_000), "openai"),
        Series("FLUX", (2_000_000, -3_000_000, 1_000_000, None), "flux"),
    ]
    many = [
        Series(
            f"Model {number}",
            tuple(_wave(place, number + 3, phase=number) for place in range(6)),
            _PROVIDERS[number % 4][0],
        )
        for number in range(11)
    ]
    rates = (0.98, 0.97, None, None, 0.94, 0.72, 0.61, 0.83, None, 0.95)
    spent, total = [], 0
    for day in range(7):
        total += (2 + _wave(day * 5, 60)) * 1_000_000
        spent.append(total)
    ahead = [total + step * 40_000_000 for step in range(1, 4)]
    forecast = Forecast(
        tuple(ahead),
        tuple(value - step * 9_000_000 for step, value in enumerate(ahead, 1)),
        tuple(value + step * 14_000_000 for step, value in enumerate(ahead, 1)),
    )

    def said(finding: str, caption: str, of: str) -> Words:
        return Words(finding, caption, of, "No images yet")

    hourly = said("844 images in 24 hours, most at 15:00.", "Images by hour and provider", "Hour")
    daily = said("Cost rises towards the middle of each week.", "Cost by day and provider", "Day")
    points = [
        Point("OpenAI 11 s", 61_000, 88, 1 / 11, "openai", shape=words.MARKS["openai"]),
        Point("Midjourney 42 s", 48_000, 91, 1 / 42, "midjourney", shape=words.MARKS["midjourney"]),
        Point("Stable Diffusion 6 s", 35_000, 79, 1 / 6, "stability", shape=words.MARKS["stability"]),
        Point("FLUX 9 s", 40_000, 86, 1 / 9, "flux", shape=words.MARKS["flux"]),
    ]
    price = Scale(lambda micros: words.price(dollars(int(micros))), words.axis_money)
    seconds = said(
        "Midjourney is best and slowest, Stable Diffusion cheapest and fastest.", "Providers", "Provider"
    )
    rate = Scale(lambda share: f"{share:.2f}%", lambda share: f"{share:.1f}%")
    tested = [
        Interval("A, current", 3.12, 2.84, 3.44),
        Interval("B, warm light", 3.70, 3.39, 4.04, tone="accent"),
        Interval("C, outdoors", None, None, None),
    ]
    return [
        SampleChart(
            "stack",
            "Stacked bars, the last hour unfinished",
            charts.bars(by_provider, hours, hourly, _COUNTS, unfinished=True),
        ),
        SampleChart(
            "budget",
            "A budget as a dashed line",
            charts.bars(cost, days, daily, _MONEY, unfinished=True, level=Level(40_000_000, "$40.00 a day")),
        ),
        SampleChart(
            "refund",
            "Money that came back, and values nobody knows",
            charts.bars(refunds, days[:4], daily, _MONEY),
        ),
        SampleChart(
            "many", "The top eight, and the others together", charts.bars(many, hours[:6], hourly, _COUNTS)
        ),
        SampleChart(
            "zero",
            "Nothing but zeros",
            charts.bars([Series("OpenAI", (0,) * 6, "openai")], hours[:6], hourly, _COUNTS),
        ),
        SampleChart(
            "one", "One bucket", charts.bars([Series("OpenAI", (7,), "openai")], hours[:1], hourly, _COUNTS)
        ),
        SampleChart("none", "No data at all", charts.bars([], hours, hourly, _COUNTS)),
        SampleChart(
            "line",
            "A line with gaps",
            charts.line(
                [Series("Success", rates)],
                hours[:10],
                said("Success fell to 61.0% at 06:00.", "Success by hour", "Hour"),
                _SHARES,
                area=True,
                unfinished=True,
                thresholds=[Level(0.9, "target")],
            ),
        ),
        SampleChart(
            "forecast",
            "A forecast with its fan, under a budget",
            charts.line(
                [Series("Spent", tuple(spent))],
                days,
                said(
                    "About $345 in ten days, under the budget of $400.",
                    "Spend in ten days",
                    "Day",
                ),
                _MONEY,
                forecast=forecast,
                level=Level(400_000_000, "Budget $400.00"),
            ),
        ),
        SampleChart("lines", "Several lines", charts.line(morning, hours[:8], hourly, _COUNTS)),
        SampleChart(
            "scatter",
            "Scatter: the larger, the faster",
            charts.scatter(
                points,
                seconds,
                price,
                _SCORES,
                across_name="cost per image",
                up_name="quality",
                size_name="speed",
                show_size=lambda speed: f"{1 / speed:.0f} s",
            ),
        ),
        SampleChart(
            "interval",
            "95 percent intervals",
            charts.intervals(
                tested,
                said("B is likely better than A.", "Add-to-basket rate", "Variant"),
                rate,
                level=Level(3.12, "today"),
            ),
        ),
    ]
