"""The words and marks for what the database calls by one plain name each. One place, so that a status reads
the same in a table, a chip, a stream and a tooltip."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language

from packshot.kernel.errors import ErrorKind
from packshot.reports import ProviderState


@dataclass(frozen=True, slots=True)
class Word:
    """A status for people: the tone is a colour, never without its icon and label."""

    label: str
    icon: str
    tone: str = ""


STATUSES = {
    "pending": Word("Pending", "clock"),
    "processing": Word("Processing", "loader-circle", "run"),
    "completed": Word("Completed", "check", "ok"),
    "failed": Word("Failed", "x", "bad"),
    "cancelled": Word("Cancelled", "ban"),
    "uncertain": Word("Uncertain", "circle-question-mark", "warn"),
}

# Why a pending generation waits.
WAITS = {
    "budget": "over budget",
    "rate": "rate limit",
    "retry": "trying again",
    "paused": "provider paused",
    "circuit": "provider stopped",
    "key": "no key",
    "price": "price changed",
    "off": "provider off",
    "stopped": "spending stopped",
}

ERRORS: dict[ErrorKind, str] = {
    "rate_limited": "rate limit",
    "overloaded": "provider busy",
    "unreachable": "provider unreachable",
    "refused": "content refused",
    "bad_request": "request refused",
    "bad_input_image": "reference unreadable",
    "retired_model": "model retired",
    "bad_key": "key refused",
    "no_credit": "no credit",
    "not_verified": "not verified",
    "timeout": "timed out",
    "cut_off": "answer cut off",
    "server_error": "provider error",
    "bad_answer": "answer unusable",
    "expired": "link expired",
    "unknown_price": "price unknown",
    "worker_lost": "worker lost",
    "bug": "internal error",
}

PROVIDER_STATES: dict[ProviderState, Word] = {
    "healthy": Word("Healthy", "check", "ok"),
    "waiting": Word("Waiting", "clock", "warn"),
    "testing": Word("Testing", "circle-alert", "warn"),
    "stopped": Word("Stopped", "ban", "bad"),
    "draining": Word("Draining", "log-out", "warn"),
    "paused": Word("Paused", "circle-pause", "warn"),
    "off": Word("Off", "power"),
    "unavailable": Word("Unavailable", "key-round"),
}

# Each provider's own shape; one that we have never met gets the sandbox's.
MARKS = {
    "openai": '<circle cx="5" cy="5" r="4.6"/>',
    "midjourney": '<path d="M5 .4 9.9 9.4H.1z"/>',
    "stability": '<rect x=".7" y=".7" width="8.6" height="8.6" rx="1"/>',
    "flux": '<path d="M5 0 10 5 5 10 0 5z"/>',
    "upload": '<path d="M3.4 1 2.6 2.6H.4v6h9.2v-6H7.4L6.6 1zM5 4a1.6 1.6 0 1 1 0 3.2A1.6 1.6 0 0 1 5 4z"/>',
    "sandbox": '<path d="M2.6.6h4.800L9.8 5 7.4 9.400H2.600L.2 5z"/>',
}

# The same service, asked in another way.
MARKED_AS = {"by-hand": "midjourney"}

# The order in which providers stand, in charts bottom up, for ever; whoever comes later stands after these.
STACKED = ("openai", "midjourney", "stability", "flux", "sandbox")

_CENT = Decimal("0.01")
_TENTH_OF_A_CENT = Decimal("0.001")
_Given = ParamSpec("_Given")
_Said = TypeVar("_Said")


def said_once(write: Callable[_Given, _Said]) -> Callable[_Given, _Said]:
    """`write`, its newest answers kept: fifty rows say the same prices and days over and over, and Django
    looks up how a language writes them for each. Measured: a sixth of a page's time."""
    kept = lru_cache(maxsize=4096)(lambda _language, *given, **named: write(*given, **named))

    @wraps(write)
    def remembered(*given: _Given.args, **named: _Given.kwargs) -> _Said:
        return kept(get_language(), *given, **named)  # type: ignore[arg-type]  # of values

    return remembered


def place_of(provider: str) -> tuple[int, str]:
    """To sort by."""
    return STACKED.index(provider) if provider in STACKED else len(STACKED), provider


@said_once
def money(dollars: Decimal) -> str:
    """A total, `$41.82`. What is more than nothing never reads as nothing: it is rounded up to a cent."""
    rounding = ROUND_CEILING if 0 < dollars < _CENT else ROUND_HALF_UP
    return "$" + number_format(dollars.quantize(_CENT, rounding), decimal_pos=2, force_grouping=True)


@said_once
def price(dollars: Decimal) -> str:
    """What one generation costs, `$0.063`."""
    rounding = ROUND_CEILING if 0 < dollars < _TENTH_OF_A_CENT else ROUND_HALF_UP
    return "$" + number_format(
        dollars.quantize(_TENTH_OF_A_CENT, rounding), decimal_pos=3, force_grouping=True
    )


@said_once
def count(number: int) -> str:
    """`1,284`."""
    return number_format(number, decimal_pos=0, force_grouping=True)


def many(number: int, noun: str, *, more: bool = False) -> str:
    """`1 image`, `3,412 images`; and `1,000+ products` where they were not counted to the end."""
    return f"{count(number)}{'+' if more else ''} {noun}{'' if number == 1 else 's'}"


def up_to(number: int, most: int) -> str:
    """`37`, and `999+` for all that is more."""
    return f"{count(most)}+" if number > most else count(number)


def axis_count(number: float) -> str:
    """A number beside an axis: `500`, `12k`, `1.5M`."""
    for size, sign in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if abs(number) >= 10 * size or (size > 1_000 and abs(number) >= size):
            return f"{_shortest(number / size)}{sign}"
    return _shortest(number)


def axis_money(micros: float) -> str:
    """Micro-dollars beside an axis: `$20`, `$0.50`, `$12k`."""
    dollars = micros / 1_000_000
    sign = "-" if dollars < 0 else ""
    if dollars == int(dollars):
        return f"{sign}${axis_count(abs(dollars))}"
    places = 2 if round(dollars, 2) == dollars else 4
    return f"{sign}${number_format(abs(dollars), decimal_pos=places)}"


def _shortest(number: float) -> str:
    whole = number == int(number)
    return number_format(int(number) if whole else round(number, 2), use_l10n=True, force_grouping=True)


@said_once
def percent(share: Decimal | float) -> str:
    """A share from 0 to 1 as `96.4%`. Only a whole is shown as a whole: 99.96 % is not `100.0%`."""
    tenths = int(Decimal(str(share)) * 1000)
    return number_format(Decimal(tenths) / 10, decimal_pos=1) + "%"


@said_once
def duration(seconds: Decimal | float) -> str:
    """`6 s`, `42 s`, `4 min`, `2 h 10 min`."""
    whole = round(seconds)
    if seconds < 10:
        return f"{number_format(round(Decimal(str(seconds)), 1), decimal_pos=1)} s"
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def moment(at: datetime) -> str:
    """`22 Nov 2026, 14:10:22 UTC`: exact, for a title and for a browser without our script."""
    at = at.astimezone(UTC)
    return f"{day(at.date())}, {at:%H:%M:%S} UTC"


def ago(at: datetime) -> str:
    """`now`, `22s`, `4m`, `3h`, then the day: what the browser's script keeps true from then on, as wide."""
    seconds = max(0, int((timezone.now() - at).total_seconds()))
    if seconds < 5:
        return "now"
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86_400:
        return f"{seconds // 3600}h"
    return _short_day(at.astimezone(UTC).date())


@said_once
def _short_day(day: date) -> str:
    return date_format(day, "j M")


@said_once
def day(of: date) -> str:
    """`22 Nov 2026`."""
    return date_format(of, "j M Y")
