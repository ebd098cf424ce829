"""Providers held against each other across products: a line for each product, a column for each provider;
above them how each does, and how people rate it who do not see who made what."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from packshot import reports
from packshot.catalogue import finding
from packshot.flows.desk import uses_simulator
from packshot.reports import across as reads
from packshot.reports import ratings
from packshot.reports.across import Cell, Product, Sought, Total
from packshot.reports.ratings import FEWEST, Rating
from packshot.web import sheets
from packshot.web.addresses import address_of
from packshot.web.controls import Tab
from packshot.web.health import in_order, model_label
from packshot.web.pages import products
from packshot.web.security import actor_of, needs

SHOWN_AT_ONCE = 50
# As many as a window has room for, chosen when nobody has chosen.
AT_FIRST = 5
MOST = 8
MOST_IN_A_SHEET = 10_000
PLACES_SHOWN = 12
COLUMNS = (
    "sku", "name", "category", "provider", "model", "simulated", "active", "review", "score", "seconds",
    "dollars", "image_id", "made_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider that can be a column."""

    name: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a provider, or a model, is rated, in shares of a hundred as a bar is drawn."""

    provider: str
    label: str
    rating: Rating | None
    total: Total | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the bar of the interval begins, and how long it is."""
        found = self.rating
        if found is None or found.low is None or found.high is None:
            return None
        return round(100 * found.low, 1), round(100 * (found.high - found.low), 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of the table, and where it stands beside the others of its product."""

    cell: Cell
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """A product with an image of each provider, None where there is none."""

    product: Product
    url: str
    compare_url: str
    cells: tuple[tuple[Choice, Shown | None], ...]


@needs("read")
@require_safe
def providers(request: HttpRequest) -> HttpResponse:
    """The page. The address names the providers, the filter, and where the list stands."""
    choices = _choices(request.GET)
    columns = [each for each in choices if each.chosen]
    sought = _sought(request.GET, columns)
    page = reads.page(
        sought,
        after=products.id_of(request.GET.get("after")),
        before=products.id_of(request.GET.get("before")),
        limit=SHOWN_AT_ONCE,
    )
    cells = reads.cells([each.id for each in page.products], sought.providers)
    totals = reads.totals(sought)
    rated = ratings.ratings(simulated=uses_simulator(), category=sought.category)
    by_provider = {each.maker.provider: each for each in rated.providers}
    may = actor_of(request).may
    last = page.products[-1].id if page.products else None
    return render(
        request,
        "pages/across.html",
        {
            "may": may,
            "costs": may("read_costs"),
            "offered": choices,
            "columns": columns,
            "sought": sought,
            "lines": [_line(each, columns, cells) for each in page.products],
            "standings": [
                Standing(each.name, each.label, by_provider.get(each.name), totals.of.get(each.name))
                for each in columns
            ],
            "models": [
                Standing(each.maker.provider, model_label(each.maker.provider, each.maker.model), each)
                for each in rated.models
                if each.maker.provider in sought.providers
            ],
            "fewest": FEWEST,
            "voted": any(each.votes for each in rated.providers),
            "sampled": totals.products,
            "sample_more": totals.more,
            "above": _places(
                sought, [("", "All categories"), *_named(finding.places_above(sought.category))]
            ),
            "below": _places(sought, _named(finding.places_below(sought.category))),
            "places_shown": PLACES_SHOWN,
            "export": _address(sought, route="compare_providers_csv"),
            "without_filters": _address(Sought(sought.providers)),
            "previous": _address(sought, before=page.products[0].id)
            if page.products and page.has_before
            else "",
            "next": _address(sought, after=last) if last and page.has_after else "",
            "on": _address(sought, after=page.looked_until) if page.looked_until else "",
            "looked": reads.LOOKED_THROUGH,
        },
    )


@needs("read")
@require_safe
def sheet(request: HttpRequest) -> StreamingHttpResponse:
    """The table as CSV: a line for each image of each product of the filter, sent while it is read."""
    columns = [each for each in _choices(request.GET) if each.chosen]
    source = _Sheet(_sought(request.GET, columns), costs=actor_of(request).may("read_costs"))

    async def parts() -> AsyncIterator[str]:
        yield sheets.lines([source.columns])
        while lines := await sync_to_async(source.next)():
            yield sheets.lines(lines)

    response = StreamingHttpResponse(parts(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="packshot-compared.csv"'
    return response


class _Sheet:
    """The lines of the sheet, some products at a time."""

    def __init__(self, sought: Sought, *, costs: bool) -> None:
        self.columns = [each for each in COLUMNS if costs or each != "dollars"]
        self._sought = sought
        self._after: UUID | None = None
        self._left = MOST_IN_A_SHEET

    def next(self) -> list[list[object]]:
        while self._left > 0:
            page = reads.page(self._sought, after=self._after, limit=min(self._left, reads.SAMPLE))
            cells = reads.cells([each.id for each in page.products], self._sought.providers)
            last = page.products[-1].id if page.products and page.has_after else page.looked_until
            self._left = self._left - len(page.products) if last else 0
            self._after = last
            lines = [
                self._line(product, cell)
                for product in page.products
                for provider in self._sought.providers
                if (cell := cells.get((product.id, provider)))
            ]
            if lines:
                return lines
        return []

    def _line(self, product: Product, cell: Cell) -> list[object]:
        facts: Mapping[str, object] = {
            "sku": product.sku,
            "name": product.name,
            "category": product.category_path,
            "provider": cell.provider,
            "model": cell.model,
            "simulated": cell.simulated,
            "active": cell.active,
            "review": cell.review,
            "score": cell.score,
            "seconds": cell.seconds,
            "dollars": cell.cost,
            "image_id": cell.image_id,
            "made_at": cell.created_at,
        }
        return [facts[name] for name in self.columns]


def _choices(given: QueryDict) -> list[Choice]:
    """The providers that have made an image, in their order."""
    known = [each for each in in_order(reports.providers()) if each.total_generated > 0]
    wanted = set(given.getlist("provider")) & {each.name for each in known}
    chosen = [each.name for each in known if each.name in wanted] or [each.name for each in known[:AT_FIRST]]
    return [Choice(each.name, each.label, each.name in chosen[:MOST]) for each in known]


def _sought(given: QueryDict, columns: Sequence[Choice]) -> Sought:
    found = products.sought_of(given)
    names = tuple(each.name for each in columns)
    return Sought(names, found.text, found.category, complete=given.get("all") == "1")


def _line(product: Product, columns: Sequence[Choice], cells: Mapping[tuple[UUID, str], Cell]) -> Line:
    there = [cell for each in columns if (cell := cells.get((product.id, each.name)))]

    def beside(first: Cell | None) -> str:
        ordered = [*([first] if first else []), *(each for each in there if each is not first)][:4]
        # Ids need no quoting, and there are two hundred of these addresses on a page.
        images = "".join(f"&image={each.image_id}" for each in ordered)
        view = "1" if len(ordered) == 1 else "2" if len(ordered) == 2 else "4"
        return f"{address_of('compare')}?product={product.id}{images}&view={view}"

    return Line(
        product,
        products.product_url(product.sku, product.id),
        beside(None),
        tuple(
            (each, Shown(cell, beside(cell)) if (cell := cells.get((product.id, each.name))) else None)
            for each in columns
        ),
    )


def _named(found: Sequence[finding.Place]) -> list[tuple[str, str]]:
    return [(each.path, each.name) for each in found]


def _places(sought: Sought, found: Sequence[tuple[str, str]]) -> list[Tab]:
    return [
        Tab(name, _address(replace(sought, category=path)), current=path == sought.category)
        for path, name in found
    ]


def _address(sought: Sought, *, route: str = "compare_providers", **more: object) -> str:
    given = {"q": sought.text, "category": sought.category, "all": "1" if sought.complete else "", **more}
    query = [("provider", each) for each in sought.providers]
    query += [(name, str(value)) for name, value in given.items() if value]
    return address_of(route) + (f"?{urlencode(query)}" if query else "")
