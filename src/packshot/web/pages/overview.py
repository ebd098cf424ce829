"""The Overview: queue, money, newest images and what happens, kept up to date while it is open."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from packshot import reports
from packshot.catalogue.models import Product
from packshot.events import Happening, newest_id
from packshot.flows.desk import quoting, uses_simulator
from packshot.kernel.money import dollars
from packshot.reports import Happened, ImageTile, Sums, Timeline
from packshot.web import charts, live, words
from packshot.web.charts import Drawing, Level, Scale, Series, Words
from packshot.web.figures import (
    COUNTS,
    HOURS_SHOWN,
    Health,
    Limit,
    OverviewFigures,
    day_bucket,
    health,
    hour_bucket,
    key_figures,
    overview_figures,
    read_hours,
    read_limit,
)
from packshot.web.live import Topic
from packshot.web.security import actor_of, needs

DAYS_SHOWN = 30
IMAGES_SHOWN = 10
LINES_SHOWN = 8
MONEY = Scale(lambda micros: words.money(dollars(int(micros))), words.axis_money, least=1_000_000)
_HAPPENS = {"generation", "image", "product", "catalogue", "provider", "spending", "ledger"}


@dataclass(frozen=True, slots=True)
class FirstUse:
    """How far a new site is: without products, or with products and nothing asked for yet."""

    has_products: bool


@dataclass(frozen=True, slots=True)
class Charts:
    """What was made by the hour and what it cost by the day; the cost is for those who may see it."""

    made: Drawing
    cost: Drawing


@needs("read")
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The page itself, and what a browser fetches again when it lost track."""
    stream = live.address("figures", "images", "providers", "activity")
    now, hours, limit = key_figures(), read_hours(), read_limit()
    new = now.nothing_yet
    return render(
        request,
        "pages/overview.html",
        {
            "stream": stream,
            "greeting": _greeting(hours),
            "cards": overview_figures(now, hours, limit),
            "images": () if new else reports.newest_images(IMAGES_SHOWN),
            "images_shown": IMAGES_SHOWN,
            "providers": health(reports.providers(), hours),
            "charts": None if new else _charts(_newest_of(stream), hours, limit),
            "activity": () if new else reports.activity(LINES_SHOWN),
            "first_use": _first_use() if new else None,
        },
    )


@needs("read")
@require_safe
def charts_again(request: HttpRequest) -> HttpResponse:
    """The charts alone: the page fetches them once a minute."""
    drawn = _charts(newest_id(), read_hours(), read_limit())
    return render(
        request, "live/charts.html", {"charts": drawn, "costs": actor_of(request).may("read_costs")}
    )


def _newest_of(stream: str) -> int:
    """The event that a stream's address begins after: the newest when it was made."""
    return int(QueryDict(stream.partition("?")[2])["after"])


def _first_use() -> FirstUse:
    return FirstUse(Product.objects.filter(archived_at=None).exists())


def _greeting(hours: Timeline) -> str:
    """By the site's own clock: the people of a shop mostly live in its time."""
    hour = hours.spans[-1].starts_at.astimezone(ZoneInfo(hours.zone)).hour
    return "Good morning" if 4 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"


# -- charts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Charts, what they were drawn from, and when."""

    of: tuple[object, ...]
    at_s: float
    charts: Charts


# Thirty days are eleven thousand sums on a busy site. Whatever changes one of them says so in an event, so
# the same events in the same hour make the same charts; a correction by hand is seen within a minute.
_KEPT_S = 60.0
_drawn: _Drawn | None = None


def _charts(newest_event: int, hours: Timeline, limit: Limit | None) -> Charts:
    """The charts as they are after that event: those that are kept, or drawn anew."""
    global _drawn
    simulated = uses_simulator()
    known = (limit.period, limit.limit) if limit else None
    of = (newest_event, hours.spans[-1], hours.zone, simulated, known, get_language())
    if _drawn is None or _drawn.of != of or time.monotonic() > _drawn.at_s + _KEPT_S:
        days = reports.by_day(simulated=simulated, days=DAYS_SHOWN)
        _drawn = _Drawn(of, time.monotonic(), draw(hours, days, limit))
    return _drawn.charts


def draw(hours: Timeline, days: Timeline, limit: Limit | None) -> Charts:
    """Both charts, from what was read."""
    return Charts(_made_by_hour(hours), _cost_by_day(days, limit))


def _made_by_hour(hours: Timeline) -> Drawing:
    spans = hours.spans[-HOURS_SHOWN:]
    buckets = [hour_bucket(span.starts_at, span.ends_at, hours.zone) for span in spans]
    series = [
        Series(_label(each.provider), each.images[-HOURS_SHOWN:], each.provider)
        for each in in_order(hours.providers)
        if any(each.images[-HOURS_SHOWN:])
    ]
    totals = [sum(column) for column in zip(*(each.values for each in series), strict=True)]
    finding = ""
    if totals:
        best = max(range(len(totals)), key=totals.__getitem__)
        finding = (
            f"{words.count(int(sum(totals)))} images in 24 hours, most of them in the hour "
            f"{buckets[best].name}: {words.count(int(totals[best]))}."
        )
    said = Words(finding, "Images by hour and provider", "Hour", "No image in 24 hours")
    return charts.bars(series, buckets, said, COUNTS, unfinished=True)


def _cost_by_day(days: Timeline, limit: Limit | None) -> Drawing:
    buckets = [day_bucket(span.starts_at, days.zone) for span in days.spans]
    series = [
        Series(_label(each.provider), each.amount_micros, each.provider)
        for each in in_order(days.providers)
        if any(each.amount_micros)
    ]
    totals = days.amounts()
    dearest = max(totals, default=0)
    today, total, most = (words.money(dollars(amount)) for amount in (totals[-1], sum(totals), dearest))
    on = buckets[totals.index(dearest)].name
    finding = f"{today} today, {total} in {len(totals)} days, most on {on}: {most}."
    said = Words(finding, "Cost by day and provider", "Day", f"Nothing was spent in {len(totals)} days")
    level = None
    if limit and limit.period == "daily":
        level = Level(int(limit.limit * 1_000_000), f"{words.money(limit.limit)} a day")
    # A limit far above all bars would leave of them a line on the ground.
    far = level is not None and level.value > 5 * dearest
    drawn = charts.bars(series, buckets, said, MONEY, unfinished=True, level=None if far else level)
    if far and level and series:
        return replace(drawn, note=f"The limit of {level.label} lies far above.")
    return drawn


def in_order(providers: Sequence[Sums]) -> list[Sums]:
    """As they are stacked everywhere."""
    return sorted(providers, key=lambda each: words.place_of(each.provider))


def _label(provider: str) -> str:
    adapter = quoting().get(provider)
    return adapter.label if adapter else provider


# -- what the stream shows -----------------------------------------------------------------------


def _figures(_: Sequence[Happening]) -> OverviewFigures:
    return overview_figures(key_figures(), read_hours(), read_limit())


def _images(happenings: Sequence[Happening]) -> list[ImageTile] | None:
    """The tiles among the newest that something happened to, oldest first."""
    touched = {each.subject for each in happenings if each.topic in ("generation", "image")}
    if not touched:
        return None
    tiles = [
        tile
        for tile in reports.newest_images(IMAGES_SHOWN)
        if str(tile.image_id) in touched or str(tile.generation_id) in touched
    ]
    return tiles[::-1] or None


def _providers(_: Sequence[Happening]) -> list[Health]:
    return health(reports.providers(), read_hours())


def _activity(happenings: Sequence[Happening]) -> list[Happened] | None:
    return reports.activity(LINES_SHOWN) if any(each.topic in _HAPPENS for each in happenings) else None


live.offer(
    Topic("figures", "read", "live/figures.html", _figures, every_s=2.0),
    Topic("images", "read", "live/images.html", _images),
    Topic("providers", "read", "live/providers.html", _providers, every_s=2.0),
    Topic("activity", "read", "live/activity.html", _activity, every_s=1.0),
)
