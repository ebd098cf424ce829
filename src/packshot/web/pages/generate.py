"""Asking for images: what it would cost, said before every click, and the asking itself."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from packshot import blobs, catalogue, ledger, preferences, reports
from packshot.accounts import Actor
from packshot.catalogue import prompts
from packshot.catalogue.products import ProductRow
from packshot.catalogue.templates import GENERAL, TemplateRow, templates
from packshot.flows import generate, look, prices
from packshot.flows.desk import quoting
from packshot.flows.generate import Ask, Missing, PriceRose
from packshot.flows.inspecting import WARNED_FOR
from packshot.flows.routing import Among, Route
from packshot.flows.wording import facts_of
from packshot.generations import Asked
from packshot.generations.queue import given_of
from packshot.kernel.errors import BadInput, OverBudget
from packshot.kernel.money import dollars
from packshot.ledger import BudgetState, Wish
from packshot.providers.cards import fitting, today
from packshot.providers.contract import (
    AS_INPUT,
    BY_TOMORROW,
    DELIVERY,
    ImageRequest,
    ModelCard,
    Option,
    Provider,
    model_card,
)
from packshot.providers.sizes import size_of
from packshot.reports import ProviderRow
from packshot.reports import products as reads
from packshot.reports.products import ProductImage, Settings
from packshot.web.answers import Link, Toast, answer, refuse
from packshot.web.pages import given as along
from packshot.web.pages import products as listing
from packshot.web.pages.given import Pictures
from packshot.web.security import CONTENT_SECURITY_POLICY, actor_of, needs
from packshot.web.words import count, many, money
from packshot.web.words import price as price_words

SHAPES = ("1:1", "4:5", "3:4", "16:9")
OWN_SHAPE = "own"  # any other, written beside it
PAST_SHOWN = 24  # images of the product that may go along
MOST_EACH = 4
BOX = ("25", "25", "50", "50")
_SIDES = ("left", "top", "width", "height")
_OPTION_CHARS = 10_000
_GONE = "a picture of this form is gone; add it again"
# Of several chosen providers: each of them, or one, and the next when it refuses or is down.
EACH = "each"
HOWS: tuple[tuple[str, str], ...] = (
    (EACH, "Ask each of them"),
    ("order", "One, in this order"),
    ("cheapest", "One, the cheapest first"),
    ("fastest", "One, the fastest first"),
    ("best", "One, the most often chosen first"),
)
ROUTED = "route"  # the one ask of all of them, where a provider's name stands for an ask of its own
# More than this is a catalogue, and the command line's work: every prompt is filled for every price.
MOST_PRODUCTS = 10_000


# -- what was chosen ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a form asks for, as far as it makes sense."""

    product_ids: tuple[UUID, ...]
    providers: tuple[str, ...]
    models: Mapping[str, str]  # by provider; a provider that is missing uses its default
    template: str  # a name, or empty: each category's own
    prompt: str | None  # the text of the editor, where there is one
    images: int
    shape: str
    agreed: Mapping[str, int]  # the price that was shown, by provider, in micro-dollars
    key: str
    how: str  # one of HOWS
    filled: str  # the template whose text the editor was filled with
    shows: str  # where the form is: product, grid, list, page
    then: str  # the page it leads back to
    pictures: Pictures = field(default_factory=Pictures)
    negative: str = ""
    seed: str = ""  # as typed
    options: Mapping[str, str] = field(default_factory=dict)  # as typed, by the name of the field
    box: tuple[str, ...] = BOX  # the rectangle of a mask, as typed
    tomorrow: bool = False  # it may take a day, for less


def wishes_of(given: QueryDict) -> Wishes:
    known = quoting()
    each = given.get("images", "1")
    return Wishes(
        product_ids=_unpacked(given.get("products", "")),
        providers=tuple(dict.fromkeys(name for name in given.getlist("provider") if name in known)),
        models={name: model for name in known if (model := given.get(f"model-{name}"))},
        template=given.get("template", "")[:120],
        prompt=given.get("prompt", "").replace("\r\n", "\n")[: prompts.PROMPT_CHARS]
        if "prompt" in given
        else None,
        images=min(max(int(each[:4]), 1), MOST_EACH) if each.isascii() and each.isdigit() else 1,
        shape=_shape_of(given),
        agreed={
            name: int(amount)
            for name in (*known, ROUTED)
            if (amount := given.get(f"agreed-{name}", "")).isascii() and amount.isdigit() and len(amount) < 16
        },
        key=given.get("request_key", "")[:64],
        how=how if (how := given.get("how", EACH)) in dict(HOWS) else EACH,
        filled=given.get("filled", "")[:120],
        shows=given.get("shows", "page"),
        then=given.get("then", "") or reverse("products"),
        pictures=along.pictures_of(given),
        negative=given.get("negative", "").replace("\r\n", "\n").strip()[: prompts.PROMPT_CHARS],
        seed=given.get("seed", "").strip()[:20],
        options={
            name: value.strip()[:_OPTION_CHARS]
            for name, value in given.items()
            if name.startswith("option-") and isinstance(value, str) and value.strip()
        },
        box=tuple(given.get(f"mask-{side}", usual)[:4] for side, usual in zip(_SIDES, BOX, strict=True)),
        tomorrow=given.get("delivery") == BY_TOMORROW,
    )


def _shape_of(given: QueryDict) -> str:
    shape = given.get("shape", SHAPES[0])
    return (given.get("shape-own", "").strip()[:12] or SHAPES[0]) if shape == OWN_SHAPE else shape


def packed(product_ids: Sequence[UUID]) -> str:
    """Products as one field of a form: what was priced is asked for, whatever the list holds by then."""
    return urlsafe_b64encode(b"".join(each.bytes for each in product_ids)).decode()


def _unpacked(text: str) -> tuple[UUID, ...]:
    try:
        content = urlsafe_b64decode(text.encode())
    except (NotBase64, ValueError):
        return ()
    if len(content) % 16 or len(content) > 16 * MOST_PRODUCTS:
        return ()
    return tuple(UUID(bytes=content[at : at + 16]) for at in range(0, len(content), 16))


# -- the form ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the list. `gone`: it cannot be chosen any more, and what is used instead."""

    id: str
    label: str
    chosen: bool
    gone: str = ""
    until: date | None = None  # its last day, where that is near


@dataclass(frozen=True, slots=True)
class Card:
    """A provider in the form: what one image costs and takes there, or why it cannot be asked."""

    name: str
    label: str
    off: str  # the reason; empty: it can be asked
    chosen: bool
    models: tuple[Model, ...]
    price: str
    seconds: float | None  # the median
    simulated: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A ratio of sides. What a model makes only nearly is cropped to it, or padded."""

    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class OptionField:
    """A private option of a model, as a field of the form."""

    name: str
    label: str
    kind: str  # choice, boolean, integer, text
    value: str
    usual: str  # what an empty field means
    choices: tuple[tuple[str, str], ...]
    least: int | None
    most: int | None
    required: bool
    help: str


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """What one chosen model can be told besides."""

    label: str
    fields: tuple[OptionField, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """When it is wanted. `off`: why it is now."""

    tomorrow: bool
    off: str


@dataclass(frozen=True, slots=True)
class More:
    """What few requests need. `..._off`: why the field takes nothing; `..._note`: which models it goes to."""

    negative: str
    negative_off: str
    negative_note: str
    seed: str
    seed_off: str
    seed_note: str
    groups: tuple[OptionGroup, ...]
    opened: bool


@dataclass(frozen=True, slots=True)
class Past:
    """An image of the product that may go along."""

    image_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class PictureField:
    """The pictures that go along, and what may still be done with them."""

    pictures: Pictures
    takes: tuple[str, ...]  # a sentence for each chosen model
    off: str  # why none can be added
    mask_off: str  # why no mask can be given
    marks: str  # how a mask says what is to be changed
    box: tuple[str, ...]
    past: tuple[Past, ...]
    addresses: tuple[str, ...]
    problem: str
    requotes: str  # they changed, so the rest of the form has to be drawn again: once for each such mark


@dataclass(frozen=True, slots=True)
class AskedAs:
    """How one chosen model is asked: in which size, and what becomes of its copies."""

    provider: str
    label: str
    size: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a prompt: `text` as written, `fact` from the product, `default`, or `missing`."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model is told, and which facts the product lacks for it."""

    pieces: tuple[Piece, ...]
    words: int
    missing: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What else is known of the one product that a form is for: pictures that may go along."""

    images: Sequence[ProductImage]
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Price:
    """What the form would cost now. `total` is for the button; empty where nothing can be asked."""

    images: int
    total: str
    note: str  # the most it can cost, or that nobody knows
    seconds: float | None  # about, for all of it
    left: str  # of the budget
    because: str  # who of several is asked first, and why
    short: str  # that not all of it fits the budget now
    problem: str  # why it cannot be asked
    missing: tuple[Missing, ...]
    missing_count: int
    products: int
    simulated: bool
    agreed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Form:
    """The form with everything it shows."""

    key: str
    products: str
    count: int
    cards: tuple[Card, ...]
    shapes: tuple[Shape, ...]
    images: int
    templates: tuple[TemplateRow, ...]
    template: str
    prompt: str | None
    placeholders: tuple[str, ...]
    seen: Seen | None
    price: Price
    how: str
    hows: tuple[tuple[str, str], ...]
    routed: bool  # there are several to choose between
    problem: str  # why the last try was not taken
    shows: str
    then: str
    pictures: PictureField
    more: More
    delivery: Delivery
    asked_as: tuple[AskedAs, ...]
    own_shape: str  # where it is none of the usual ones
    notice: str  # what of an earlier image's settings could not be taken


@dataclass(frozen=True, slots=True)
class Now:
    """How things stand, read once for everything that a form shows."""

    states: Sequence[ProviderRow]
    templates: Sequence[TemplateRow]
    brand: str
    budgets: Sequence[BudgetState]


def read_now() -> Now:
    return Now(reports.providers(), templates(), preferences.get("brand_style"), ledger.budgets())


@needs("generate")
def form(request: HttpRequest) -> HttpResponse:
    """The form for the products that a list has chosen: a panel on that page, or a page of its own."""
    if request.method != "POST":
        return redirect("products")
    then = request.POST.get("then") or reverse("products")
    try:
        ids = listing.chosen_ids(request.POST, limit=MOST_PRODUCTS)
    except BadInput as problem:
        return refuse(request, problem, then=then)
    now = read_now()
    wishes = Wishes(
        product_ids=tuple(ids),
        providers=first_choice(now.states),
        models={},
        template="",
        prompt=None,
        images=1,
        shape=SHAPES[0],
        agreed={},
        key="",
        how=EACH,
        filled="",
        shows=request.POST.get("shows", "page"),
        then=then,
    )
    return _show(request, wishes, now, part="live/asking.html")


@needs("generate")
def quote(request: HttpRequest) -> HttpResponse:
    """What the form as it stands would cost, and what the model would be told."""
    if request.method != "POST":
        return redirect("products")
    wishes, now = wishes_of(request.POST), read_now()
    refilled = wishes.prompt is not None and wishes.template != wishes.filled
    if refilled:
        wishes = _refill(wishes, now.templates)
    drawn = draw(wishes, actor_of(request), now)
    return HttpResponse(
        render_to_string("live/quote.html", {"form": drawn, "refilled": refilled}, request),
    )


@needs("generate")
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for the images, once per key, at the price that was shown."""
    if request.method != "POST":
        return redirect("products")
    wishes, actor, now = wishes_of(request.POST), actor_of(request), read_now()
    done: list[tuple[Ask, Asked]] = []
    try:
        # Without our script a file comes with the form itself.
        wishes = replace(wishes, pictures=along.with_files(request, wishes.pictures, actor))
        if not wishes.providers:
            raise BadInput("choose a provider", field="provider")
        if len(wishes.key) < 8:
            raise BadInput("this form has lost its key; this is a fresh one")
        for each in _asks(wishes, _chosen(wishes), now.templates):
            asked = generate.request(
                each,
                actor,
                # A key for each provider, made of the form's: a repeat of the form repeats them all.
                request_key=f"{wishes.key}:{_name_of(each)}",
                agreed_micros=wishes.agreed.get(_name_of(each)),
            )
            done.append((each, asked))
    except PriceRose as rise:
        problem = f"The price is {_amount(rise.now, 2)} now. Nothing was asked for yet."
    except BadInput as trouble:
        problem = _sentence(trouble)
        if trouble.field == "request_key":
            problem = "This form was sent before with other choices, and nothing more was asked for."
    except (OverBudget, blobs.StoreDown, blobs.StoreFull) as trouble:
        problem = _sentence(trouble)
    else:
        return _asked(request, wishes, done)
    if done:
        # What was asked for before the trouble stays asked for, so it is not chosen any more.
        names = ", ".join(quoting()[each.provider].label for each, _ in done)
        problem = f"Asked for from {names}. {problem}"
        left = wishes.providers[len(done) :]
        wishes = replace(wishes, providers=left)
    return _show(request, wishes, now, problem=problem, status=422)


@needs("generate")
def pictures(request: HttpRequest) -> HttpResponse:
    """Add a picture to the form, take one away, or put them in another order. Asks for nothing."""
    if request.method != "POST":
        return redirect("products")
    wishes, actor, now = wishes_of(request.POST), actor_of(request), read_now()
    source = _source(wishes)
    problem, taken = _sentence(BadInput(_GONE)) if wishes.pictures.gone else "", False
    try:
        marks = along.marks_of(_cards_of(wishes)) or "white"
        changed = along.change(request, wishes.pictures, actor, source.addresses, marks)
        wishes = replace(wishes, pictures=changed)
        taken = True
    except (BadInput, blobs.StoreDown, blobs.StoreFull) as trouble:
        problem = _sentence(trouble)
    if "HX-Request" not in request.headers:
        return _show(request, wishes, now, problem=problem, status=422 if problem else 200)
    shown = replace(_picture_field(wishes, source, problem), requotes=uuid4().hex if taken else "")
    return HttpResponse(
        render_to_string("live/ask_pictures.html", {"field": shown}, request), status=422 if problem else 200
    )


@needs("generate")
def picture(request: HttpRequest, value: str) -> HttpResponse:
    """The small copy of a picture that somebody brought to a form."""
    blob = along.shown_blob(value)
    try:
        content = look.store().get(blob) if blob else None
    except blobs.MissingBlob:
        content = None
    if content is None:
        raise Http404
    response = HttpResponse(content, content_type="image/webp")
    response["Content-Disposition"] = "inline"
    response["Cache-Control"] = "private, max-age=86400, immutable"
    response["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; sandbox"
    return response


def _asked(request: HttpRequest, wishes: Wishes, done: Sequence[tuple[Ask, Asked]]) -> HttpResponse:
    images = sum(len(asked.generation_ids) * each.images for each, asked in done)
    repeated = all(asked.repeated for _, asked in done)
    toast = Toast(
        f"{many(images, 'image')} asked for{' already' if repeated else ''}",
        link=_queue_link([asked for _, asked in done]),
        # The tab that asked is told how each of them ended.
        asked=" ".join(asked.key for _, asked in done),
    )
    if wishes.shows == "product":
        # The form stays, for more of the same: under a fresh key.
        drawn = draw(wishes, actor_of(request), read_now())
        return answer(request, toast, [("live/ask.html", {"form": drawn})], then=wishes.then)
    return answer(request, toast, then=wishes.then)


def _queue_link(asked: Sequence[Asked]) -> Link | None:
    """Where what was asked for can be watched."""
    runs = [each.run_id for each in asked if each.run_id]
    try:
        queue = reverse("queue")
    except NoReverseMatch:
        return None
    return Link(
        f"{queue}?{urlencode({'run': str(runs[0])})}" if len(asked) == len(runs) == 1 else queue, "Show"
    )


def _show(
    request: HttpRequest,
    wishes: Wishes,
    now: Now,
    *,
    problem: str = "",
    status: int = 200,
    part: str = "live/ask.html",
) -> HttpResponse:
    """The form, drawn afresh with a fresh key, on the page that asked or as a page of its own."""
    # It carries what there is, and says what is missing once.
    wishes = replace(wishes, pictures=replace(wishes.pictures, gone=0))
    drawn = draw(wishes, actor_of(request), now, problem=problem)
    if "HX-Request" in request.headers:
        return HttpResponse(render_to_string(part, {"form": drawn}, request), status=status)
    return render(request, "pages/generate.html", {"form": drawn}, status=status)


def draw(
    wishes: Wishes,
    actor: Actor,
    now: Now,
    *,
    chosen: Sequence[ProductRow] | None = None,
    problem: str = "",
    source: Source | None = None,
    notice: str = "",
    quick: bool = True,
) -> Form:
    """The form for `wishes` as things stand now. With `chosen` and `quick`, a page's first, which asks the
    database for nothing more."""
    first = chosen is not None and quick
    chosen = _chosen(wishes) if chosen is None else chosen
    edits = wishes.prompt is not None and bool(chosen)
    # Who cannot be asked with these pictures is grey in the form, and is not asked.
    wishes = replace(wishes, providers=tuple(each for each in wishes.providers if not _cannot(each, wishes)))
    return Form(
        key=uuid4().hex,
        products=packed(wishes.product_ids),
        count=len(chosen),
        cards=tuple(_cards(wishes, now.states, _sample(wishes, chosen, now))),
        shapes=tuple(_shapes(wishes)),
        images=wishes.images,
        templates=tuple(now.templates),
        template=wishes.template,
        prompt=wishes.prompt,
        placeholders=tuple(_placeholders(chosen[0])) if edits else (),
        seen=see(wishes.prompt or "", chosen[0], now.brand) if edits else None,
        price=price(wishes, chosen, actor, now, first=first),
        how=wishes.how,
        hows=HOWS,
        routed=len(wishes.providers) > 1,
        problem=problem,
        shows=wishes.shows,
        then=wishes.then,
        pictures=_picture_field(wishes, source or _source(wishes)),
        more=_more(wishes),
        delivery=_delivery(wishes),
        asked_as=tuple(_asked_as(wishes, chosen, now)),
        own_shape="" if wishes.shape in SHAPES else wishes.shape,
        notice=notice,
    )


def first_form(
    product: ProductRow,
    actor: Actor,
    now: Now,
    *,
    provider: str,
    then: str,
    source: Source | None = None,
    reuse: Settings | None = None,
) -> Form:
    """The form of a product's own page: its template's text, one image, the provider it used last; or the
    settings of an earlier image."""
    template = default_template(product.category_path, now.templates)
    wishes = Wishes(
        product_ids=(product.id,),
        providers=first_choice(now.states, provider),
        models={},
        template=template.name if template else "",
        prompt=template.text if template else "",
        images=1,
        shape=SHAPES[0],
        agreed={},
        key="",
        how=EACH,
        filled=template.name if template else "",
        shows="product",
        then=then,
    )
    notice = ""
    if reuse is not None:
        wishes, notice = _reused(wishes, reuse, actor, now)
    return draw(wishes, actor, now, chosen=[product], source=source, notice=notice, quick=reuse is None)


def _reused(wishes: Wishes, was: Settings, actor: Actor, now: Now) -> tuple[Wishes, str]:
    """`wishes` with everything that an earlier image was asked for with, and what of it cannot be had."""
    notices: list[str] = []
    able = {each.name for each in now.states if not _off(each)}
    row = next((each for each in now.templates if each.name == was.template), None)
    text = was.prompt if was.template_text is None else was.template_text
    pictures = Pictures()
    try:
        pictures = along.of_stored(given_of(was.inputs), actor)
    except (BadInput, blobs.StoreDown, blobs.StoreFull) as trouble:
        notices.append(_sentence(trouble))
    filled = replace(
        wishes,
        providers=(was.provider,) if was.provider in able else wishes.providers,
        models={was.provider: was.model},
        template=row.name if row else "",
        prompt=text,
        images=min(max(was.images, 1), MOST_EACH),
        shape=SHAPES[0] if was.shape == AS_INPUT else was.shape,
        filled=row.name if row else "",
        pictures=pictures,
        negative=was.negative_prompt,
        seed="" if was.seed is None else str(was.seed),
        options={f"option-{was.provider}-{name}": _typed(value) for name, value in was.options.items()},
        tomorrow=was.options.get(DELIVERY) == BY_TOMORROW,
    )
    if was.provider not in able:
        label = quoting()[was.provider].label if was.provider in quoting() else was.provider
        notices.append(f"{label} cannot be asked now; choose who makes it.")
    else:
        card = _model(quoting()[was.provider], filled)
        if card is None or card.id != was.model:
            gone = model_card(quoting()[was.provider], was.model)
            why = (
                "goes on from one of four"
                if gone and gone.kind == "follow_up"
                else "cannot be asked here now"
            )
            notices.append(f"{gone.label if gone else was.model} {why}; another model is chosen.")
    return filled, " ".join(notices)


def _typed(value: object) -> str:
    """An option's value as a field of the form holds it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _source(wishes: Wishes) -> Source:
    """Pictures of the product that a form is for; of several products, none."""
    if len(wishes.product_ids) != 1:
        return Source((), ())
    found = reads.product_by_id(wishes.product_ids[0])
    if found is None:
        return Source((), ())
    return source_of(found, reads.images_of(found.id, PAST_SHOWN))


def source_of(product: reads.ProductFacts, images: Sequence[ProductImage]) -> Source:
    listed = [product.listed_image_url] if product.listed_image_url else []
    addresses = dict.fromkeys([*product.reference_image_urls, *listed])
    return Source(images[:PAST_SHOWN], [each for each in addresses if each.startswith("https://")])


# -- the parts of the form ---------------------------------------------------------------------------


def first_choice(states: Sequence[ProviderRow], before: str = "") -> tuple[str, ...]:
    """The provider that a fresh form has chosen: the one used `before` if it can be asked, else the first."""
    able = [each.name for each in states if not _off(each)]
    return (before,) if before in able else tuple(able[:1])


def _off(state: ProviderRow) -> str:
    """Why a provider cannot be asked now, in a few words; empty when it can."""
    match state.state:
        case "unavailable":
            return "not set up"
        case "off":
            return "switched off"
        case "paused":
            return "paused"
        case "draining":
            return "takes no new requests"
    return "not installed" if state.name not in quoting() else ""


def _call_s(state: ProviderRow, card: ModelCard | None) -> float | None:
    """How long a call takes: the median here, else what is usual for the model."""
    if state.p50_s is not None:
        return state.p50_s
    return card.typical_s if card else None


def _cards(wishes: Wishes, states: Sequence[ProviderRow], sample: str) -> Iterator[Card]:
    # What nobody set up is no choice; Settings says how it becomes one.
    shown = [each for each in states if each.state != "unavailable"] or states
    tomorrow = _delivery(wishes).tomorrow
    for state in shown:
        provider = quoting().get(state.name)
        card = _model(provider, wishes) if provider else None
        off = _off(state) or _cannot(state.name, wishes)
        yield Card(
            name=state.name,
            label=state.label,
            off=off,
            chosen=state.name in wishes.providers and not off,
            models=tuple(_models(provider, card, wishes.pictures)) if provider else (),
            price=_price_of_one(provider, card, wishes, sample, state) if provider and card else "",
            seconds=None if tomorrow else _call_s(state, card),
            simulated=state.simulated,
        )
    missing = sorted(quoting().keys() - {state.name for state in states})
    for name in missing:
        yield Card(name, quoting()[name].label, "no worker has started", False, (), "", None, True)


def _known(provider: Provider) -> list[ModelCard]:
    """The models that a form is about. What goes on from one of four is asked for where the four are."""
    return [card for card in provider.models() if card.kind != "follow_up"]


def _able(provider: Provider, pictures: Pictures) -> list[ModelCard]:
    """The models that can be asked with these pictures, or without any."""
    return [card for card in _known(provider) if not card.retired and not along.unfit(card, pictures)]


def _cannot(name: str, wishes: Wishes) -> str:
    """Why none of a provider's models can be asked with the pictures of the form; empty: one can."""
    provider = quoting().get(name)
    if provider is None or not wishes.pictures or _able(provider, wishes.pictures):
        return ""
    reasons = [along.unfit(card, wishes.pictures) for card in _known(provider) if not card.retired]
    return reasons[0] if reasons else ""


def _models(provider: Provider, chosen: ModelCard | None, pictures: Pictures) -> Iterator[Model]:
    """Those that can be chosen, then those that could be: whoever looks for one is told what became of it."""
    near = today() + WARNED_FOR
    for card in _able(provider, pictures):
        until = card.retires_on if card.retires_on and card.retires_on <= near else None
        yield Model(card.id, card.label, card is chosen, until=until)
    for card in _known(provider):
        if not card.retired and (why := along.unfit(card, pictures)):
            yield Model(card.id, card.label, False, gone=why)
    for card in _known(provider):
        if card.retired:
            instead = model_card(provider, card.successor or "")
            yield Model(
                card.id, card.label, False, gone=f"retired, use {instead.label}" if instead else "retired"
            )


def _model(provider: Provider, wishes: Wishes) -> ModelCard | None:
    """The model that is chosen, or the provider's default."""
    able = _able(provider, wishes.pictures)
    wanted = wishes.models.get(provider.name)
    return next((card for card in able if card.id == wanted), able[0] if able else None)


def _price_of_one(
    provider: Provider, card: ModelCard, wishes: Wishes, sample: str, state: ProviderRow
) -> str:
    try:
        request = ImageRequest(
            card.id,
            sample or "a product" if card.prompt_limit else "",
            wishes.shape,
            options=_options(wishes, provider.name, card),
            inputs=tuple(each.picture() for each in wishes.pictures.given),
        )
        quoted = prices.quote(provider, fitting(request, card), state.price_edition)
    except BadInput:
        # What it lacks is said beside the button once it is chosen.
        return "see its options"
    return _amount(quoted.expected, 1)


def _sample(wishes: Wishes, chosen: Sequence[ProductRow], now: Now) -> str:
    """A prompt as long as those that will be sent: some providers charge by its length."""
    text = wishes.prompt
    if text is None:
        row = next((each for each in now.templates if each.name == (wishes.template or GENERAL)), None)
        text = row.text if row else ""
    return prompts.render(text, facts_of(chosen[0]), now.brand).prompt if chosen else text


def _cards_of(wishes: Wishes) -> list[ModelCard]:
    """The models that are chosen."""
    cards = (_model(quoting()[name], wishes) for name in wishes.providers)
    return [card for card in cards if card is not None]


def _routed(wishes: Wishes) -> bool:
    """Whether one of several is asked, and not each."""
    return wishes.how != EACH and len(wishes.providers) > 1


def _picture_field(wishes: Wishes, source: Source, problem: str = "") -> PictureField:
    cards = _cards_of(wishes)
    takers = [
        card
        for name in wishes.providers
        for card in _known(quoting()[name])
        if card.max_inputs and not card.retired
    ]
    full = len(wishes.pictures.images) >= max((card.max_inputs for card in takers), default=0)
    masked = [card for card in cards if card.takes_mask]
    marks = along.marks_of(cards)
    return PictureField(
        pictures=wishes.pictures,
        takes=tuple(along.takes(card) for card in cards),
        off=(
            "Who is chosen takes no pictures."
            if cards and not takers
            else "Who is chosen takes no more pictures."
            if takers and full
            else ""
        ),
        mask_off=(
            "Add the picture first that the mask belongs to."
            if not wishes.pictures.images
            else f"{_and(card.label for card in cards)} {'takes' if len(cards) == 1 else 'take'} no mask."
            if cards and not masked
            else "These models read masks in different ways: ask them one after the other."
            if masked and marks is None
            else ""
        ),
        marks=marks or "white",
        box=wishes.box,
        past=tuple(
            Past(image.image_id, f"{image.provider}, {image.width_px} x {image.height_px} px")
            for image in source.images
            if image.state == "ready"
        ),
        addresses=tuple(source.addresses),
        problem=problem,
        requotes="",
    )


def _more(wishes: Wishes) -> More:
    cards = _cards_of(wishes)
    without_negative = [card.label for card in cards if not card.takes_negative_prompt]
    without_seed = [card.label for card in cards if not card.takes_seed]
    routed = _routed(wishes)
    groups = () if routed else tuple(_groups(wishes))
    wanting = any(each.required and not each.value for group in groups for each in group.fields)
    return More(
        negative=wishes.negative,
        negative_off=_off_for(without_negative, cards, "no negative prompt"),
        negative_note=f"Not sent to {_and(without_negative)}." if without_negative else "",
        seed=wishes.seed,
        seed_off="A seed belongs to one model." if routed else _off_for(without_seed, cards, "no seed"),
        seed_note=f"Not sent to {_and(without_seed)}." if without_seed else "",
        groups=groups,
        opened=bool(wishes.negative or wishes.seed or wanting or wishes.options),
    )


def _off_for(without: Sequence[str], cards: Sequence[ModelCard], what: str) -> str:
    """Why a field takes nothing: every chosen model is `without`."""
    if not cards or len(without) < len(cards):
        return ""
    return f"{_and(without)} {'takes' if len(without) == 1 else 'take'} {what}."


def _and(labels: Iterable[str]) -> str:
    *others, last = dict.fromkeys(labels)
    return f"{', '.join(others)} and {last}" if others else last


def _groups(wishes: Wishes) -> Iterator[OptionGroup]:
    """The options of each chosen model; when it is delivered is asked once for all of them."""
    for name in wishes.providers:
        card = _model(quoting()[name], wishes)
        options = [each for each in card.options if each.name != DELIVERY] if card else []
        if card is not None and options:
            yield OptionGroup(
                card.label, tuple(_option_field(each, name, wishes.options) for each in options)
            )


def _delivery(wishes: Wishes) -> Delivery:
    cards = _cards_of(wishes)
    lacking = [card.label for card in cards if not any(each.name == DELIVERY for each in card.options)]
    off = ""
    if _routed(wishes):
        off = "One that is chosen among several makes it now."
    elif lacking:
        off = f"{_and(lacking)} {'is' if len(lacking) == 1 else 'are'} not sold for less by tomorrow."
    elif wishes.pictures.given:
        off = "With pictures it is made now."
    return Delivery(wishes.tomorrow and bool(cards) and not off, off)


def _option_field(option: Option, provider: str, given: Mapping[str, str]) -> OptionField:
    name = f"option-{provider}-{option.name}"
    usual = "" if option.default in (None, "") else _typed(option.default)
    choices = tuple((each, each) for each in option.choices)
    return OptionField(
        name=name,
        label=option.label,
        kind=option.kind,
        value=given.get(name, ""),
        usual=usual,
        choices=(("yes", "yes"), ("no", "no")) if option.kind == "boolean" else choices,
        least=option.minimum,
        most=option.maximum,
        required=option.required,
        help=option.help,
    )


def _options(wishes: Wishes, provider: str, card: ModelCard) -> dict[str, object]:
    """What was chosen of a model's options, in the kind of each; what a model allows is checked where the
    price is made."""
    found: dict[str, object] = {DELIVERY: BY_TOMORROW} if _delivery(wishes).tomorrow else {}
    for option in card.options:
        if option.name == DELIVERY:
            continue
        text = wishes.options.get(f"option-{provider}-{option.name}", "")
        if not text:
            continue
        try:
            match option.kind:
                case "integer":
                    found[option.name] = int(text)
                case "boolean":
                    found[option.name] = {"yes": True, "no": False}[text]
                case _:
                    found[option.name] = text
        except (ValueError, KeyError):
            kind = "a whole number" if option.kind == "integer" else "yes or no"
            raise BadInput(f"{option.label} is {kind}, not {text[:40]!r}", field=option.name) from None
    return found


def _seed(wishes: Wishes) -> int | None:
    if not wishes.seed:
        return None
    if not wishes.seed.isascii() or not wishes.seed.isdecimal() or len(wishes.seed) > 10:
        raise BadInput(f"a seed is a whole number of at most ten digits, not {wishes.seed!r}", field="seed")
    return int(wishes.seed)


def _asked_as(wishes: Wishes, chosen: Sequence[ProductRow], now: Now) -> Iterator[AskedAs]:
    """The size that each chosen model is asked for, and what its copies become."""
    sample = _sample(wishes, chosen, now) or "a product"
    for name in wishes.providers:
        card = _model(quoting()[name], wishes)
        if card is None:
            continue
        try:
            request = ImageRequest(
                card.id,
                sample if card.prompt_limit else "",
                wishes.shape,
                options=_options(wishes, name, card),
                inputs=tuple(each.picture() for each in wishes.pictures.given),
            )
            wanted = fitting(request, card)
            size = size_of(quoting()[name], wanted)
        except BadInput:
            continue  # said beside the button
        if wanted.shape == AS_INPUT:
            words = "the size of its picture"
        else:
            words = f"{size[0]} x {size[1]} px" if size else f"{wanted.shape}, in pixels of its own"
            if wanted.shape != wishes.shape:
                words += f", nearest to {wishes.shape}"
        yield AskedAs(name, card.label, words if card.prompt_limit else f"{words}, and no words")


def _shapes(wishes: Wishes) -> Iterator[Shape]:
    for shape in SHAPES:
        yield Shape(shape, shape == wishes.shape)


def _placeholders(product: ProductRow) -> list[str]:
    """What can be put into a prompt for this product, its own attributes first."""
    attributes = [f"attribute:{name}" for name in product.attributes]
    return ["name", *attributes[:8], *(each for each in prompts.FIELDS if each not in ("name", "sku"))]


def see(text: str, product: ProductRow, brand: str) -> Seen:
    """`text` with each placeholder filled for `product`, cut so that what was filled in can be marked."""
    facts = facts_of(product)
    pieces: list[Piece] = []
    at = 0
    for each in prompts.placeholders(text):
        begins = text.index(each.text, at)
        pieces.append(Piece(text[at:begins], "text"))
        alone = prompts.render(each.text, facts, brand)
        kind = "missing" if alone.missing else "fact" if alone.used else "default"
        pieces.append(Piece(alone.prompt, kind))
        at = begins + len(each.text)
    pieces.append(Piece(text[at:], "text"))
    whole = prompts.render(text, facts, brand)
    return Seen(
        tuple(each for each in pieces if each.text),
        len(whole.prompt.split()),
        whole.missing,
        tuple(prompts.problems(text)),
    )


def default_template(category_path: str, known: Sequence[TemplateRow]) -> TemplateRow | None:
    """The template of the nearest category at or above this one, else the general one."""
    by_category = {each.category_path: each for each in known if each.category_path}
    parts = category_path.split(" > ") if category_path else []
    for length in range(len(parts), 0, -1):
        if found := by_category.get(" > ".join(parts[:length])):
            return found
    return next((each for each in known if each.general), None)


def _refill(wishes: Wishes, known: Sequence[TemplateRow]) -> Wishes:
    """Another template was picked: the editor takes its text."""
    row = next((each for each in known if each.name == wishes.template), None)
    return replace(wishes, prompt=row.text, filled=row.name) if row else wishes


# -- the price ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offered:
    """What one provider's share of a form would cost, and what it would take from budgets."""

    provider: str
    images: int
    expected_micros: int | None
    ceiling_micros: int | None
    simulated: bool
    missing: tuple[Missing, ...]
    spending: tuple[Wish, ...]
    seconds: float  # one call's
    because: str = ""


def _chosen(wishes: Wishes) -> list[ProductRow]:
    return catalogue.by_id(wishes.product_ids)


def _asks(wishes: Wishes, chosen: Sequence[ProductRow], known: Sequence[TemplateRow]) -> Iterator[Ask]:
    """One ask per provider, or one of all of them where one is to be chosen."""
    if wishes.pictures.gone:
        raise BadInput(_GONE, field="inputs")
    own, fit, seed = wishes.prompt, None, _seed(wishes)
    pictures = wishes.pictures.given
    if own is not None:
        row = next((each for each in known if each.name == wishes.template), None)
        fit = row.shape_fit or None if row else None
        # Unchanged, it is the template's own wording, and the image remembers which.
        own = None if row is not None and row.text.strip() == own.strip() else own
    if wishes.how != EACH and len(wishes.providers) > 1:
        cards = [(name, _model(quoting()[name], wishes)) for name in wishes.providers]
        if any(card is None for _, card in cards):
            raise BadInput("one of these providers cannot be asked with these pictures", field="inputs")
        together = all(card is not None and wishes.images <= card.max_images for _, card in cards)
        yield Ask(
            products=chosen if together else [each for each in chosen for _ in range(wishes.images)],
            provider=wishes.providers[0],
            template=(wishes.template or None) if own is None else None,
            prompt=own,
            shape=wishes.shape,
            images=wishes.images if together else 1,
            # Whoever takes none would be passed over for it: the form says to whom it goes.
            negative_prompt=wishes.negative
            if all(card and card.takes_negative_prompt for _, card in cards)
            else "",
            inputs=pictures,
            shape_fit=fit if own is not None else None,
            route=Route(
                wishes.how,  # type: ignore[arg-type]  # one of HOWS, and not EACH
                tuple(Among(name, card.id if card else None) for name, card in cards),
            ),
        )
        return
    for name in wishes.providers:
        card = _model(quoting()[name], wishes)
        if card is None:
            label = quoting()[name].label
            raise BadInput(f"{label} {_cannot(name, wishes) or 'has no model to ask'}", field="inputs")
        wordless = not card.prompt_limit  # it would refuse words that it cannot follow
        # A model that makes fewer images per call than are wanted is called once for each.
        together = wishes.images <= card.max_images
        yield Ask(
            products=chosen if together else [each for each in chosen for _ in range(wishes.images)],
            provider=name,
            model=card.id,
            template=(wishes.template or None) if own is None and not wordless else None,
            prompt=None if wordless else own,
            shape=wishes.shape,
            images=wishes.images if together else 1,
            seed=seed if card.takes_seed else None,
            options=_options(wishes, name, card),
            negative_prompt=wishes.negative if card.takes_negative_prompt else "",
            inputs=pictures,
            shape_fit=fit if own is not None else None,
        )


def _offer(ask: Ask, actor: Actor) -> Offered:
    """From the same offer that asking makes."""
    offered = generate.offer(ask, actor)
    paths = {each.id: each.category_path for each in ask.products}
    first = offered.wanted[0].provider if ask.route and offered.wanted else ask.provider
    most = None if offered.ceiling_micros is None else max(offered.ceiling_micros, offered.most_micros or 0)
    return Offered(
        provider=first,
        images=sum(each.images for each in offered.wanted),
        expected_micros=offered.expected_micros,
        ceiling_micros=most,
        simulated=offered.simulated,
        missing=offered.missing,
        spending=tuple(
            Wish(
                each.id,
                each.ceiling_micros or 0,
                each.simulated,
                each.provider,
                paths[each.product_id],
                actor.name,
                None,
            )
            for each in offered.wanted
        ),
        seconds=_typical_s(ask, offered),
        because=_because(offered),
    )


def _name_of(ask: Ask) -> str:
    """What an ask is called among those of its form."""
    return ROUTED if ask.route else ask.provider


def _typical_s(ask: Ask, offered: generate.Offer) -> float:
    if not ask.route:
        return _card_of(ask).typical_s
    cards = (model_card(quoting()[each.provider], each.model) for each in offered.wanted[:1])
    return max((card.typical_s for card in cards if card is not None), default=0.0)


def _because(offered: generate.Offer) -> str:
    """Who of several is asked first and why, where it is the same for all."""
    if not offered.routes:
        return ""
    first = quoting()[offered.wanted[0].provider].label
    return f"{first} first, {offered.routes[0].because}."


def first_offer(ask: Ask, text: str, brand: str, actor: Actor, state: ProviderRow) -> Offered:
    """The offer of a page's first form, one call for one product, from what the page has read already."""
    (product,) = ask.products
    rendered = prompts.render(text, facts_of(product), brand)
    card = _card_of(ask)
    wanted = fitting(ImageRequest(card.id, rendered.prompt, ask.shape, ask.images), card)
    quoted = prices.quote(quoting()[ask.provider], wanted, state.price_edition)
    gaps = (Missing(product.sku, rendered.missing),) if rendered.missing else ()
    spends = Wish(
        uuid4(), quoted.ceiling or 0, state.simulated, ask.provider, product.category_path, actor.name, None
    )
    return Offered(
        provider=ask.provider,
        images=0 if gaps else ask.images,
        expected_micros=quoted.expected,
        ceiling_micros=quoted.ceiling,
        simulated=state.simulated,
        missing=gaps,
        spending=() if gaps else (spends,),
        seconds=card.typical_s,
    )


def _card_of(ask: Ask) -> ModelCard:
    card = model_card(quoting()[ask.provider], ask.model or "")
    assert card is not None, "an ask of this page names a model of its provider"
    return card


def price(
    wishes: Wishes, chosen: Sequence[ProductRow], actor: Actor, now: "Now", *, first: bool = False
) -> Price:
    """What `wishes` would cost now; `first`, from what was read already."""
    offers: list[Offered] = []
    problem = "" if wishes.providers else "Choose a provider."
    able = {each.name: each for each in now.states if not _off(each)}
    try:
        for ask in _asks(wishes, chosen, now.templates):
            if not ask.route and ask.provider not in able:
                raise BadInput("this provider cannot be asked now; choose another", field="provider")
            offers.append(
                first_offer(ask, wishes.prompt or "", now.brand, actor, able[ask.provider])
                if first
                else _offer(ask, actor)
            )
    except BadInput as trouble:
        problem = _sentence(trouble)
    missing = {gap.sku: gap for each in offers for gap in each.missing}
    spending = [wish for each in offers for wish in each.spending]
    room = ledger.room_for(spending, now.budgets) if spending else None
    if room and room.refusal and not room.fits and "no spending limit" in room.refusal:
        problem = _sentence(BadInput(room.refusal))
    images = sum(each.images for each in offers)
    expected, ceiling = (
        _sum(each.expected_micros for each in offers),
        _sum(each.ceiling_micros for each in offers),
    )
    asks_now = not problem and not missing
    return Price(
        images=images,
        total=_amount(expected, images) if asks_now else "",
        note=_note(expected, ceiling, images) if asks_now else "",
        seconds=max((_seconds(each, able[each.provider]) for each in offers), default=None),
        left=_left(spending, now.budgets) if asks_now else "",
        because=next((each.because for each in offers if each.because), "") if asks_now else "",
        short=_short(room.fits, room.asked) if room and room.fits < room.asked else "",
        problem=problem,
        missing=tuple(missing.values())[:3],
        missing_count=len(missing),
        products=len(chosen),
        simulated=bool(offers) and all(each.simulated for each in offers) and expected != 0,
        agreed={
            ROUTED if each.because else each.provider: each.expected_micros
            for each in offers
            if each.expected_micros is not None
        },
    )


def _sum(amounts: Iterable[int | None]) -> int | None:
    """The sum, or None when one of them is unknown."""
    known = list(amounts)
    return None if None in known else sum(each for each in known if each is not None)


def _seconds(offered: Offered, state: ProviderRow) -> float:
    """About how long it takes: one call's median, as often as calls do not fit beside each other."""
    one = state.p50_s if state.p50_s is not None else offered.seconds
    calls = state.pending + max(len(offered.spending), 1)
    return one * -(-calls // max(state.max_in_flight, 1))


def _amount(micros: int | None, images: int) -> str:
    if micros is None:
        return "price unknown"
    if micros == 0:
        return "free"
    value = dollars(micros)
    return price_words(value) if images == 1 or value < 1 else money(value)


def _short(fits: int, asked: int) -> str:
    """That not all of it can begin now."""
    if asked == 1:
        return "It does not fit the budget now, and waits."
    if not fits:
        return f"None of the {count(asked)} fits the budget now; they wait."
    return f"{count(fits)} of {count(asked)} {'fits' if fits == 1 else 'fit'} the budget now; the rest waits."


def _note(expected: int | None, ceiling: int | None, images: int) -> str:
    if expected is None or ceiling is None:
        return "Nobody knows the price of this model: enter one before it is asked."
    return f"At most {_amount(ceiling, images)}." if ceiling > expected else ""


def _left(spending: Sequence[Wish], live: Sequence[BudgetState]) -> str:
    """What is left of the tightest budget that all of it counts against."""
    applying = [
        budget
        for budget in live
        if all(
            budget.simulated == wish.simulated
            and budget.covers(
                provider=wish.provider,
                category_path=wish.category_path,
                person_name=wish.person_name,
                run_id=None,
            )
            for wish in spending
        )
    ]
    if not any(wish.amount_micros for wish in spending) or not applying:
        return ""
    tightest = min(applying, key=lambda budget: budget.left_micros)
    return f"{money(dollars(tightest.left_micros))} left {_period(tightest)}"


def _period(budget: BudgetState) -> str:
    return {
        "day": "in today’s budget",
        "week": "in this week’s budget",
        "month": "in this month’s budget",
    }.get(budget.period, "in the budget")


def _sentence(problem: Exception) -> str:
    words = str(problem)
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")
