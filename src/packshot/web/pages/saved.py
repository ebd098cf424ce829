"""Saved views of the Queue: keep the filter that stands, open one first, forget one."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from packshot import preferences
from packshot.kernel.errors import BadInput
from packshot.web.answers import Toast, answer, refuse
from packshot.web.asked import asked_of
from packshot.web.security import actor_of, needs

PLACE = "queue"


@needs("read")
def save(request: HttpRequest) -> HttpResponse:
    """Keep the filter and order of the form under a name, for oneself or, by an administrator, for all."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    actor, given = actor_of(request), request.POST
    asked = asked_of(given.dict(), actor)
    shared = given.get("shared") == "1" and actor.may("manage_settings")
    try:
        view_id = preferences.save_view(
            PLACE,
            given.get("name", ""),
            asked.query,
            owner_id=None if shared else actor.id,
            by_name=actor.name,
            opens=given.get("opens") == "1",
        )
    except BadInput as problem:
        return refuse(request, problem, then=asked.url())
    # The view's own address, by a whole load: its name stands in menu and title from then on.
    there = f"{reverse('queue')}?view={view_id}"
    done = answer(request, Toast("View saved"), then=there)
    if "HX-Request" in request.headers:
        done["HX-Redirect"] = there
    return done


@needs("read")
def change(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Open it first, open it first no more, or forget it. A shared one is an administrator's to change."""
    then = reverse("queue") + "?view=none"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    actor, what = actor_of(request), request.POST.get("what")
    shared = request.POST.get("shared") == "1"
    if shared and not actor.may("manage_settings"):
        return refuse(request, "An administrator changes the views of everybody", then=then)
    owner_id = None if shared else actor.id
    if what == "remove":
        name = preferences.remove_view(view_id, owner_id=owner_id)
        said = f"View {name} deleted" if name else ""
    else:
        on = what == "open"
        known = preferences.open_first(view_id, owner_id=owner_id, on=on)
        said = ("The Queue opens with it" if on else "The Queue opens with everything") if known else ""
    if not said:
        return refuse(request, "There is no such view of yours", then=then)
    done = answer(request, Toast(said), then=then)
    if "HX-Request" in request.headers:
        done["HX-Redirect"] = then
    return done
