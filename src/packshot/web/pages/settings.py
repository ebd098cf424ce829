"""Settings: one's own desk, the people, whether money is spent, the site, and what it all runs on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from packshot import generations, ledger, preferences, reports
from packshot.accounts import allows
from packshot.accounts.models import Role, User
from packshot.flows import administer, spending
from packshot.flows.administer import UnusableSettings
from packshot.flows.desk import uses_simulator
from packshot.generations.models import Attempt
from packshot.kernel.errors import BadInput
from packshot.kernel.money import dollars
from packshot.ledger import BudgetState
from packshot.reports.site import site_facts
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.controls import Tab
from packshot.web.jinja import CHOICES, choices_of
from packshot.web.security import actor_of, needs

A_YEAR_S = 365 * 24 * 3600
PERIODS = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}

# From least to most; each may do what those above it may, too.
ROLES = {
    Role.VIEWER: "Looks at everything, costs included.",
    Role.EDITOR: "Also imports products, writes templates, asks for images, stops spending.",
    Role.REVIEWER: "Also approves and rejects images.",
    Role.PUBLISHER: "Also chooses the image that shoppers see.",
    Role.ADMINISTRATOR: "Also manages people, providers, budgets and settings, and resumes spending.",
}
DOCUMENTS = (
    ("docs/import.md", "Catalogue files, mappings, what becomes of a product"),
    ("docs/templates.md", "How a template is written"),
    ("docs/people.md", "Roles, passwords, shutting somebody out"),
    ("docs/settings.md", "Every environment variable and every setting"),
    ("docs/operate.md", "Databases, object stores, backup, upgrade"),
    ("docs/security.md", "What is trusted, and who may do what"),
)
_STORES = {
    "file": "a local folder",
    "s3": "S3",
    "s3a": "S3",
    "gs": "Google Cloud Storage",
    "az": "Azure Blob Storage",
    "azure": "Azure Blob Storage",
    "abfs": "Azure Blob Storage",
    "abfss": "Azure Blob Storage",
    "http": "an S3 address",
    "https": "an S3 address",
    "memory": "this process's memory",
}

_form_or_page = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True, slots=True)
class Option:
    """One of several values."""

    value: str
    label: str
    checked: bool
    meaning: str = ""
    disabled: bool = False


# -- one's own desk -------------------------------------------------------------------------------


@needs("own_account")
@_form_or_page
def own_desk(request: HttpRequest) -> HttpResponse:
    """How this browser shows the site: cookies, so that the first frame is painted right."""
    if request.method == "POST":
        response = answer(request, Toast("Desk saved"), then=reverse("settings"))
        for name, known in CHOICES.items():
            value = request.POST.get(name, "")
            if value in known:
                response.set_cookie(
                    name, value, max_age=A_YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
                )
            else:
                response.delete_cookie(name, samesite="Lax")
        return response
    now = choices_of(request)
    return tab_page(
        request,
        "settings",
        "settings_desk",
        {
            "themes": _options({"": "As the system", "light": "Light", "dark": "Dark"}, now.get("theme", "")),
            "densities": _options({"": "Comfortable", "compact": "Compact"}, now.get("density", "")),
            "keys": _options({"": "On", "off": "Off"}, now.get("keys", "")),
        },
    )


def _options(labels: Mapping[str, str], chosen: str) -> tuple[Option, ...]:
    return tuple(Option(value, label, value == chosen) for value, label in labels.items())


# -- people -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    id: UUID
    name: str
    role: str
    active: bool
    last_login: datetime | None
    oneself: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A password that is shown this once."""

    name: str
    password: str


@needs("manage_people")
@_form_or_page
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account. POST makes one, and its answer shows the password, once."""
    if request.method != "POST":
        return _people(request)
    name, role = request.POST.get("name", "").strip(), request.POST.get("role", "")
    try:
        password = administer.add_person(name, role, actor_of(request))
    except BadInput as problem:
        field = problem.field if problem.field in ("name", "role") else "name"
        return _people(request, name=name, role=role, problems={field: str(problem)}, status=422)
    # Not a redirect: the password stands in this one answer and is stored nowhere.
    return _people(request, told=Told(name, password))


@needs("manage_people")
@_form_or_page
def person(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """One person: their role, their password, their access."""
    if request.method != "POST":
        return tab_page(request, "people", "settings_person", _person_context(request, person_id))
    actor, here = actor_of(request), reverse("person", args=[person_id])
    before = _person(request, person_id)
    what = request.POST.get("do", "")
    try:
        if what == "password":
            told = Told(before.name, administer.renew_password(before.name, actor))
            return tab_page(request, "people", "settings_person", _person_context(request, person_id, told))
        if what == "role":
            changed = administer.set_role(before.name, request.POST.get("role", ""), actor)
            words, back = "Role changed", {"do": "role", "role": before.role}
        elif what in ("disable", "enable"):
            changed = administer.set_access(before.name, actor, active=what == "enable")
            words = "Account enabled" if what == "enable" else "Account disabled"
            back = {"do": "disable" if what == "enable" else "enable"}
        else:
            raise BadInput("say what to do")
    except BadInput as problem:
        return refuse(request, problem, then=here)
    toast = Toast(words, undo=Undo(here, back)) if changed else Toast("Nothing changed")
    context = tab_context(request, "people", _person_context(request, person_id))
    return answer(request, toast, [drawn_again("settings_person", context)], then=here)


def _people(
    request: HttpRequest,
    *,
    name: str = "",
    role: str = Role.EDITOR,
    problems: Mapping[str, str] | None = None,
    told: Told | None = None,
    status: int = 200,
) -> HttpResponse:
    own_id = actor_of(request).id
    everybody = [_shown(each, own_id) for each in User.objects.order_by("-is_active", "username")]
    return tab_page(
        request,
        "people",
        "settings_people",
        {
            "people": everybody,
            "told": told,
            "name": name,
            "roles": _roles(role),
            "problems": {"name": "", "role": ""} | dict(problems or {}),
        },
        status=status,
    )


def _person_context(request: HttpRequest, person_id: UUID, told: Told | None = None) -> dict[str, object]:
    found = _person(request, person_id)
    return {"person": found, "roles": _roles(found.role), "told": told, "title": found.name}


def _person(request: HttpRequest, person_id: UUID) -> Person:
    user = User.objects.filter(pk=person_id).first()
    if user is None:
        raise Http404
    return _shown(user, actor_of(request).id)


def _shown(user: User, own_id: UUID | None) -> Person:
    return Person(user.id, user.username, user.role, user.is_active, user.last_login, user.id == own_id)


def _roles(chosen: str) -> tuple[Option, ...]:
    return tuple(Option(role.value, str(role.label), role == chosen, ROLES[role]) for role in Role)


# -- money ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """A spending limit in dollars, in its current window."""

    simulated: bool
    limit: Decimal
    period: str
    spent: Decimal
    held: Decimal
    left: Decimal
    share: float  # of the limit that is spent or held, in percent
    tone: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Switch:
    """Where the stop switch stands."""

    stopped: bool
    words: str
    by: str
    at: datetime


@needs("read")
@require_safe
def providers(request: HttpRequest) -> HttpResponse:
    """Whether money is spent, within which limit, and by whom: each provider has a page of its own."""
    return tab_page(request, "settings_providers", "settings_providers", _spending_context())


@needs("stop_spending")
@_form_or_page
def stop_switch(request: HttpRequest) -> HttpResponse:
    """Stop all spending at once, or take it up again."""
    here = reverse("settings_providers")
    if request.method != "POST":
        return HttpResponseRedirect(here)
    actor, what = actor_of(request), request.POST.get("do", "")
    try:
        if what == "stop":
            spending.stop(actor)
            words = "Spending stopped"
        elif what == "resume":
            spending.resume(actor)
            words = "Spending resumed"
        else:
            raise BadInput("say what to do")
    except BadInput as problem:
        return refuse(request, problem, then=here)
    context = tab_context(request, "settings_providers", _spending_context())
    return answer(request, Toast(words), [drawn_again("settings_providers", context)], then=here)


def _spending_context() -> dict[str, object]:
    limits = [_limit(each) for each in ledger.budgets() if each.scope == "everything"]
    return {
        "limits": sorted(limits, key=lambda each: each.simulated),
        "switch": _stands(),
        "providers": reports.providers(),
    }


def _limit(budget: BudgetState) -> Limit:
    taken = budget.spent_micros + budget.reserved_micros
    share = min(100.0, round(100 * taken / budget.limit_micros, 1)) if budget.limit_micros else 100.0
    return Limit(
        budget.simulated,
        dollars(budget.limit_micros),
        PERIODS[budget.period],
        dollars(budget.spent_micros),
        dollars(budget.reserved_micros),
        dollars(budget.left_micros),
        share,
        "bad" if share >= 100 else "warn" if share >= 75 else "ok",
        budget.ends_at,
    )


def _stands() -> Switch:
    state = ledger.stop_state()
    if not state.stopped:
        words = "Spending goes on."
    elif generations.unacknowledged(state.version):
        away = Attempt.objects.filter(state="sending").count()
        words = f"Stopping: {away:,} on their way."
    else:
        words = "Spending is stopped. Nothing is sent."
    return Switch(state.stopped, words, state.changed_by_name, state.changed_at)


# -- the site ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of the site: as it is, or as somebody just wrote it."""

    key: str
    label: str
    kind: str  # text, number, lines, check, choice
    value: str
    hint: str
    problem: str = ""
    choices: tuple[tuple[str, str], ...] = ()


_CHOICES = {
    "retry_uncertain": (
        ("off", "Wait until a person settles them"),
        ("once", "Ask again once, with money held twice"),
    ),
    "shape_fit": (
        ("crop", "Crop what is too much"),
        ("pad", "Pad what lacks, in the colour of the edge"),
        ("keep", "Keep the shape it came in"),
    ),
    "missing_image": (
        ("not-found", "Say that there is none (404)"),
        ("placeholder", "Show a grey placeholder"),
    ),
}
_FIELDS = (
    ("time_zone", "Time zone", "text", "Of the days, weeks and months in reports, such as Europe/Berlin."),
    ("currency", "Currency of catalogue prices", "text", "Three letters. Providers bill in US dollars."),
    ("brand_style", "Brand style", "lines", "What {{brand_style}} becomes in every prompt."),
    (
        "placeholder_list",
        "Placeholder list",
        "lines",
        "One part of an image's address per line, * for anything. A product that shows such an image counts "
        "as having a placeholder, from its next import on.",
    ),
    ("low_score", "Low score", "number", "An active image below this, from 0 to 100, needs attention."),
    ("old_image_days", "Old image", "number", "An active image older than so many days needs attention."),
    ("approval_required", "Approval", "check", "Only an approved image may become active."),
    ("four_eyes", "Four eyes", "check", "Nobody approves or rejects an image that they asked for."),
    (
        "retry_uncertain",
        "Uncertain charges",
        "choice",
        "A call whose answer got lost may have been charged. Asked again, one minute after its deadline and "
        "when no callback told what became of it, it may be charged a second time. Its money stays held "
        "until the first charge is settled.",
    ),
    (
        "shape_fit",
        "Shape of images",
        "choice",
        "A model that makes the shape you asked for only nearly makes its nearest. Copies are then brought "
        "into yours, never distorted; the image itself stays as it came.",
    ),
    (
        "public_images",
        "Public images",
        "check",
        "Active images are served at /i/SKU to anybody who asks, without signing in.",
    ),
    (
        "public_widths",
        "Widths of public images",
        "lines",
        "In pixels, 1 to 16 of them. No other is made; each is made when somebody first asks for it.",
    ),
    ("missing_image", "Without an active image", "choice", "What /i/SKU answers then."),
)
assert {each[0] for each in _FIELDS} == set(preferences.DEFAULTS)


@needs("manage_settings")
@_form_or_page
def site(request: HttpRequest) -> HttpResponse:
    """What holds for everybody."""
    if request.method != "POST":
        return _site(request, {key: _text(value) for key, value in preferences.everything().items()})
    given = {key: request.POST.get(key, "") for key in preferences.DEFAULTS}
    try:
        changed = administer.set_preferences(given, actor_of(request))
    except UnusableSettings as problem:
        return _site(request, given, problem.problems, status=422)
    toast = Toast("Settings saved" if changed else "Nothing changed")
    return answer(request, toast, then=reverse("settings_site"))


def _site(
    request: HttpRequest,
    values: Mapping[str, str],
    problems: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    fields = [
        Field(key, label, kind, values[key], hint, (problems or {}).get(key, ""), _CHOICES.get(key, ()))
        for key, label, kind, hint in _FIELDS
    ]
    return tab_page(request, "settings_site", "settings_site", {"fields": fields}, status=status)


def _text(value: preferences.Value) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return "\n".join(value) if isinstance(value, list) else str(value)


# -- what it runs on --------------------------------------------------------------------------------


@needs("read")
@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Version, database, folders. No address holds a password here, because none is shown."""
    facts = site_facts()
    kind = _STORES.get(urlsplit(settings.BLOB_URL).scheme, "an object store")
    return tab_page(
        request,
        "settings_about",
        "settings_about",
        {
            "version": version("packshot"),
            "facts": facts,
            "database": "embedded" if not settings.DATABASE_URL else "your own",
            "database_size": _size(facts.database_bytes),
            "store": kind,
            # Where things are on the machine concerns those who run it.
            "folder": str(settings.DATA) if actor_of(request).may("manage_settings") else "",
            "documents": DOCUMENTS,
        },
    )


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"


# -- around them all ----------------------------------------------------------------------------------

_TABS = (
    ("settings", "Your desk", "own_account"),
    ("people", "People", "manage_people"),
    ("settings_providers", "Spending", "read"),
    ("settings_simulator", "Simulator", "manage_providers"),
    ("settings_site", "Site", "manage_settings"),
    ("settings_about", "About", "read"),
)


def tab_page(
    request: HttpRequest, tab: str, body: str, context: Mapping[str, object], *, status: int = 200
) -> HttpResponse:
    """A tab of the settings, whole: `pages/{body}.html` within the frame."""
    shown = tab_context(request, tab, context) | {"body": f"pages/{body}.html"}
    return render(request, "pages/settings.html", shown, status=status)


def tab_context(request: HttpRequest, tab: str, context: Mapping[str, object]) -> dict[str, object]:
    """`context` with what the frame around it needs."""
    return {"tabs": _tabs(request, tab), "title": dict(_names())[tab], **context}


def _tabs(request: HttpRequest, current: str) -> Sequence[Tab]:
    role = actor_of(request).role
    return [
        Tab(label, reverse(name), current=name == current)
        for name, label, right in _TABS
        if allows(role, right) and (name != "settings_simulator" or uses_simulator())
    ]


def _names() -> Sequence[tuple[str, str]]:
    return [(name, label) for name, label, _ in _TABS]


def drawn_again(body: str, context: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The partial that puts a tab in the place of what the browser shows of it."""
    return "live/settings_page.html", {**context, "body": f"pages/{body}.html"}
