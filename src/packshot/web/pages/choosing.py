"""Choosing what shoppers see, from a list or from a product's page, and taking it back."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from packshot.catalogue import Activation, finding
from packshot.flows import publish
from packshot.kernel.errors import BadInput
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.pages import products
from packshot.web.pages.product import news as news_of
from packshot.web.security import actor_of, needs
from packshot.web.words import count, many

_SALT = "packshot.undo.activation"
_WITHIN_S = 24 * 3600


@needs("publish")
def activate(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """Make one image its product's active one, with the way back."""
    if request.method != "POST":
        return redirect("products")
    try:
        done = publish.activate(image_id, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=_then(request))
    if done.before == done.after:
        return answer(request, Toast("Image is active already"), then=_then(request))
    return _answer(request, "Image set active", [done])


@needs("publish")
def activate_newest(request: HttpRequest) -> HttpResponse:
    """Make the newest image of each chosen product its active one."""
    if request.method != "POST":
        return redirect("products")
    try:
        ids = products.chosen_ids(request.POST, limit=publish.MOST_AT_ONCE)
        done = publish.activate_newest(ids, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=_then(request))
    if not done:
        return answer(request, Toast("No newer image to set active", tone="warn"), then=_then(request))
    left = len(ids) - len(done)
    words = f"{many(len(done), 'image')} set active"
    return _answer(request, f"{words}, {count(left)} left as they were" if left else words, done)


@needs("publish")
def restore(request: HttpRequest) -> HttpResponse:
    """Undo: what was chosen is taken back, but for what somebody has changed since."""
    if request.method != "POST":
        return redirect("products")
    try:
        undone = _undone(request.POST.get("undo", ""))
        restored = publish.restore(undone, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=_then(request))
    changed = restored.changed_meanwhile
    if not restored.restored:
        toast = Toast("Another image was set active since. Nothing was changed", tone="warn")
    elif changed:
        toast = Toast(
            f"{many(restored.restored, 'choice')} taken back, "
            f"{count(changed)} set anew since and left as they are",
            tone="warn",
        )
    elif len(undone) > 1:
        toast = Toast(f"{many(len(undone), 'choice')} taken back")
    else:
        toast = Toast("Image restored" if undone[0].before else "Taken back: no image is active now")
    return answer(request, toast, _parts(request, undone), then=_then(request))


def _answer(request: HttpRequest, words: str, done: Sequence[Activation]) -> HttpResponse:
    return answer(
        request,
        Toast(words, undo=_undo(done, shows=request.POST.get("shows", ""))),
        _parts(request, done),
        then=_then(request),
    )


def _parts(request: HttpRequest, done: Sequence[Activation]) -> Collection[tuple[str, Mapping[str, object]]]:
    """What the page that asked shows of it. The stream brings the same to every other."""
    may = actor_of(request).may
    costs = may("read_costs")
    shows = request.POST.get("shows")
    if shows == "product":
        images = {image for each in done for image in (each.before, each.after) if image}
        news = news_of(done[0].product_id, images)
        return [("live/product.html", {"data": news, "costs": costs, "may": may})]
    if shows in products.VIEWS:
        ids = [each.product_id for each in done[: products.SHOWN_AT_ONCE]]
        tiles = [products.tile(each) for each in finding.by_ids(ids)]
        return [(f"live/product_{shows}.html", {"data": tiles, "costs": costs, "may": may})]
    return []


def _then(request: HttpRequest) -> str:
    """The page of ours that the form was on."""
    return request.POST.get("then") or reverse("products")


def _undo(done: Sequence[Activation], *, shows: str) -> Undo:
    # Signed, and so as good as kept here: which image each product had, and which it was given.
    changes = [
        [
            str(each.product_id),
            each.sku,
            str(each.before) if each.before else None,
            str(each.after),
            each.was_placeholder,
        ]
        for each in done
    ]
    token = signing.dumps(changes, salt=_SALT, compress=True)
    return Undo(reverse("restore"), {"undo": token, "shows": shows})


def _undone(token: str) -> list[Activation]:
    try:
        changes = signing.loads(token, salt=_SALT, max_age=_WITHIN_S)
    except signing.BadSignature:
        raise BadInput("this can no longer be taken back; choose the image again") from None
    return [
        Activation(UUID(product_id), sku, UUID(before) if before else None, UUID(after), was_placeholder)
        for product_id, sku, before, after, was_placeholder in changes
    ]
