"""What needs attention: products by what is wrong with them, why, and the one click that mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot import accounts, catalogue
from packshot.accounts import Actor
from packshot.events import Happening
from packshot.flows import triage
from packshot.flows.desk import quoting
from packshot.flows.generate import Ask
from packshot.kernel.errors import BadInput
from packshot.kernel.money import dollars
from packshot.providers.contract import default_model
from packshot.reports import attention
from packshot.reports.attention import ISSUES, Issue, Needing, Tally, Wanted
from packshot.web import live, words
from packshot.web.addresses import address_of
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.controls import Tab
from packshot.web.jinja import provider_name
from packshot.web.live import Topic
from packshot.web.pages import generate, products
from packshot.web.security import actor_of, needs
from packshot.web.words import Word

EACH = 6  # of every issue, until one is chosen; the rest is a click away
SHOWN_AT_ONCE = 48
SNOOZES = ((1, "Until tomorrow"), (7, "For a week"), (30, "For a month"))
MOST_PEOPLE = 50

# What each issue is called, and what can be done about all of it.
WORDS: Mapping[Issue, Word] = {
    "uncertain": Word("Uncertain charge", "circle-question-mark", "warn"),
    "generation_failed": Word("Failed", "circle-x", "bad"),
    "no_image": Word("No image", "image-off", "bad"),
    "placeholder": Word("Placeholder", "image", "warn"),
    "rejected": Word("Rejected", "thumbs-down", "bad"),
    "low_score": Word("Low score", "gauge", "warn"),
    "old_image": Word("Old image", "history", "warn"),
}
TO_CHOOSE = products.WORDS["to-choose"]
MEANS: Mapping[Issue, str] = {
    "uncertain": "The newest call may have been charged and nobody knows. Settle it before asking again.",
    "generation_failed": "The newest try failed. An image that is active stays as it is.",
    "no_image": "Shoppers see nothing.",
    "placeholder": "Shoppers see a stand-in.",
    "rejected": "A reviewer turned the active image down. It stays until another is chosen.",
    "low_score": "A scorer gave the active image less than the site asks for.",
    "old_image": "The active image is older than the site allows.",
}


@dataclass(frozen=True, slots=True)
class Fix:
    """The one click: what it does, costs, and sends where. Without `url` a page is opened instead."""

    label: str
    icon: str
    price: str = ""
    url: str = ""
    values: Mapping[str, str] | None = None
    page: str = ""
    spends: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A product as it is drawn."""

    product: Needing
    word: Word
    why: str
    url: str
    fix: Fix | None


@dataclass(frozen=True, slots=True)
class Group:
    """The products of one issue, as far as they are shown."""

    issue: Issue
    word: Word
    means: str
    count: int
    to_choose: int  # of these, those with images of which none is chosen
    tiles: tuple[Tile, ...]
    more: str  # where the others are
    price: str  # about, for an image of each of the others; empty: nobody can be asked

    @property
    def to_make(self) -> int:
        return 0 if self.issue == "uncertain" else self.count - self.to_choose


@needs("read")
@require_safe
def needing(request: HttpRequest) -> HttpResponse:
    """The page: every issue with its first products, or one issue in full."""
    wanted, scope = _wanted_of(request.GET, actor_of(request)), request.GET.get("of", "")
    stream = live.address("attention")
    actor, now = actor_of(request), generate.read_now()
    tally = attention.tally(wanted)
    found = attention.needing(
        wanted,
        each=(SHOWN_AT_ONCE if wanted.issue else EACH) + 1,
        after=products.id_of(request.GET.get("after")),
        among=[issue for issue in ISSUES if tally.by_issue[issue]],
    )
    prices = _prices(found, now, actor)
    groups = _groups(found, wanted, tally, scope, actor, prices, now)
    to_make = tally.total - tally.by_issue["uncertain"] - sum(tally.to_choose.values())
    return render(
        request,
        "pages/attention.html",
        {
            "stream": stream,
            "may": actor.may,
            "here": request.get_full_path(),
            "wanted": wanted,
            "scope": scope,
            "tally": tally,
            "issues": [
                (
                    issue,
                    WORDS[issue],
                    tally.by_issue[issue],
                    _address(scope, wanted.text, None if issue == wanted.issue else issue),
                )
                for issue in ISSUES
            ],
            "scopes": [
                Tab("All", _address("", wanted.text, wanted.issue), current=scope == ""),
                Tab("Mine", _address("mine", wanted.text, wanted.issue), current=scope == "mine"),
                Tab("Put off", _address("snoozed", wanted.text, wanted.issue), current=scope == "snoozed"),
            ],
            "groups": groups,
            "to_make": to_make,
            "everything": _about(found, to_make, prices) if len(groups) > 1 else "",
            "all_issues": _address(scope, wanted.text, None),
            "snoozes": SNOOZES,
            "people": accounts.who_may("generate")[:MOST_PEOPLE] if actor.may("generate") else (),
        },
    )


def _wanted_of(given: QueryDict, actor: Actor) -> Wanted:
    """Which products an address or a form speaks of. What it cannot mean is left out."""
    issue, scope = given.get("issue"), given.get("of")
    return Wanted(
        issue=issue if issue in ISSUES else None,
        text=given.get("q", "").replace("\0", "").strip()[:200],
        assignee_id=actor.id if scope == "mine" else None,
        snoozed=scope == "snoozed",
    )


def _address(scope: str, text: str, issue: Issue | None, **more: object) -> str:
    given = {"issue": issue, "of": scope, "q": text, **more}
    query = urlencode({name: str(value) for name, value in given.items() if value})
    return reverse("attention") + (f"?{query}" if query else "")


# -- the groups --------------------------------------------------------------------------------------


def _groups(
    found: Sequence[Needing],
    wanted: Wanted,
    tally: Tally,
    scope: str,
    actor: Actor,
    prices: Mapping[UUID, int | None],
    now: generate.Now,
) -> list[Group]:
    limit = SHOWN_AT_ONCE if wanted.issue else EACH
    by_issue: dict[Issue, list[Needing]] = {}
    for each in found:
        by_issue.setdefault(each.issue, []).append(each)
    groups = []
    for issue, part in by_issue.items():
        shown = part[:limit]
        after = shown[-1].id if wanted.issue else None
        groups.append(
            Group(
                issue,
                WORDS[issue],
                MEANS[issue],
                tally.by_issue[issue],
                tally.to_choose[issue],
                tuple(_tile(each, prices, now, actor) for each in shown),
                _address(scope, wanted.text, issue, after=after) if len(part) > limit else "",
                _about(shown, tally.by_issue[issue] - tally.to_choose[issue], prices),
            )
        )
    return groups


def _tile(product: Needing, prices: Mapping[UUID, int | None], now: generate.Now, actor: Actor) -> Tile:
    return Tile(
        product,
        TO_CHOOSE if _only_to_choose(product) else WORDS[product.issue],
        _why(product),
        products.product_url(product.sku, product.id),
        _fix(product, prices, now, actor),
    )


def _only_to_choose(product: Needing) -> bool:
    return product.issue in ("no_image", "placeholder") and product.newest_image_id is not None


def _why(product: Needing) -> str:
    """What is wrong, in the words of whoever has to decide."""
    match product.issue:
        case "uncertain":
            return f"A call to {provider_name(product.provider)} was cut"
        case "generation_failed":
            error = words.ERRORS.get(product.error_kind, "failed")  # type: ignore[call-overload]
            times = f", {words.count(product.failures)} times in a row" if product.failures > 1 else ""
            return f"{provider_name(product.provider)}: {error}{times}"
        case "no_image" | "placeholder" if product.newest_image_id:
            return "Images are made, none is chosen"
        case "no_image":
            return "Nothing was made yet"
        case "placeholder":
            return "The shop shows a stand-in"
        case "rejected":
            by = f"By {product.decided_by}" if product.decided_by else "By a reviewer"
            return f"{by}: {product.reason}" if product.reason else by
        case "low_score":
            return f"{product.scorer} gave {product.score:.0f} of 100" if product.score is not None else ""
        case "old_image":
            return f"Made {words.day(product.image_at.date())}" if product.image_at else ""


def _fix(product: Needing, prices: Mapping[UUID, int | None], now: generate.Now, actor: Actor) -> Fix | None:
    """What one click does about it; None for somebody who may do nothing."""
    if product.issue == "uncertain":
        query = urlencode({"status": "uncertain", "generation": str(product.generation_id)})
        return Fix("Settle the charge", "circle-question-mark", page=f"{address_of('queue')}?{query}")
    if _only_to_choose(product):
        if not actor.may("publish"):
            return Fix("Compare and choose", "images", page=products.product_url(product.sku, product.id))
        url = address_of("activate", product.newest_image_id)
        return Fix("Set newest active", "star", url=url, values={"shows": "attention"})
    if not actor.may("generate"):
        return None
    if product.issue == "generation_failed" and product.generation_id:
        return Fix(
            "Try again",
            "rotate-ccw",
            _price(product.expected_micros),
            address_of("queue_retry"),
            {
                "generation": str(product.generation_id),
                "agreed": str(product.expected_micros or 0),
            },
            spends=True,
        )
    if product.id not in prices:
        # The prompt lacks a fact of the product, or nobody can be asked: its page says which.
        return Fix("Open product", "package", page=products.product_url(product.sku, product.id))
    micros, (provider,) = prices[product.id], generate.first_choice(now.states)
    return Fix(
        "Remake" if product.issue in ("rejected", "low_score", "old_image") else "Make image",
        "sparkles",
        _price(micros),
        address_of("generate"),
        {
            "products": generate.packed([product.id]),
            "provider": provider,
            "images": "1",
            "shape": generate.SHAPES[0],
            "request_key": uuid4().hex,
            **({f"agreed-{provider}": str(micros)} if micros is not None else {}),
        },
        spends=True,
    )


def _prices(found: Sequence[Needing], now: generate.Now, actor: Actor) -> dict[UUID, int | None]:
    """What an image of each would cost at the provider that a fresh form has chosen, from what was read
    already. A product that cannot be asked for as it is has no entry."""
    chosen = generate.first_choice(now.states)
    if not chosen or not found:
        return {}
    state = next(each for each in now.states if each.name == chosen[0])
    card = default_model(quoting()[chosen[0]])
    if card is None:
        return {}
    prices: dict[UUID, int | None] = {}
    for row in catalogue.by_id([each.id for each in found]):
        template = generate.default_template(row.category_path, now.templates)
        if template is None:
            continue
        ask = Ask(products=[row], provider=chosen[0], model=card.id, shape=generate.SHAPES[0])
        try:
            offered = generate.first_offer(ask, template.text, now.brand, actor, state)
        except BadInput:
            continue
        if not offered.missing:
            prices[row.id] = offered.expected_micros
    return prices


def _about(shown: Sequence[Needing], count: int, prices: Mapping[UUID, int | None]) -> str:
    """What an image of so many costs, by the mean of those that are shown; empty when nobody can be asked."""
    known = [prices[each.id] for each in shown if each.id in prices]
    if not known or count < 1:
        return ""
    if None in known:
        return "price unknown"
    mean = sum(each for each in known if each is not None) / len(known)
    return "free" if not mean else f"about {words.money(dollars(round(mean * count)))}"


def _price(micros: int | None) -> str:
    return "" if micros is None else "free" if micros == 0 else words.price(dollars(micros))


# -- what is decided ---------------------------------------------------------------------------------


@needs("generate")
def snooze(request: HttpRequest) -> HttpResponse:
    """Put the chosen products off, or, with no days, show them again."""
    if request.method != "POST":
        return redirect("attention")
    then = request.POST.get("then") or reverse("attention")
    actor, days = actor_of(request), request.POST.get("days", "")
    try:
        ids = _chosen(request.POST)
        if not days.isascii() or not days.isdigit() or len(days) > 4:
            raise BadInput("say for how many days", field="days")
        if int(days) == 0:
            woken = triage.wake(ids, actor)
            toast = Toast(f"{words.many(woken, 'product')} shown again")
            gone: Sequence[UUID] = ids
        else:
            gone = triage.snooze(ids, int(days), actor)
            undo = Undo(reverse("attention_snooze"), {"ids": _joined(gone), "days": "0"})
            toast = Toast(f"{words.many(len(gone), 'product')} put off", undo=undo if gone else None)
    except BadInput as problem:
        return refuse(request, problem, then=then)
    return answer(request, toast, [("live/attention_gone.html", {"ids": gone})], then=then)


@needs("generate")
def assign(request: HttpRequest) -> HttpResponse:
    """Give the chosen products to somebody, or to nobody."""
    if request.method != "POST":
        return redirect("attention")
    then = request.POST.get("then") or reverse("attention")
    person = request.POST.get("person", "")
    try:
        ids = _chosen(request.POST)
        person_id = products.id_of(person)
        if person and person_id is None:
            raise BadInput("choose a person of the list", field="person")
        name = triage.assign(ids, person_id, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=then)
    told = f"{words.many(len(ids), 'product')} given to {name or 'nobody'}"
    return answer(request, Toast(told), then=then)


def _chosen(given: QueryDict) -> list[UUID]:
    listed = given.get("ids", "").split(",") if given.get("ids") else given.getlist("product")
    ids = [each for each in map(products.id_of, listed) if each is not None]
    if not ids:
        raise BadInput("no product was chosen; tick some", field="products")
    return ids


def _joined(ids: Sequence[UUID]) -> str:
    return ",".join(map(str, ids))


# -- what the stream shows ---------------------------------------------------------------------------

_TOUCHING = {"generation", "image", "product", "catalogue"}


def _touched(happenings: Sequence[Happening]) -> str | None:
    """That the issues may have changed: each page asks for its own."""
    return "changed" if any(each.topic in _TOUCHING for each in happenings) else None


live.offer(Topic("attention", "read", "", _touched, every_s=2.0, event="attention"))
