"""One product: its images on a stage and a film strip, what is being made, what is known of it, and the form
to make more. Kept up to date while it is open."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.catalogue import PHOTO, finding
from packshot.catalogue.finding import Neighbour
from packshot.catalogue.products import ProductRow
from packshot.events import Happening
from packshot.flows import delivery
from packshot.reports import products as reads
from packshot.reports.history import STANDINGS, History, Past, history
from packshot.reports.products import Making, ProductFacts, ProductImage
from packshot.web import live
from packshot.web.controls import Choice
from packshot.web.jinja import provider_name
from packshot.web.live import Topic
from packshot.web.pages import generate, products
from packshot.web.security import actor_of, needs

FRAMES_SHOWN = 60
HISTORY_SHOWN = 25
# How what is listed may stand, in words.
STANDING_WORDS = {
    "undecided": "Not decided",
    "approved": "Approved",
    "rejected": "Rejected",
    "failed": "Failed",
}


@dataclass(frozen=True, slots=True)
class Near:
    """The product before or after in the list that one came from."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class PastShown:
    """One page of what was made for the product, as its address says."""

    history: History
    providers: tuple[Choice, ...]
    standings: tuple[Choice, ...]
    people: tuple[Choice, ...]
    narrowed: bool
    context: tuple[tuple[str, str], ...]  # what else stands in the address, and stays there
    everything: str  # the address without a filter
    newest: str  # the address of the first page, where this is a later one
    older: str  # of the next page; empty: there is none


@dataclass(frozen=True, slots=True)
class Strip:
    """Everything of a product that changes while its page is open. None of it is one person's."""

    product_id: UUID
    sku: str
    name: str
    images: tuple[ProductImage, ...]  # newest first
    of_all: int
    making: tuple[Making, ...]  # waiting or being made, newest first
    failed: int
    uncertain: int

    @property
    def active(self) -> ProductImage | None:
        return next((image for image in self.images if image.active), None)


@dataclass(frozen=True, slots=True)
class News:
    """What the stream tells of a product: the strip as it is now, which of its images to draw again, and who
    chose what shoppers see, if that is the news. Its past is for each page to read, by its own filter."""

    strip: Strip
    images: tuple[ProductImage, ...]
    chosen_by: str
    event_id: int
    newest_id: int  # of the events that this tells


@needs("read")
@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """The page of the product with this SKU, or with this id where a SKU cannot stand in an address."""
    found = _find(sku)
    if context := _context_of_referer(request):
        return HttpResponseRedirect(f"{request.path}?{context}")
    stream = live.address(f"product:{found.id}")
    strip = _strip(found, also=products.id_of(request.GET.get("image")))
    sought = products.sought_of(request.GET)
    before, after = finding.neighbours(found.id, sought)
    actor = actor_of(request)
    here = products.product_url(found.sku, found.id)
    context = products.query_of(sought)
    then = f"{here}?{context}" if context else here
    reuse = products.id_of(request.GET.get("reuse"))
    return render(
        request,
        "pages/product.html",
        {
            "stream": stream,
            "may": actor.may,
            "product": found,
            "strip": strip,
            "staged": _shown(strip, request.GET),
            "before": _near(before, context),
            "after": _near(after, context),
            "list_url": products.address(sought),
            "here": then,
            "past": _past(request, found, here),
            "addresses": _addresses(found, public=any(each.active for each in strip.images)),
            "form": generate.first_form(
                _row(found),
                actor,
                generate.read_now(),
                provider=next((each.provider for each in strip.images if each.provider != PHOTO), ""),
                then=then,
                source=generate.source_of(found, strip.images),
                reuse=reads.settings_of(reuse, found.id) if reuse else None,
            )
            if actor.may("generate") and found.archived_at is None
            else None,
        },
    )


def _find(sku: str) -> ProductFacts:
    found = reads.product_by_sku(sku) if "\x00" not in sku else None
    if found is None and (product_id := products.id_of(sku)):
        found = reads.product_by_id(product_id)
    if found is None:
        raise Http404
    return found


def _context_of_referer(request: HttpRequest) -> str:
    """The filter of the list that one comes from, which then stands in this page's address too."""
    try:
        referer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # brackets around what is no address
        return ""
    if (
        request.method != "GET"
        or "HX-Request" in request.headers
        or referer.path != reverse("products")
        or referer.netloc != request.get_host()
        or products.query_of(products.sought_of(request.GET))
    ):
        return ""
    context = products.query_of(products.sought_of(QueryDict(referer.query)))
    own = request.GET.urlencode()
    return "&".join(part for part in (context, own) if part) if context else ""


def _strip(found: ProductFacts, *, also: UUID | None = None) -> Strip:
    images, under_way = reads.strip_of(found.id, FRAMES_SHOWN, also=also)
    return Strip(
        product_id=found.id,
        sku=found.sku,
        name=found.name,
        images=tuple(images),
        of_all=images[0].of_all if images else 0,
        making=tuple(each for each in under_way if each.status in ("pending", "processing")),
        failed=sum(each.status == "failed" for each in under_way),
        uncertain=sum(each.status == "uncertain" for each in under_way),
    )


def _shown(strip: Strip, given: Mapping[str, str]) -> ProductImage | None:
    """The image on the stage: the one asked for, else the active, else the newest that can be shown."""
    wanted = products.id_of(given.get("image"))
    by_wish = next((image for image in strip.images if image.image_id == wanted), None)
    newest = next((image for image in strip.images if image.state == "ready"), None)
    return by_wish or strip.active or newest or (strip.images[0] if strip.images else None)


def _past(request: HttpRequest, found: ProductFacts, here: str) -> PastShown:
    given = request.GET
    wanted = Past(
        provider=given.get("provider", "")[:32],
        person=given.get("person", "")[:150],
        standing=next((each for each in STANDINGS if each == given.get("review")), None),
        older=products.id_of(given.get("older")),
    )
    read = history(found.id, found.sku, wanted, limit=HISTORY_SHOWN)
    context = products.sought_of(given)
    kept = {"state": context.state, "q": context.text, "category": context.category}
    if (staged := products.id_of(given.get("image"))) is not None:
        kept["image"] = str(staged)

    def address(**changes: object) -> str:
        chosen = {"provider": wanted.provider, "review": wanted.standing, "person": wanted.person}
        query = {name: str(each) for name, each in {**kept, **chosen, **changes}.items() if each}
        return (f"{here}?{urlencode(query)}" if query else here) + "#history"

    def choices(values: Iterable[str], chosen: str, words: Callable[[str], str] = str) -> tuple[Choice, ...]:
        # One that nothing has any more can be seen all the same, and taken off.
        every = dict.fromkeys([*values, *([chosen] if chosen else [])])
        return tuple(Choice(each, words(each), each == chosen) for each in every)

    return PastShown(
        history=read,
        providers=choices(read.providers, wanted.provider, provider_name),
        standings=choices(STANDINGS, wanted.standing or "", lambda each: STANDING_WORDS[each]),
        people=choices(read.people, wanted.person),
        narrowed=bool(wanted.provider or wanted.standing or wanted.person),
        context=tuple((name, value) for name, value in kept.items() if value),
        everything=address(provider="", review="", person=""),
        newest=address() if wanted.older else "",
        older=address(older=read.entries[-1].id) if read.has_older else "",
    )


def _near(neighbour: Neighbour | None, context: str) -> Near | None:
    if neighbour is None:
        return None
    url = products.product_url(neighbour.sku, neighbour.id)
    return Near(neighbour.name, f"{url}?{context}" if context else url)


def _addresses(found: ProductFacts, *, public: bool) -> list[tuple[str, str, bool]]:
    """Where images of it are: label, address, whether it may be followed. The shop's are never fetched."""
    ours = settings.SITE_URL + delivery.address(found.sku, product_id=found.id)
    given = [("For the shop", ours)] if public and found.archived_at is None else []
    given += [("Shop image", found.listed_image_url)] if found.listed_image_url else []
    given += [("Reference", address) for address in found.reference_image_urls]
    return [(label, address, address.startswith(("http://", "https://"))) for label, address in given]


def _row(found: ProductFacts) -> ProductRow:
    return ProductRow(
        found.id, found.sku, found.name, found.description, found.category_path, found.attributes
    )


# -- what the stream shows ---------------------------------------------------------------------------


def news(
    product_id: UUID,
    image_ids: Collection[UUID],
    *,
    chosen_by: str = "",
    event_id: int = 0,
    newest_id: int = 0,
) -> News | None:
    """A product as it is now, with these images and the active one to be drawn again."""
    found = reads.product_by_id(product_id)
    if found is None:
        return None
    strip = _strip(found)
    images = tuple(each for each in strip.images if each.image_id in image_ids or each.active)
    return News(strip, images, chosen_by, event_id, newest_id)


def _news(happenings: Sequence[Happening], argument: str) -> News | None:
    product_id = products.id_of(argument)
    if product_id is None:
        return None
    mine = [each for each in happenings if _is_of(each, product_id)]
    if not mine:
        return None
    images: set[UUID] = set()
    for each in mine:
        named = (
            (each.data.get("image"), each.data.get("before")) if each.topic == "product" else (each.subject,)
        )
        images |= {image for name in named if name and (image := products.id_of(str(name)))}
    choice = next((each for each in reversed(mine) if each.kind in ("activated", "restored")), None)
    by = str(choice.data.get("by", "")) if choice else ""
    return news(product_id, images, chosen_by=by, event_id=choice.id if choice else 0, newest_id=mine[-1].id)


def _is_of(each: Happening, product_id: UUID) -> bool:
    match each.topic:
        case "product":
            return each.subject == str(product_id)
        case "image":
            return each.data.get("product") == str(product_id)
        case "generation":
            # A generation names its product by SKU, or by nothing.
            sku = each.data.get("sku")
            return sku is None or sku == _sku_of(product_id)
    return False


@lru_cache(maxsize=1024)
def _sku_of(product_id: UUID) -> str | None:
    """A product keeps its SKU for life, so this is asked once."""
    found = reads.product_by_id(product_id)
    return found.sku if found else None


live.offer(Topic("product", "read", "live/product.html", _news, takes_argument=True, every_s=0.25))
