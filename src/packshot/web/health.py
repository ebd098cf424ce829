"""How providers do, as pages show it: finished lines, gauges, sentences and charts from what reports read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from markupsafe import Markup

from packshot.flows.administer import is_free
from packshot.flows.desk import is_set_up, quoting, unusable
from packshot.flows.inspecting import Account
from packshot.kernel.errors import REMEDIES
from packshot.kernel.money import dollars
from packshot.providers import registry
from packshot.providers.contract import model_card
from packshot.reports import ProviderRow, Span
from packshot.reports.health import NOTHING, Billed, Figures, Use, Work, ranks
from packshot.web import charts, words
from packshot.web.charts import Drawing, Point, Scale, Series, Words
from packshot.web.figures import CALM, COUNTS, day_bucket, hour_bucket
from packshot.web.words import Word

# More marks than this, and nobody finds a model among them.
MOST_POINTS = 12
# A rate that is known from fewer generations is a guess, and no best one.
BEST_FROM = 20

Troubles = Mapping[str, Sequence[int]]  # by class of error, one number a span

# What went wrong, in the few groups that a picture can show.
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Refused": ("plain", ("refused", "bad_request", "bad_input_image")),
    "Rate limit": ("warn", ("rate_limited", "overloaded")),
    "Provider fault": (
        "bad",
        ("server_error", "bad_answer", "expired", "timeout", "cut_off", "unreachable"),
    ),
    "Set-up": ("run", ("bad_key", "no_credit", "not_verified", "retired_model", "unknown_price")),
    "Other": ("other", ("worker_lost", "bug")),
}
_GROUP_OF = {kind: name for name, (_, kinds) in GROUPS.items() for kind in kinds}


# -- now -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a provider does now, and what is to be done about it: a sentence each, both may be empty."""

    word: Word
    what: str = ""
    next: str = ""
    at: datetime | None = None  # when it takes requests again


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a limit is used; without a limit there is nothing to draw."""

    used: int
    limit: int | None

    @property
    def share(self) -> float:
        return min(100.0, round(100 * self.used / self.limit, 1)) if self.limit else 0.0

    @property
    def tone(self) -> str:
        return "warn" if self.share >= 75 else "plain"


@dataclass(frozen=True, slots=True)
class Now:
    """The part of a provider that moves while one looks at it."""

    row: ProviderRow
    standing: Standing
    slots: Gauge
    rate: Gauge
    today: Decimal
    can_be_asked: bool  # when nobody holds it back
    held_back: bool  # by a person, or until one acts


def now_of(row: ProviderRow, use: Use | None) -> Now:
    can_be_asked = row.state not in ("off", "unavailable")
    return Now(
        row=row,
        standing=standing(row, use.busy_in_row if use else 0),
        slots=Gauge(use.in_flight if use else 0, row.max_in_flight),
        rate=Gauge((use.last_minute if use else None) or 0, use.per_minute if use else None),
        today=dollars(use.today_micros if use else 0),
        can_be_asked=can_be_asked,
        held_back=row.state in ("paused", "draining"),
    )


def standing(row: ProviderRow, busy_in_row: int) -> Standing:
    """The state in a word, in a sentence, and what to do."""
    word = words.PROVIDER_STATES[row.state]
    match row.state:
        case "waiting":
            return Standing(word, "It asked to wait.", "Nothing to do.", row.wait_until)
        case "testing":
            return Standing(
                word,
                f"It failed {busy_in_row} times in a row. One request at a time tests it.",
                "Nothing to do.",
            )
        case "stopped":
            return Standing(
                word, f"It failed {busy_in_row} times in a row.", "What is queued waits.", row.wait_until
            )
        case "draining":
            left = row.pending + row.processing
            what = f"{words.count(left)} still to be made." if left else "Everything queued is made."
            return Standing(word, f"It takes no new requests. {what}", "Resume it to take them again.")
        case "paused":
            remedy = REMEDIES.get(row.paused_kind, "What is queued waits until somebody resumes it.")
            return Standing(word, _sentence(row.paused_message), remedy)
        case "off" if is_free(row.name):
            return Standing(word, "Nobody has switched it on.", "It charges nothing, and needs no limit.")
        case "off":
            return Standing(word, "It may not spend real money.", "Switch it on with a spending limit.")
        case "unavailable":
            return Standing(word, "It cannot be asked here.", remedy_of(row.name))
    return Standing(word)


def remedy_of(name: str) -> str:
    """What keeps a provider from being asked, and what to do about it."""
    adapter = registry.adapters().get(name)
    if adapter is None:
        return "Its adapter is not installed any more."
    needed = registry.needed_variable(adapter)
    if needed is None or is_set_up(adapter):
        return _sentence(unusable().get(name) or "The workers have not taken it up yet: restart them.")
    return f"Set {needed} in the environment and restart."


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


# -- beside each other ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Off:
    """How many charges differ from what was expected, and how they stand to it on the average."""

    compared: int
    off: int
    ratio: float | None

    @property
    def words(self) -> str:
        return "" if self.ratio is None else f"{self.ratio:.2f} times the estimate"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison: a provider, or one of its models. `best` names its best figures."""

    row: ProviderRow
    model: str  # empty: all of the provider
    label: str
    figures: Figures
    each: Decimal | None  # what an image cost
    each_approved: Decimal | None  # what one cost that a person approved
    off: Off | None
    errors: int = 0
    best: frozenset[str] = frozenset()
    gone: bool = False  # a model that cannot be asked for any more


def in_order(rows: Sequence[ProviderRow]) -> list[ProviderRow]:
    return sorted(rows, key=lambda row: words.place_of(row.name))


def lines_of(
    rows: Sequence[ProviderRow],
    done: Mapping[str, Work],
    troubles: Mapping[str, Troubles],
    bills: Sequence[Billed],
) -> list[Line]:
    """A line for each provider, and under it one for each of its models that did something."""
    best = _best(done)
    lines = []
    for row in rows:
        work = done.get(row.name)
        whole = work.whole if work else NOTHING
        mine = [each for each in bills if each.provider == row.name]
        lines.append(
            Line(
                row,
                "",
                row.label,
                whole,
                _each(whole),
                _each_approved(whole),
                off_of(mine),
                sum(map(sum, troubles.get(row.name, {}).values())),
                frozenset(figure for figure, name in best.items() if name == row.name),
            )
        )
        lines += [
            Line(
                row,
                model,
                model_label(row.name, model),
                figures,
                _each(figures),
                _each_approved(figures),
                off_of([each for each in mine if each.model == model]),
                gone=_is_gone(row.name, model),
            )
            for model, figures in busiest(work)
        ]
    return lines


def busiest(work: Work | None) -> list[tuple[str, Figures]]:
    """The models that did something, the busiest first."""
    found = [
        (model, figures)
        for model, figures in (work.models if work else {}).items()
        if figures.ended > 0 or figures.images > 0 or figures.amount_micros
    ]
    return sorted(found, key=lambda each: (-each[1].ended, each[0]))


def off_of(bills: Sequence[Billed]) -> Off | None:
    """All of these together; None: nothing was compared."""
    compared = sum(each.compared for each in bills)
    if not compared:
        return None
    rated = [(each.ratio, each.compared) for each in bills if each.ratio is not None]
    weight = sum(count for _, count in rated)
    ratio = sum(ratio * count for ratio, count in rated) / weight if weight else None
    return Off(compared, sum(each.off for each in bills), ratio)


def _best(done: Mapping[str, Work]) -> dict[str, str]:
    """Which provider has the best of each figure, where several can be held against each other."""
    known = {name: each.whole for name, each in done.items() if each.whole.ended >= BEST_FROM}
    if len(known) < 2:
        return {}
    found: dict[str, str] = {}
    # Only where nobody else may well be as good: the intervals lie apart.
    ranges = {name: figures.interval or (0.0, 1.0) for name, figures in known.items()}
    if first := [name for name, rank in ranks(ranges).items() if rank == 1]:
        found["success"] = first[0]
    timed = {name: each.p50_s for name, each in known.items() if each.p50_s is not None}
    if timed:
        found["median"] = min(timed, key=lambda name: timed[name])
    # What is free is no bargain: it is another kind of picture.
    paid = {name: each for name, figures in known.items() if (each := figures.micros_each)}
    if len(paid) > 1:
        found["cost"] = min(paid, key=lambda name: paid[name])
    return found


def _each_approved(figures: Figures) -> Decimal | None:
    return None if figures.micros_each_approved is None else dollars(figures.micros_each_approved)


def _each(figures: Figures) -> Decimal | None:
    return None if figures.micros_each is None else dollars(figures.micros_each)


def model_label(provider: str, model: str) -> str:
    adapter = quoting().get(provider)
    card = model_card(adapter, model) if adapter else None
    return card.label if card else model


def _is_gone(provider: str, model: str) -> bool:
    adapter = quoting().get(provider)
    card = model_card(adapter, model) if adapter else None
    return card is None or card.retired


def plot(rows: Sequence[ProviderRow], done: Mapping[str, Work], window: str) -> Drawing:
    """What an image of each model costs, and how long it takes."""
    found = [
        (row, model, figures, figures.p50_s, figures.micros_each)
        for row in rows
        if row.name in done
        for model, figures in done[row.name].models.items()
        if figures.p50_s is not None and figures.micros_each is not None
    ]
    points = [
        Point(
            model_label(row.name, model),
            float(dollars(each)),
            seconds,
            figures.images,
            row.name,
            shape=words.MARKS.get(row.name, words.MARKS["sandbox"]),
            also=(("Approved", f"{words.count(figures.approved)} of {words.many(figures.images, 'image')}"),),
        )
        for row, model, figures, seconds, each in sorted(found, key=lambda each: -each[2].images)[
            :MOST_POINTS
        ]
    ]
    finding = ""
    if points:
        cheap, quick = min(points, key=lambda each: each.x), min(points, key=lambda each: each.y)
        finding = (
            f"Cheapest in {window}: {cheap.label}, {_dollars(cheap.x)} an image. "
            f"Fastest: {quick.label}, {words.duration(quick.y)}."
        )
    return charts.scatter(
        points,
        Words(finding, "Cost and speed by model", "Model", f"No image in {window}"),
        Scale(_dollars, lambda each: f"${each:g}", least=0.01),
        Scale(words.duration, lambda each: f"{each:g} s", low=0),
        across_name="cost per image",
        up_name="median time",
        size_name="images",
        show_size=lambda each: words.count(int(each)),
    )


def _dollars(amount: float) -> str:
    return words.price(Decimal(str(amount)))


def success_line(work: Work | None, spans: Sequence[Span], label: str) -> Markup:
    """The rate of each span; where nothing ended there is a gap."""
    rates = work.rates if work else (None,) * len(spans)
    known = [rate for rate in rates if rate is not None]
    low, high = CALM
    told = f"{label}, lowest {words.percent(min(known))}" if known else f"{label}: nothing has ended"
    tone = ("bad" if known[-1] < 0.8 else "ok") if known else ""
    return charts.spark(rates, told, low=low, high=high, tone=tone)


# -- what went wrong -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Errors:
    """A provider's failed calls, as shares of a bar."""

    row: ProviderRow
    total: int
    parts: Sequence[tuple[float, str, float]]
    told: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of error: how often, and what to do."""

    kind: str
    label: str
    tone: str
    calls: int
    remedy: str


def errors_of(row: ProviderRow, troubles: Troubles) -> Errors:
    counts = dict.fromkeys(GROUPS, 0)
    for kind, calls in troubles.items():
        counts[group_of(kind)] += sum(calls)
    total = sum(counts.values())
    parts, at = [], 0.0
    for name, count in counts.items():
        if count:
            width = 100 * count / total
            parts.append((round(at, 2), GROUPS[name][0], round(max(0.4, width - 0.4), 2)))
            at += width
    told = ", ".join(f"{name.lower()} {count}" for name, count in counts.items() if count)
    return Errors(row, total, parts, f"{row.label}: {told}")


def kinds_of(of: Iterable[Troubles]) -> list[Kind]:
    """Every class that was met, the most frequent first, with what to do about it."""
    calls: dict[str, int] = {}
    for troubles in of:
        for kind, numbers in troubles.items():
            calls[kind] = calls.get(kind, 0) + sum(numbers)
    said = {str(kind): label for kind, label in words.ERRORS.items()}
    return [
        Kind(
            kind,
            _sentence(said.get(kind, kind))[:-1],
            GROUPS[group_of(kind)][0],
            count,
            REMEDIES.get(kind, ""),
        )
        for kind, count in sorted(calls.items(), key=lambda each: (-each[1], each[0]))
    ]


def together(of: Iterable[Troubles]) -> Troubles:
    """Those of all providers, by class and span."""
    sums: dict[str, Sequence[int]] = {}
    for troubles in of:
        for kind, numbers in troubles.items():
            before = sums.get(kind) or (0,) * len(numbers)
            sums[kind] = [one + more for one, more in zip(before, numbers, strict=True)]
    return sums


def group_of(kind: str) -> str:
    return _GROUP_OF.get(kind, "Other")


def errors_chart(troubles: Troubles, spans: Sequence[Span], zone: str, window: str) -> Drawing:
    """Failed calls over time, by group."""
    by_group: dict[str, list[int]] = {}
    for kind, numbers in troubles.items():
        mine = by_group.setdefault(group_of(kind), [0] * len(spans))
        by_group[group_of(kind)] = [before + more for before, more in zip(mine, numbers, strict=True)]
    series = [
        Series(name, tuple(by_group[name]), tone=tone)
        for name, (tone, _) in GROUPS.items()
        if name in by_group
    ]
    hourly = len(spans) == 24
    buckets = [
        hour_bucket(span.starts_at, span.ends_at, zone) if hourly else day_bucket(span.starts_at, zone)
        for span in spans
    ]
    totals = [sum(column) for column in zip(*by_group.values(), strict=True)]
    finding = ""
    if totals:
        worst = max(range(len(totals)), key=totals.__getitem__)
        finding = (
            f"{words.count(sum(totals))} failed calls in {window}, most of them {buckets[worst].name}: "
            f"{words.count(totals[worst])}."
        )
    said = Words(finding, "Failed calls by kind", "Hour" if hourly else "Day", f"No call failed in {window}")
    return charts.bars(series, buckets, said, COUNTS, unfinished=True, height=170)


# -- at a glance ---------------------------------------------------------------------------------------


KEYS = {
    True: Word("Key works", "check", "ok"),
    False: Word("Key refused", "circle-alert", "bad"),
    None: Word("Key not told", "circle-question-mark", "warn"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the newest look at an account found."""

    word: Word
    detail: str
    balance: Decimal | None
    at: datetime


def seen_of(account: Account) -> Seen | None:
    """None: nobody has looked, or nobody can without buying an image."""
    found = account.inspected
    if found is None:
        return None
    balance = None if found.balance_micros is None else dollars(found.balance_micros)
    return Seen(KEYS[found.key_works], found.detail, balance, found.checked_at)


@dataclass(frozen=True, slots=True)
class Stopping:
    """Models of one provider that stop, or stopped, on one day; and what to use instead, if it is known."""

    row: ProviderRow
    labels: str
    gone: bool
    on: date
    instead: str


def stopping(row: ProviderRow, account: Account) -> list[Stopping]:
    together: dict[tuple[date, bool, str], list[str]] = {}
    for stop in account.stops:
        together.setdefault((stop.on, stop.gone, stop.successor_label), []).append(stop.label)
    return [
        Stopping(row, _listed(labels), gone, on, instead) for (on, gone, instead), labels in together.items()
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True, slots=True)
class Card:
    """A provider at a glance."""

    now: Now
    figures: Figures
    spark: Markup
    seen: Seen | None
    last_trouble: datetime | None


def card_of(
    row: ProviderRow, use: Use | None, work: Work | None, spans: Sequence[Span], account: Account
) -> Card:
    return Card(
        now_of(row, use),
        work.whole if work else NOTHING,
        success_line(work, spans, f"{row.label}: success over time"),
        seen_of(account),
        use.last_trouble if use else None,
    )
