"""A person's own photos, brought to a product's page: by the button, dropped on it, several at once."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from packshot.flows import photos
from packshot.flows.photos import Added
from packshot.imaging.header import MAX_BYTES
from packshot.kernel.errors import BadInput
from packshot.web.answers import Link, Toast, Tone, answer, refuse
from packshot.web.pages.product import news as news_of
from packshot.web.security import actor_of, needs
from packshot.web.uploads import was_cut
from packshot.web.words import many

_MB = 2**20


@needs("generate")
def add(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """Each file that is a photo becomes an image; what is none is refused by name, and hinders no other."""
    then = request.POST.get("then") or reverse("products")
    if request.method != "POST":
        return redirect("products")
    if was_cut(request):
        most = f"{MAX_BYTES // _MB} MB each and {settings.UPLOAD_BYTES // _MB} MB together"
        return refuse(request, f"Photos may have {most}. Nothing was added", then=then)
    files = request.FILES.getlist("photos")
    if not files:
        return refuse(request, "Choose a photo first", then=then)
    if len(files) > photos.MOST_AT_ONCE:  # counted before one of them is decoded
        return refuse(request, f"Bring up to {photos.MOST_AT_ONCE} photos at once", then=then)
    actor, added, problems = actor_of(request), list[Added](), list[str]()
    for file in files:
        try:
            added.append(photos.add(product_id, file.read(MAX_BYTES + 1), file.name or "", actor))
        except BadInput as problem:
            words = str(problem)
            # A file's name stands as it is; what is wrong for all of them is said once, as a sentence.
            problems.append(words if problem.field == "photos" else words[:1].upper() + words[1:])
    found = news_of(product_id, {each.image_id for each in added}) if added else None
    parts = [("live/product.html", {"data": found, "may": actor.may})] if found else []
    return answer(request, _said(added, problems, then), parts, then=then)


def _said(added: list[Added], problems: list[str], then: str) -> Toast:
    fresh = sum(each.new for each in added)
    known = len(added) - fresh
    words = []
    if fresh:
        words.append(f"{many(fresh, 'photo')} added" if fresh > 1 else "Photo added")
    if known:
        words.append(
            "This photo is here already" if known == 1 else f"{many(known, 'photo')} are here already"
        )
    words += [each.rstrip(".") for each in dict.fromkeys(problems)]
    link = None
    if len(added) == 1:
        path, _, query = then.partition("?")
        query = "&".join(each for each in query.split("&") if each and not each.startswith("image="))
        shown = f"image={added[0].image_id}"
        link = Link(f"{path}?{query}&{shown}" if query else f"{path}?{shown}", "Show")
    tone: Tone = "ok" if fresh and not problems else "warn" if added else "bad"
    return Toast(". ".join(words), tone=tone, link=link)
