"""Review: one image after the other, approved or rejected by a key; many at once; and what is found wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.accounts import Actor
from packshot.events import Happening
from packshot.flows import review as flow
from packshot.kernel.errors import BadInput
from packshot.quality.reviews import Decision, Turned
from packshot.reports import reviewing
from packshot.reports.reviewing import Candidate, Shelf
from packshot.web import live, words
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.controls import Tab
from packshot.web.live import Topic
from packshot.web.pages import products
from packshot.web.security import actor_of, needs

NEXT_SHOWN = 12  # beside the one that is decided about
TILES = 48
REASON_DAYS = 30
SHELVES = {"": "Waiting", "approved": "Approved", "rejected": "Rejected"}
VIEWS = ("one", "grid")


@dataclass(frozen=True, slots=True)
class Desk:
    """The image that is decided about and those that follow it."""

    current: Candidate | None
    following: tuple[Candidate, ...]
    left: str  # how many wait, in words
    own: bool  # the person asked for it themselves, and somebody else has to decide
    here: str
    product_url: str


@needs("read")
@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """The page: the newest undecided image at large, or the tiles of a shelf."""
    shelf, view = _shelf_of(request.GET), _view_of(request.GET)
    stream = live.address("reviewed")
    actor = actor_of(request)
    after, wanted = products.id_of(request.GET.get("after")), products.id_of(request.GET.get("image"))
    counts = {each: reviewing.count(Shelf(each, shelf.provider, shelf.text)) for each in SHELVES}
    context: dict[str, object] = {
        "stream": stream,
        "may": actor.may,
        "shelf": shelf,
        "view": view,
        "here": request.get_full_path(),
        "reasons": flow.REASONS,
        "shelves": [
            Tab(
                label,
                _address(Shelf(decision, shelf.provider, shelf.text), "grid" if decision else view),
                counts[decision],
                current=decision == shelf.decision,
                more=counts[decision] >= reviewing.COUNTED_AT_MOST,
            )
            for decision, label in SHELVES.items()
        ],
        "views": [
            Tab(
                "One by one",
                _address(Shelf("", shelf.provider, shelf.text), "one"),
                current=view == "one",
                icon="image",
            ),
            Tab("Tiles", _address(shelf, "grid"), current=view == "grid", icon="layout-grid"),
        ],
    }
    if view == "one":
        context["desk"] = _desk(shelf, actor, counts[""], after=after, wanted=wanted)
        return render(request, "pages/review.html", context)
    found = reviewing.candidates(shelf, limit=TILES + 1, after=after)
    context |= {
        "tiles": found[:TILES],
        "total": counts[shelf.decision],
        "more": counts[shelf.decision] >= reviewing.COUNTED_AT_MOST,
        "next": _address(shelf, "grid", after=found[TILES - 1].image_id) if len(found) > TILES else "",
    }
    return render(request, "pages/review.html", context)


@needs("read")
@require_safe
def reasons(request: HttpRequest) -> HttpResponse:
    """What was found wrong and how much was approved, by template and provider."""
    approvals, found = reviewing.approvals(REASON_DAYS), reviewing.reasons(REASON_DAYS)
    most = max((each.count for each in found), default=1)
    return render(
        request,
        "pages/review_reasons.html",
        {"approvals": approvals, "found": found, "most": most, "days": REASON_DAYS},
    )


@needs("review")
def decide(request: HttpRequest) -> HttpResponse:
    """Approve or reject: the image at large, the ticked ones, or all of a shelf; or take it back."""
    if request.method != "POST":
        return redirect("review")
    then = request.POST.get("then") or reverse("review")
    decision = request.POST.get("decision", "")
    actor = actor_of(request)
    try:
        ids = _chosen(request.POST)
        if decision == "undecided":
            turned: Sequence[Turned] = flow.withdraw(ids, actor)
            toast = Toast(f"{words.many(len(turned), 'image')} to be decided again")
        elif decision in ("approved", "rejected"):
            word: Decision = "approved" if decision == "approved" else "rejected"
            reason = request.POST.get("reason", "") or request.POST.get("other", "")
            done = flow.decide(ids, word, reason if word == "rejected" else "", actor)
            turned = done.turned
            told = (
                f"{words.many(len(turned), 'image')} {word}"
                if turned or not done.own
                else "Nothing was decided"
            )
            left = f", {words.count(done.own)} left to somebody else" if done.own else ""
            undo = Undo(
                reverse("review_decide"),
                {
                    "decision": "undecided",
                    "images": ",".join(str(each.image_id) for each in turned),
                    "shows": request.POST.get("shows", ""),
                },
            )
            toast = Toast(
                told + left, undo=undo if turned and all(each.before is None for each in turned) else None
            )
        else:
            raise BadInput("choose to approve or to reject", field="decision")
    except BadInput as problem:
        return refuse(request, problem, then=then)
    return answer(request, toast, _parts(request, ids, turned, actor), then=then)


def _parts(
    request: HttpRequest, ids: Sequence[UUID], turned: Sequence[Turned], actor: Actor
) -> Sequence[tuple[str, Mapping[str, object]]]:
    """What the page that asked shows of it: the next image, or tiles that are gone."""
    if request.POST.get("shows") == "one":
        shelf = _shelf_of(request.POST)
        taken_back = ids[0] if request.POST.get("decision") == "undecided" else None
        left = reviewing.count(Shelf("", shelf.provider, shelf.text))
        desk = _desk(shelf, actor, left, after=None if taken_back else ids[-1], wanted=taken_back)
        return [
            (
                "live/review_desk.html",
                {"desk": desk, "may": actor.may, "reasons": flow.REASONS, "shelf": shelf},
            )
        ]
    if request.POST.get("shows") == "grid":
        return [("live/review_gone.html", {"ids": [each.image_id for each in turned]})]
    return []


def _desk(
    shelf: Shelf, actor: Actor, left: int, *, after: UUID | None = None, wanted: UUID | None = None
) -> Desk:
    found = reviewing.candidates(shelf, limit=NEXT_SHOWN + 1, after=after)
    if not found and after:  # at the end: those that were passed over come again
        found = reviewing.candidates(shelf, limit=NEXT_SHOWN + 1)
    if wanted and (chosen := reviewing.candidate(wanted)):
        found = [chosen, *(each for each in found if each.image_id != wanted)][: NEXT_SHOWN + 1]
    current = found[0] if found else None
    return Desk(
        current,
        tuple(found[1:]),
        _many(left),
        bool(current and flow.is_own(current.asked_by_id, actor)),
        _address(shelf, "one"),
        products.product_url(current.sku, current.product_id) if current else "",
    )


def _chosen(given: QueryDict) -> list[UUID]:
    if given.get("all") == "1":
        ids = reviewing.ids(_shelf_of(given), limit=flow.MOST_AT_ONCE + 1)
    else:
        listed = given.get("images", "").split(",") if given.get("images") else given.getlist("image")
        ids = [each for each in map(products.id_of, listed) if each is not None]
    if not ids:
        raise BadInput("no image was chosen; tick some", field="image")
    return ids


def _shelf_of(given: QueryDict) -> Shelf:
    decision = given.get("shelf", "")
    return Shelf(
        decision if decision in SHELVES else "",
        given.get("provider", "")[:32],
        given.get("q", "").replace("\0", "").strip()[:200],
    )


def _view_of(given: QueryDict) -> str:
    view = given.get("view", "")
    return "grid" if given.get("shelf") in ("approved", "rejected") or view == "grid" else VIEWS[0]


def _address(shelf: Shelf, view: str, **more: object) -> str:
    given = {"shelf": shelf.decision, "provider": shelf.provider, "q": shelf.text, **more}
    given["view"] = view if view != VIEWS[0] and not shelf.decision else ""
    query = urlencode({name: str(value) for name, value in given.items() if value})
    return reverse("review") + (f"?{query}" if query else "")


def _many(number: int) -> str:
    return f"{words.count(number)}{'+' if number >= reviewing.COUNTED_AT_MOST else ''}"


# -- what the stream shows ---------------------------------------------------------------------------

_TOUCHING = {"ready", "approved", "rejected", "undecided"}


def _reviewed(happenings: Sequence[Happening]) -> str | None:
    """That there is more or less to decide: the tabs ask for their counts."""
    touched = any(each.topic == "image" and each.kind in _TOUCHING for each in happenings)
    return "changed" if touched else None


live.offer(Topic("reviewed", "read", "", _reviewed, every_s=2.0, event="reviewed"))
