"""A link for a colleague: one image that is not public, for whoever has the address, until it ends."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from packshot.flows import delivery
from packshot.kernel.errors import BadInput
from packshot.web.answers import Link, Toast, answer, refuse
from packshot.web.security import actor_of, needs

# How long a link may hold, by what the form sends: seconds, and the words.
HOLDS: Mapping[str, tuple[int, str]] = {
    "hour": (3600, "1 hour"),
    "day": (24 * 3600, "1 day"),
    "week": (7 * 24 * 3600, "7 days"),
}


@needs("review")
def link(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """Make the link and show it. Nothing is stored: the address holds its own end and our seal."""
    if request.method != "POST":
        return redirect("products")
    then = request.POST.get("then") or reverse("products")
    seconds, words = HOLDS.get(request.POST.get("for", ""), HOLDS["day"])
    try:
        width_px = delivery.rules().width(None)
        path = delivery.link(image_id, "webp", width_px, actor_of(request), for_s=seconds)
    except BadInput as problem:
        return refuse(request, problem, then=then)
    address = settings.SITE_URL + path
    shown = {
        "image_id": image_id,
        "address": address,
        "until": datetime.now(UTC) + timedelta(seconds=seconds),
    }
    if "HX-Request" in request.headers:
        return answer(request, None, [("live/link.html", shown)], then=then)
    # Without our script the message holds it: open it, and its address can be copied.
    return answer(
        request, Toast(f"The link holds for {words}", link=Link(address, "Open the link")), then=then
    )
