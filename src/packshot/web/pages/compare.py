"""Images of one product beside each other, up to four, as large as the window allows, with one zoom for all
of them, and what differs in how they came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.kernel.differences import word_by_word
from packshot.reports import comparing
from packshot.reports import products as reads
from packshot.reports import voting as rounds
from packshot.reports.comparing import Compared
from packshot.web import words
from packshot.web.controls import Tab
from packshot.web.jinja import model_name, provider_name
from packshot.web.pages import products, voting
from packshot.web.security import actor_of, needs

LETTERS = "ABCD"
MOST = len(LETTERS)
FRAMES_SHOWN = 60
# How they stand: by name, with the icon, the key and how many of them are shown.
VIEWS: Mapping[str, tuple[str, str, str, int]] = {
    "1": ("1", "square", "1", 1),
    "2": ("2", "columns-2", "2", 2),
    "4": ("4", "grid-2x2", "4", 4),
    "swipe": ("Swipe", "arrow-left-right", "w", 2),
    "blink": ("Blink", "blend", "b", 2),
}


@dataclass(frozen=True, slots=True)
class Pane:
    """An image with its letter."""

    letter: str
    image: Compared


@dataclass(frozen=True, slots=True)
class Frame:
    """An image of the strip: where a click on it leads, and its letter when it is shown."""

    image: Compared
    url: str
    letter: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of a prompt, and whether the first image's prompt has them too."""

    text: str
    other: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is compared: a value for each image, in words."""

    label: str
    values: tuple[str, ...]
    pieces: tuple[tuple[Piece, ...], ...] = ()  # of prompts, instead


@needs("read")
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """The page. The address names the product, the images in their order, and how they stand."""
    product_id = products.id_of(request.GET.get("product"))
    product = reads.product_by_id(product_id) if product_id else None
    if product is None:
        raise Http404
    actor = actor_of(request)
    may = actor.may
    found = comparing.compared(product.id, limit=FRAMES_SHOWN)
    view = request.GET.get("view", "")
    view = view if view in VIEWS else "2"
    wanted = [products.id_of(each) for each in request.GET.getlist("image")[:MOST]]
    chosen = _chosen(found, wanted, VIEWS[view][3])
    panes = [Pane(letter, image) for letter, image in zip(LETTERS, chosen, strict=False)]
    rows = _rows([pane.image for pane in panes], costs=may("read_costs"))
    here = _address(product.id, [pane.image.image_id for pane in panes], view)
    round_id = products.id_of(request.GET.get("round"))
    said = rounds.answer(round_id, actor.id) if round_id and actor.id else None
    return render(
        request,
        "pages/compare.html",
        {
            "may": may,
            "product": product,
            "product_url": products.product_url(product.sku, product.id),
            "list_url": reverse("products"),
            "panes": panes,
            "view": view,
            "views": [
                (
                    Tab(
                        label,
                        _address(product.id, [pane.image.image_id for pane in panes], name),
                        current=name == view,
                        icon=icon,
                    ),
                    key,
                )
                for name, (label, icon, key, _) in VIEWS.items()
            ],
            "frames": [_frame(product.id, image, panes, view) for image in found],
            "differing": [row for row in rows if _differs(row)],
            "same": [row for row in rows if not _differs(row)],
            "here": here,
            "blind_url": voting.address(product.id, view),
            "next_url": voting.next_address(product.id, view),
            "round": round_id,
            "said": said and voting.words_of(said, [pane.image.image_id for pane in panes]),
            "counts": said is not None and said.blind,
        },
    )


def _chosen(found: Sequence[Compared], wanted: Sequence[UUID | None], number: int) -> list[Compared]:
    """The images asked for, filled up to `number` with the active one and the newest of each provider that is
    not among them yet, so that different ones stand beside each other."""
    by_id = {each.image_id: each for each in found}
    chosen = [by_id[each] for each in dict.fromkeys(wanted) if each is not None and each in by_id][:number]
    rest = [each for each in found if each not in chosen]
    rest.sort(key=lambda each: not each.active)
    for fresh in (True, False):
        for each in rest:
            if len(chosen) < number and each not in chosen:
                known = {other.provider for other in chosen}
                if not fresh or each.active or each.provider not in known:
                    chosen.append(each)
    return chosen


def _frame(product_id: UUID, image: Compared, panes: Sequence[Pane], view: str) -> Frame:
    """A click shows the image in the last place, or takes it away when it is shown."""
    shown = [pane.image.image_id for pane in panes]
    letter = next((pane.letter for pane in panes if pane.image.image_id == image.image_id), "")
    if letter:
        ids = [each for each in shown if each != image.image_id] + [image.image_id]
    else:
        ids = [*shown[: VIEWS[view][3] - 1], image.image_id]
    return Frame(image, _address(product_id, ids, view), letter)


def _address(product_id: UUID, image_ids: Sequence[UUID], view: str) -> str:
    query = [("product", str(product_id)), *(("image", str(each)) for each in image_ids), ("view", view)]
    return f"{reverse('compare')}?{urlencode(query)}"


# -- what differs ------------------------------------------------------------------------------------


def _rows(images: Sequence[Compared], *, costs: bool) -> list[Row]:
    """Everything that is known of how they came about, a value for each."""
    if not images:
        return []
    options = sorted({name for image in images for name in image.options})
    values: list[tuple[str, list[str]]] = [
        ("Provider", [provider_name(image.provider) for image in images]),
        ("Model", [model_name(image.model, image.provider) for image in images]),
        ("Template", [image.template or "none" for image in images]),
        ("Seed", ["–" if image.seed is None else str(image.seed) for image in images]),
        *(
            (name.replace("_", " ").capitalize(), [str(image.options.get(name, "–")) for image in images])
            for name in options
        ),
        ("Shape", [image.shape or "–" for image in images]),
        ("Size", [f"{image.width_px} × {image.height_px}" for image in images]),
    ]
    if costs:
        values.append(("Cost", [_cost(image) for image in images]))
    values += [
        ("Took", ["–" if image.seconds is None else words.duration(image.seconds) for image in images]),
        ("Score", ["–" if image.score is None else f"{image.score:.0f}" for image in images]),
        ("Review", [image.review.capitalize() or "Not decided" for image in images]),
        ("Asked by", [image.asked_by_name or "–" for image in images]),
    ]
    prompt = Row(
        "Prompt",
        tuple(image.prompt for image in images),
        tuple(_pieces(images[0].prompt, image.prompt) for image in images),
    )
    return [
        *(Row(label, tuple(each)) for label, each in values[:3]),
        prompt,
        *(Row(label, tuple(each)) for label, each in values[3:]),
    ]


def _differs(row: Row) -> bool:
    return len(set(row.values)) > 1


def _cost(image: Compared) -> str:
    if image.cost is None:
        return "unknown"
    return words.price(image.cost) if image.cost else "free"


def _pieces(first: str, prompt: str) -> tuple[Piece, ...]:
    """`prompt` word by word, those that the first one has not in the same place marked."""
    return tuple(
        Piece(each.text, each.kind == "added")
        for each in word_by_word(first, prompt)
        if each.kind != "removed"
    )
