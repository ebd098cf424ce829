"""How providers do by category, as its page shows it: finished lines from what reports read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from packshot.kernel.money import dollars
from packshot.reports import ProviderRow
from packshot.reports.categories import ByCategory, InCategory
from packshot.reports.health import ranks
from packshot.web.health import BEST_FROM

WITHOUT = "Without a category"
COLUMNS = (
    "category",
    "provider",
    "money",
    "completed",
    "failed",
    "success_rate",
    "success_low",
    "success_high",
    "images",
    "median_s",
    "dollars",
    "dollars_each",
    "approved",
    "rejected",
    "newest_only",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A place in the catalogue, or under it a provider that worked for its products."""

    figures: InCategory
    label: str
    row: ProviderRow | None  # None: all of them
    each: Decimal | None
    best: bool = False  # the most successful there, and by more than chance
    inside: bool = False  # there are places below it


def lines_of(found: ByCategory, rows: Sequence[ProviderRow], under: str) -> list[Line]:
    """For each place a line, and one for each of its providers. Simulated and real money are not added up."""
    known = {row.name: row for row in rows}
    best = dict(_best(found.rows))
    money: dict[str, set[bool]] = {}
    for figures in found.rows:
        if row := known.get(figures.provider):
            money.setdefault(figures.path, set()).add(row.simulated)
    lines = []
    for figures in found.rows:
        row = known.get(figures.provider)
        if figures.provider and row is None:
            continue
        each = None if figures.micros_each is None else dollars(figures.micros_each)
        if row:
            is_best = best.get(figures.path) == row.name
            lines.append(Line(figures, row.label, row, each, best=is_best))
        else:
            mixed = len(money.get(figures.path, ())) > 1
            name, inside = _named(figures.path, under)
            lines.append(Line(figures, name, None, None if mixed else each, inside=inside))
    return lines


def _named(path: str, under: str) -> tuple[str, bool]:
    """What a place is called below `under`, and whether one can go on from there."""
    if not path:
        return WITHOUT, False
    if path == under:
        return f"In {_last(under)} itself", False
    return _last(path), True


def _last(path: str) -> str:
    return path.rpartition(" > ")[2]


def _best(rows: Sequence[InCategory]) -> Iterator[tuple[str, str]]:
    """Of each place the provider whose interval lies above all others'."""
    by_path: dict[str, dict[str, tuple[float, float]]] = {}
    for each in rows:
        if each.provider and each.interval and each.ended >= BEST_FROM:
            by_path.setdefault(each.path, {})[each.provider] = each.interval
    for path, intervals in by_path.items():
        yield from ((path, name) for name, rank in ranks(intervals).items() if rank == 1)


def sheet_of(found: ByCategory, rows: Sequence[ProviderRow]) -> Iterator[Sequence[object]]:
    """The same for a spreadsheet: one line for each place and provider, money and shares not rounded."""
    known = {row.name: row for row in rows}
    yield COLUMNS
    for each in found.rows:
        if not (row := known.get(each.provider)):
            continue
        low, high = each.interval or (None, None)
        yield (
            each.path,
            each.provider,
            "simulated" if row.simulated else "real",
            each.completed,
            each.failed,
            *(None if value is None else f"{value:.4f}" for value in (each.success_rate, low, high)),
            each.images,
            None if each.p50_s is None else f"{each.p50_s:.4f}",
            dollars(each.amount_micros),
            None if each.micros_each is None else dollars(each.micros_each),
            each.approved,
            each.rejected,
            each.provider in found.cut,
        )
