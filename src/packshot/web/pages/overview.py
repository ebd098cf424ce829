"""The Overview: queue, money, newest images and what happens, kept up to date while it is open."""

import csv
import io
import time
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from packshot import ledger, reports
from packshot.catalogue.models import Product
from packshot.events import Happening, newest_id
from packshot.flows.desk import quoting, uses_simulator
from packshot.kernel.money import dollars
from packshot.reports import Happened, ImageTile, Span, Sums, Timeline, reviewing
from packshot.web import charts, live, words
from packshot.web.charts import Bucket, Drawing, Level, Scale, Series, Words
from packshot.web.controls import Tab
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
from packshot.web.periods import SHORT, Period, of_argument, period_of, timeline
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
    period = period_of(request.GET.dict())
    figures = "figures" if period.hourly else f"figures-over:{period.argument}"
    stream = live.address(figures, "images", "waiting", "providers", "activity")
    now, hours, limit = key_figures(), read_hours(), read_limit()
    new = now.nothing_yet
    images, waiting = ([], None) if new else reports.just_made(IMAGES_SHOWN)
    return render(
        request,
        "pages/overview.html",
        {
            "stream": stream,
            "greeting": _greeting(hours),
            "cards": overview_figures(now, hours, limit, period),
            "period": period,
            "periods": _periods(period),
            "images": images,
            "images_shown": IMAGES_SHOWN,
            "waiting": waiting,
            "providers": health(reports.providers(), hours),
            "charts": None if new else _charts(_newest_of(stream), hours, limit, period),
            "activity": () if new else reports.activity(LINES_SHOWN),
            "first_use": _first_use() if new else None,
        },
    )


@needs("read")
@require_safe
def charts_again(request: HttpRequest) -> HttpResponse:
    """The charts alone: the page fetches them once a minute."""
    period = period_of(request.GET.dict())
    drawn = _charts(newest_id(), read_hours(), read_limit(), period)
    return render(
        request,
        "live/charts.html",
        {"charts": drawn, "period": period, "costs": actor_of(request).may("read_costs")},
    )


@needs("read")
@require_safe
def chart_sheet(request: HttpRequest, chart: str) -> HttpResponse:
    """What a chart shows as CSV: a line a bar, a column a provider. Costs are dollars and not rounded."""
    if chart == "cost" and not actor_of(request).may("read_costs"):
        raise PermissionDenied
    if chart not in ("made", "cost"):
        raise Http404
    period, simulated = period_of(request.GET.dict()), uses_simulator()
    if chart == "cost" and period.hourly:
        period = Period(DAYS_SHOWN)
    shown = timeline(period, simulated=simulated)
    columns = in_order(shown.providers)
    stream = io.StringIO()
    sheet = csv.writer(stream)
    sheet.writerow(["starts_at", "ends_at", *(each.provider for each in columns)])
    for place, span in enumerate(shown.spans):
        zone = ZoneInfo(shown.zone)
        values = [
            each.images[place] if chart == "made" else dollars(each.amount_micros[place]) for each in columns
        ]
        edges = (span.starts_at.astimezone(zone), span.ends_at.astimezone(zone))
        sheet.writerow([*(edge.isoformat() for edge in edges), *values])
    response = HttpResponse(stream.getvalue(), content_type="text/csv; charset=utf-8")
    kind = "images" if chart == "made" else "simulated-cost" if simulated else "cost"
    name = f"packshot-{kind}-{period.argument.replace('..', '-to-')}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _periods(period: Period) -> list[Tab]:
    overview = reverse("overview")
    return [
        Tab(
            "24 hours" if each.hourly else f"{each.days} days",
            f"{overview}?{each.query}".rstrip("?"),
            current=each == period,
        )
        for each in SHORT
    ]


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
_KEPT = 16  # periods
_drawn: dict[str, _Drawn] = {}


def _charts(newest_event: int, hours: Timeline, limit: Limit | None, period: Period) -> Charts:
    """The charts as they are after that event: those that are kept, or drawn anew."""
    simulated = uses_simulator()
    known = (limit.period, limit.limit) if limit else None
    of = (newest_event, hours.spans[-1], hours.zone, simulated, known, get_language())
    kept = _drawn.get(period.argument)
    if kept is None or kept.of != of or time.monotonic() > kept.at_s + _KEPT_S:
        if period.hourly:
            days = reports.by_day(simulated=simulated, days=DAYS_SHOWN)
            charts = draw(hours, days, limit)
        else:
            days = timeline(period, simulated=simulated)
            charts = Charts(_made_by_day(days, period), _cost_by_day(days, limit, period))
        _drawn.pop(period.argument, None)
        for oldest in list(_drawn)[: max(0, len(_drawn) - _KEPT + 1)]:
            del _drawn[oldest]
        kept = _drawn[period.argument] = _Drawn(of, time.monotonic(), charts)
    return kept.charts


def draw(hours: Timeline, days: Timeline, limit: Limit | None) -> Charts:
    """Both charts, from what was read."""
    return Charts(_made_by_hour(hours), _cost_by_day(days, limit))


def _made_by_hour(hours: Timeline) -> Drawing:
    spans = hours.spans[-HOURS_SHOWN:]
    buckets = [hour_bucket(span.starts_at, span.ends_at, hours.zone) for span in spans]
    return _made(hours, buckets, "24 hours", "hour")


def _made_by_day(days: Timeline, period: Period) -> Drawing:
    buckets = [day_bucket(span.starts_at, days.zone, _days_of(span)) for span in days.spans]
    return _made(days, buckets, period.words, "week" if period.step > 1 else "day", _is_now(days))


def _made(shown: Timeline, buckets: Sequence[Bucket], of: str, unit: str, unfinished: bool = True) -> Drawing:
    series = [
        Series(_label(each.provider), each.images[-len(buckets) :], each.provider)
        for each in in_order(shown.providers)
        if any(each.images[-len(buckets) :])
    ]
    totals = [sum(column) for column in zip(*(each.values for each in series), strict=True)]
    finding = ""
    if totals:
        best = max(range(len(totals)), key=totals.__getitem__)
        finding = (
            f"{words.count(int(sum(totals)))} images in {of}, most of them in the {unit} "
            f"{buckets[best].name}: {words.count(int(totals[best]))}."
        )
    said = Words(finding, f"Images by {unit} and provider", unit.capitalize(), f"No image in {of}")
    return charts.bars(series, buckets, said, COUNTS, unfinished=unfinished)


def _cost_by_day(days: Timeline, limit: Limit | None, period: Period | None = None) -> Drawing:
    buckets = [day_bucket(span.starts_at, days.zone, _days_of(span)) for span in days.spans]
    unit = "week" if period and period.step > 1 else "day"
    series = [
        Series(_label(each.provider), each.amount_micros, each.provider)
        for each in in_order(days.providers)
        if any(each.amount_micros)
    ]
    totals = days.amounts()
    dearest = max(totals, default=0)
    today, total, most = (words.money(dollars(amount)) for amount in (totals[-1], sum(totals), dearest))
    on = buckets[totals.index(dearest)].name
    of = f"{len(totals)} days" if period is None else period.words
    now = _is_now(days)
    finding = f"{f'{today} today, ' if now and unit == 'day' else ''}{total} in {of}, most on {on}: {most}."
    said = Words(finding, f"Cost by {unit} and provider", unit.capitalize(), f"Nothing was spent in {of}")
    level = None
    if limit and limit.period == "daily" and unit == "day":
        level = Level(int(limit.limit * 1_000_000), f"{words.money(limit.limit)} a day")
    # A limit far above all bars would leave of them a line on the ground.
    far = level is not None and level.value > 5 * dearest
    drawn = charts.bars(series, buckets, said, MONEY, unfinished=now, level=None if far else level)
    if not series:
        return drawn
    notes = [_month_ahead(days, limit) if now and unit == "day" else ""]
    if far and level:
        notes.append(f"The limit of {level.label} lies far above.")
    return replace(drawn, note=" ".join(filter(None, notes)))


def _month_ahead(days: Timeline, limit: Limit | None) -> str:
    """Where this month is likely to end, in a sentence; empty where its days are not all here, or too few."""
    dates = [span.starts_at.astimezone(ZoneInfo(days.zone)).date() for span in days.spans]
    today, amounts = dates[-1], days.amounts()
    left = monthrange(today.year, today.month)[1] - today.day
    if not left or today.day > len(dates):
        return ""
    # Days before the site spent anything say nothing about those to come.
    begun = next((place for place, amount in enumerate(amounts) if amount), len(amounts))
    end = ledger.forecast(sum(amounts[-today.day :]), amounts[begun:-1], left)
    if end is None:
        return ""
    low, high = (words.money(dollars(each)) for each in (end.low_micros, end.high_micros))
    of = f", of {words.money(limit.limit)} allowed" if limit and limit.period == "monthly" else ""
    return f"{date_format(today, 'F')} is likely to end between {low} and {high}{of}."


def _days_of(span: Span) -> int:
    """How many calendar days, whatever the clocks did in them."""
    return max(1, round((span.ends_at - span.starts_at).total_seconds() / 86_400))


def _is_now(shown: Timeline) -> bool:
    return shown.spans[-1].ends_at > timezone.now()


def in_order(providers: Sequence[Sums]) -> list[Sums]:
    """As they are stacked everywhere."""
    return sorted(providers, key=lambda each: words.place_of(each.provider))


def _label(provider: str) -> str:
    adapter = quoting().get(provider)
    return adapter.label if adapter else provider


# -- what the stream shows -----------------------------------------------------------------------


def _figures(_: Sequence[Happening]) -> OverviewFigures:
    return overview_figures(key_figures(), read_hours(), read_limit())


def _figures_over(_: Sequence[Happening], argument: str) -> OverviewFigures:
    return overview_figures(key_figures(), read_hours(), read_limit(), of_argument(argument))


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


def _waiting(happenings: Sequence[Happening]) -> reviewing.Waiting | None:
    changed = {"ready", "approved", "rejected", "undecided"}
    turned = any(each.topic == "image" and each.kind in changed for each in happenings)
    return reviewing.waiting() if turned else None


def _providers(_: Sequence[Happening]) -> list[Health]:
    return health(reports.providers(), read_hours())


def _activity(happenings: Sequence[Happening]) -> list[Happened] | None:
    return reports.activity(LINES_SHOWN) if any(each.topic in _HAPPENS for each in happenings) else None


live.offer(
    Topic("figures", "read", "live/figures.html", _figures, every_s=2.0),
    Topic("figures-over", "read", "live/figures.html", _figures_over, every_s=5.0, takes_argument=True),
    Topic("images", "read", "live/images.html", _images),
    Topic("waiting", "read", "live/waiting.html", _waiting, every_s=2.0),
    Topic("providers", "read", "live/providers.html", _providers, every_s=2.0),
    Topic("activity", "read", "live/activity.html", _activity, every_s=1.0),
)
