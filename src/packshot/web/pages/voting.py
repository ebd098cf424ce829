"""Comparing blind: images of a product beside each other without a word of who made them, until somebody has
said which is best. What tells a provider is not hidden on this page: it is not sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.flows import vote as flow
from packshot.flows.vote import Voted
from packshot.kernel.errors import BadInput
from packshot.reports import products as reads
from packshot.reports.voting import Answer
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.controls import Tab
from packshot.web.pages import products
from packshot.web.security import actor_of, needs

LETTERS = "ABCD"
# How many stand beside each other, with the icon and the key: those of Compare.
VIEWS: Mapping[str, tuple[str, str]] = {"2": ("columns-2", "Two images"), "4": ("grid-2x2", "Four images")}


@dataclass(frozen=True, slots=True)
class Pane:
    """An image and its letter, and nothing else of it."""

    letter: str
    blob: str


@needs("review")
@require_safe
def blind(request: HttpRequest) -> HttpResponse:
    """The round of a product, or that nothing of it is left to vote on."""
    product_id = products.id_of(request.GET.get("product"))
    product = reads.product_by_id(product_id) if product_id else None
    if product is None:
        raise Http404
    view = _view(request.GET.get("view"))
    shown = flow.round_of(product.id, actor_of(request), size=int(view))
    return render(
        request,
        "pages/blind.html",
        {
            "product": product,
            "product_url": products.product_url(product.sku, product.id),
            "list_url": reverse("products"),
            "round": shown.id if shown else None,
            "panes": [
                Pane(letter, each.stage_blob or each.thumb_blob or "")
                for letter, each in zip(LETTERS, shown.images if shown else (), strict=False)
            ],
            "view": view,
            "views": [
                (Tab(label, address(product.id, name), current=name == view, icon=icon), name)
                for name, (icon, label) in VIEWS.items()
            ],
            "open_url": f"{reverse('compare')}?{urlencode({'product': product.id, 'view': view})}",
            "next_url": next_address(product.id, view),
        },
    )


@needs("review")
def vote(request: HttpRequest) -> HttpResponse:
    """Say which image of a round is best, or that none is; then show who made them."""
    product_id, round_id = (products.id_of(request.POST.get(name)) for name in ("product", "round"))
    if request.method != "POST" or product_id is None or round_id is None:
        return redirect("products")
    view, said = _view(request.POST.get("view")), request.POST.get("best", "")
    try:
        if said in ("equal", "neither"):
            done = flow.vote(
                product_id,
                round_id,
                actor_of(request),
                size=int(view),
                best=None,
                verdict="equal" if said == "equal" else "neither",
            )
        elif len(said) == 1 and said in LETTERS:
            done = flow.vote(
                product_id, round_id, actor_of(request), size=int(view), best=LETTERS.index(said)
            )
        else:
            raise BadInput(
                "choose one of the images, that they are equal, or that none is good", field="best"
            )
    except BadInput as problem:
        return refuse(request, problem, then=address(product_id, view))
    return answer(request, _toast(done, view), then=_revealed(done, view))


@needs("review")
def undo(request: HttpRequest) -> HttpResponse:
    """Take a round's votes back; it can be answered again."""
    product_id, round_id = (products.id_of(request.POST.get(name)) for name in ("product", "round"))
    if request.method != "POST" or product_id is None or round_id is None:
        return redirect("products")
    flow.take_back(round_id, actor_of(request))
    again = address(product_id, _view(request.POST.get("view")))
    return answer(request, Toast("Vote taken back"), [("live/vote_gone.html", {"again": again})], then=again)


@needs("review")
@require_safe
def following(request: HttpRequest) -> HttpResponse:
    """To the next product that has something to vote on; after a long look without one, a word of that."""
    view = _view(request.GET.get("view"))
    found = flow.next_product(actor_of(request), after=products.id_of(request.GET.get("after")))
    if found.product_id is not None:
        return redirect(address(found.product_id, view))
    on = next_address(found.looked_until, view) if found.looked_until else ""
    return render(request, "pages/blind_none.html", {"on": on})


def address(product_id: UUID, view: str) -> str:
    """Where a product is compared blind."""
    return f"{reverse('blind')}?{urlencode({'product': product_id, 'view': _view(view)})}"


def next_address(after: UUID, view: str) -> str:
    """Where the product after this one is."""
    return f"{reverse('blind_next')}?{urlencode({'after': after, 'view': _view(view)})}"


def words_of(said: Answer, image_ids: Sequence[UUID]) -> str:
    """What was answered, with the letter under which the best image stands now."""
    if said.image_id is None:
        return "You found them equal" if said.verdict == "equal" else "You found none good"
    at = image_ids.index(said.image_id) if said.image_id in image_ids else None
    return "You found another best" if at is None else f"You found {LETTERS[at]} best"


def _view(given: str | None) -> str:
    return given if given is not None and given in VIEWS else "2"


def _revealed(done: Voted, view: str) -> str:
    images = [("image", str(each.image_id)) for each in done.round.images]
    query = [("product", str(done.round.product_id)), *images, ("view", view), ("round", str(done.round.id))]
    return f"{reverse('compare')}?{urlencode(query)}"


def _toast(done: Voted, view: str) -> Toast:
    values = {"product": str(done.round.product_id), "round": str(done.round.id), "view": view}
    said = {"equal": "All equal", "neither": "None good"}.get(done.verdict)
    return Toast(said or f"{LETTERS[done.best or 0]} is best", undo=Undo(reverse("blind_undo"), values))
