"""The products, as tiles or as rows: by image state, searched, chosen, and kept up to date."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.catalogue import finding
from packshot.catalogue.finding import IMAGE_STATES, ImageState, ListedProduct, Shown, Sought
from packshot.events import Happening
from packshot.flows import publish
from packshot.kernel.errors import BadInput
from packshot.reports import attention
from packshot.web import live
from packshot.web.addresses import address_of
from packshot.web.controls import Tab
from packshot.web.live import Topic
from packshot.web.security import actor_of, needs
from packshot.web.words import Word

SHOWN_AT_ONCE = 48  # whole lines of tiles, whether two, three, four or six stand side by side
PLACES_SHOWN = 16
VIEWS = ("grid", "list")
# More than a screen holds: whoever looks fetches the page instead.
PUSHED_AT_ONCE = 200

TABS: Mapping[ImageState | None, str] = {
    None: "All",
    "no-image": "No image",
    "to-choose": "To choose",
    "placeholder": "Placeholder",
    "in-progress": "In progress",
    "failed": "Failed",
    "active": "Active",
}
WORDS: Mapping[Shown, Word] = {
    "no-image": Word("No image", "image-off"),
    "to-choose": Word("To choose", "images", "warn"),
    "placeholder": Word("Placeholder", "image", "warn"),
    "in-progress": Word("In progress", "loader-circle", "run"),
    "failed": Word("Failed", "x", "bad"),
    "active": Word("Active", "star", "ok"),
    "shop-image": Word("Shop image", "store"),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A product as it is drawn: its state in words and where its page is."""

    product: ListedProduct
    word: Word
    url: str


@needs("read")
@require_safe
def products(request: HttpRequest) -> HttpResponse:
    """The list, as tiles or as rows; which of them is remembered in this browser."""
    sought, view = sought_of(request.GET), _view_of(request)
    stream = live.address(f"product-{view}", "product-counts")
    tally = finding.tally(sought)
    counts = tally.of
    found = finding.find(
        sought,
        after=id_of(request.GET.get("after")),
        before=id_of(request.GET.get("before")),
        limit=SHOWN_AT_ONCE,
    )
    tiles = [tile(each) for each in found.products]
    response = render(
        request,
        "pages/products.html",
        {
            "stream": stream,
            "may": actor_of(request).may,
            "sought": sought,
            "view": view,
            "here": request.get_full_path(),
            "tabs_shown": [
                Tab(
                    label,
                    address(Sought(sought.text, sought.category, state)),
                    counts[state],
                    current=state == sought.state,
                    tone="bad" if state == "failed" and counts[state] else "",
                    more=tally.more,
                )
                for state, label in TABS.items()
            ],
            "views": [
                Tab("Tiles", address(sought, view="grid"), current=view == "grid", icon="layout-grid"),
                Tab("Rows", address(sought, view="list"), current=view == "list", icon="list"),
            ],
            "tree": _tree(sought),
            "tree_shown": PLACES_SHOWN,
            "without_filters": address(Sought()),
            "tiles": tiles,
            "total": counts[sought.state],
            "more": tally.more,
            "of_all": counts[None],
            "active_count": counts["active"],
            "of_filter": f"?{query}" if (query := query_of(sought)) else "",
            "most_activated": publish.MOST_AT_ONCE,
            "previous": address(sought, before=tiles[0].product.id) if tiles and found.has_before else "",
            "next": address(sought, after=tiles[-1].product.id) if tiles and found.has_after else "",
        },
    )
    if request.GET.get("view") in VIEWS:
        response.set_cookie(
            "products", view, max_age=31_536_000, samesite="Lax", secure=request.is_secure(), httponly=True
        )
    return response


@dataclass(frozen=True, slots=True)
class Tree:
    """Where in the catalogue's tree the list is: the way down to there, and where it goes on."""

    above: tuple[Tab, ...]  # from all of the catalogue to here
    below: tuple[Tab, ...]


def _tree(sought: Sought) -> Tree:
    def tab(label: str, path: str) -> Tab:
        url = address(Sought(sought.text, path, sought.state))
        return Tab(label, url, current=path == sought.category)

    way = finding.places_above(sought.category)
    return Tree(
        (tab("All categories", ""), *(tab(each.name, each.path) for each in way)),
        tuple(tab(each.name, each.path) for each in finding.places_below(sought.category)),
    )


def tile(product: ListedProduct) -> Tile:
    return Tile(product, WORDS[product.shown], product_url(product.sku, product.id))


def product_url(sku: str, product_id: UUID) -> str:
    """Where a product's page is. Browsers take dots between slashes for a way up: such a SKU goes by id."""
    by_dots = any(part in (".", "..") for part in sku.split("/"))
    return address_of("product", product_id if by_dots else sku)


def address(sought: Sought, **more: object) -> str:
    """The list of `sought`."""
    query = query_of(sought, **more)
    return reverse("products") + (f"?{query}" if query else "")


def query_of(sought: Sought, **more: object) -> str:
    """`sought` as it stands in an address."""
    given = {"state": sought.state, "q": sought.text, "category": sought.category, **more}
    return urlencode({name: str(value) for name, value in given.items() if value})


def sought_of(given: QueryDict) -> Sought:
    """Which products an address or a form speaks of. What it cannot mean is left out."""
    state = given.get("state")
    return Sought(
        text=_words(given.get("q", ""))[:200],
        category=_words(given.get("category", ""))[:2000],
        state=state if state in IMAGE_STATES else None,
    )


def chosen_ids(given: QueryDict, *, limit: int) -> list[UUID]:
    """The products that a form has chosen: those ticked, all that match its filter, or all that need
    attention, for one reason or for `any`. Refuses too many."""
    if issue := given.get("needing") or given.get("choosing"):
        # Whoever chooses has images to choose from; whoever pays for one has none.
        wanted = replace(_needing_of(given, issue), made="choosing" in given)
        ids = attention.ids(wanted, limit=limit + 1)
    elif given.get("all") == "1":
        ids = finding.ids(sought_of(given), limit=limit + 1)
    else:
        ids = [each for each in map(id_of, given.getlist("product")) if each is not None]
    if not ids:
        raise BadInput("no product was chosen; tick some", field="products")
    if len(ids) > limit:
        raise BadInput(f"more than {limit:,} products were chosen; narrow the list", field="products")
    return ids


def _needing_of(given: QueryDict, issue: str) -> attention.Wanted:
    return attention.Wanted(
        issue=issue if issue in attention.ISSUES else None,
        text=_words(given.get("q", ""))[:200],
        assignee_id=id_of(given.get("assignee")),
        snoozed=given.get("of") == "snoozed",
    )


def id_of(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _view_of(request: HttpRequest) -> str:
    given = (request.GET.get("view"), request.COOKIES.get("products"))
    return next((each for each in given if each in VIEWS), VIEWS[0])


def _words(text: str) -> str:
    # PostgreSQL's text holds no NUL.
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


# -- what the stream shows ---------------------------------------------------------------------------

_TOUCHING = {"generation", "image", "product"}


def touched(happenings: Sequence[Happening]) -> tuple[set[UUID], set[UUID]]:
    """The products that something happened to, and the generations whose products it happened to."""
    product_ids, generation_ids = set[UUID](), set[UUID]()
    for each in happenings:
        named = each.data.get("product") if each.topic == "image" else each.subject
        if each.topic in _TOUCHING and (found := id_of(str(named))):
            (generation_ids if each.topic == "generation" else product_ids).add(found)
    return product_ids, generation_ids


def _tiles(happenings: Sequence[Happening]) -> list[Tile] | str | None:
    """The products that something happened to; the word "many" when they are too many to be sent."""
    product_ids, generation_ids = touched(happenings)
    if not product_ids and not generation_ids:
        return None
    if len(product_ids) + len(generation_ids) > PUSHED_AT_ONCE:
        return "many"
    return [tile(each) for each in finding.by_ids(sorted(product_ids), generation_ids=sorted(generation_ids))]


def _counts(happenings: Sequence[Happening]) -> str | None:
    """That the counts of the tabs may have changed: each page asks for its own."""
    return "changed" if any(each.topic in _TOUCHING for each in happenings) else None


live.offer(
    Topic("product-grid", "read", "live/product_grid.html", _tiles, every_s=0.5),
    Topic("product-list", "read", "live/product_list.html", _tiles, every_s=0.5),
    Topic("product-counts", "read", "", _counts, every_s=3.0, event="product-counts"),
)
