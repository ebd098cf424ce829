"""The template engine: autoescape everywhere, a name that does not exist is an error, and the few functions
that templates call. Only this module and `charts` make markup out of text."""

import json
import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib.resources import files
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.backends.utils import csrf_input
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.functional import SimpleLazyObject
from jinja2 import Environment, StrictUndefined
from jinja2.runtime import Macro
from markupsafe import Markup

from packshot import accounts, reports
from packshot.catalogue import PHOTO
from packshot.flows.desk import quoting, uses_simulator
from packshot.kernel.money import dollars
from packshot.web import words
from packshot.web.addresses import address_of
from packshot.web.answers import toast_of
from packshot.web.assets import static
from packshot.web.security import actor_of

# What a browser remembers of how its person wants the desk, by cookie, with what each may say.
CHOICES = {"theme": ("light", "dark"), "density": ("compact",), "keys": ("off",)}


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the navigation leads to. `key` after G goes there; `managing` ones stand below a line."""

    name: str
    label: str
    icon: str
    right: str
    key: str
    managing: bool = False
    short: str = ""  # where there is little room
    tab: bool = True  # of a phone's bar; the others are under More


PLACES = (
    Place("overview", "Overview", "layout-grid", "read", "o"),
    Place("queue", "Queue", "list-todo", "read", "q"),
    Place("attention", "Needs attention", "triangle-alert", "read", "a", short="Attention"),
    Place("review", "Review", "check-check", "read", "r", tab=False),
    Place("products", "Products", "package", "read", "p"),
    Place("providers", "Providers", "plug-zap", "read", "v", managing=True),
    Place("imports", "Imports", "file-up", "read", "i", managing=True),
    Place("templates", "Templates", "text-quote", "read", "m", managing=True),
    Place("budgets", "Budgets", "wallet", "read_costs", "b", managing=True),
    Place("settings", "Settings", "settings", "read", "s", managing=True),
)
# By what a model is called: the follow-ups of Midjourney, the upscalers of Stability.
_KINSHIPS = (("upscale", "Upscaled from"), ("variation", "Variation of"))


def environment(**options: Any) -> Environment:
    """What Django's Jinja2 backend builds templates with."""
    options |= {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(**options)  # noqa: S701 - the backend passes autoescape=True
    environment.globals |= {
        "url": address_of,
        "static": static,
        "media": media,
        "icon": icon,
        "mark": mark,
        "chip": chip,
        "drawn": drawn,
        "drawn_large": drawn_large,
        "tries": tries,
        "provider_name": provider_name,
        "statuses": words.STATUSES,
        "waits": words.WAITS,
        "errors": words.ERRORS,
        "provider_states": words.PROVIDER_STATES,
    }
    environment.filters |= {
        "money": words.money,
        "price": words.price,
        "count": words.count,
        "many": words.many,
        "up_to": words.up_to,
        "percent": words.percent,
        "duration": words.duration,
        "model_name": model_name,
        "kinship": kinship,
        "dollars": dollars,
        "moment": words.moment,
        "day": words.day,
        "ago": words.ago,
        "json": lambda values: json.dumps(dict(values)),
    }
    return environment


def page_context(request: HttpRequest) -> dict[str, object]:
    """What every page knows: who looks at it, where they can go, and whether the money is play money."""
    actor = actor_of(request)
    return {
        "actor": actor,
        "choices": choices_of(request),
        "language": translation.get_language(),
        "places": _places_of(actor.role),
        "simulated_site": uses_simulator(),
        "toasts": [toast_of(message) for message in messages.get_messages(request)],
        # Each once an answer: Django masks the token anew for each form.
        "csrf_input": SimpleLazyObject(partial(csrf_input, request)),
        "csrf_token": SimpleLazyObject(partial(get_token, request)),
        # Called by the pages that show them, however often, and read once for each page.
        "edge": cache(lambda: reports.edge(simulated=uses_simulator())),
    }


def choices_of(request: HttpRequest) -> dict[str, str]:
    """What was chosen in this browser: theme, density, keys. What is not chosen follows the system."""
    given = {name: request.COOKIES.get(name, "") for name in CHOICES}
    return {name: value for name, value in given.items() if value in CHOICES[name]}


@cache
def _places_of(role: str | None) -> tuple[Place, ...]:
    return tuple(place for place in PLACES if accounts.allows(role, place.right) and _stands(place.name))


@cache
def _stands(name: str) -> bool:
    try:
        reverse(name)
    except NoReverseMatch:
        return False
    return True


@cache
def icon(name: str, extra: str = "") -> Markup:
    """A Lucide icon, inline so that it takes the colour of its text. It is decoration: words say it too."""
    return Markup('<svg class="icon {}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>').format(
        extra, _strokes(name)
    )


@cache
def mark(provider: str, name: str | None = None) -> Markup:
    """A provider's shape in its colour; `name` says it to screen readers where no text beside it does."""
    provider = words.MARKED_AS.get(provider, provider)
    shape = Markup(words.MARKS.get(provider, words.MARKS["sandbox"]))  # noqa: S704 - our own constants
    role = Markup('role="img" aria-label="{}"').format(name) if name else Markup('aria-hidden="true"')
    known = provider if provider in words.MARKS else "sandbox"
    return Markup('<svg class="mark mark-{}" viewBox="0 0 10 10" {}>{}</svg>').format(known, role, shape)


def media(blob: str) -> str:
    """Where the WebP with this hash is. Put together here: `reverse` took a fifth of a page of pictures."""
    return _media_address().replace("0" * 64, blob)


@cache
def _media_address() -> str:
    return reverse("media", args=["0" * 64, "webp"])


@cache
def chip(word: words.Word) -> Markup:
    """A status: its icon and its word. Drawn once a word, since fifty rows say the same six."""
    return Markup('<span class="chip {}">{}{}</span>').format(
        word.tone, icon(word.icon, "spin" if word.icon == "loader-circle" else ""), word.label
    )


def _draw(macro: Macro, *given: Hashable) -> Markup:
    """What `macro` draws, kept: nothing decides that but what it is given. Whoever looks at a list again, and
    everybody else who does, finds all but its newest rows drawn. Measured: a third of the Queue's time.
    """
    return Markup(macro(*given))  # noqa: S704 - what a macro returns is safe already


drawn = lru_cache(maxsize=4096, typed=True)(_draw)
# For what is large and few, such as a chart with its table.
drawn_large = lru_cache(maxsize=64, typed=True)(_draw)


_LAST_TRY = {"completed": "ok", "failed": "bad", "uncertain": "warn", "processing": "run"}


@lru_cache(maxsize=256)
def tries(count: int, status: str) -> Markup:
    """One mark a try, three at least: the last one in the colour of how things stand."""
    tones = ["bad"] * max(0, count - 1) + [_LAST_TRY.get(status, "")] * min(count, 1)
    tones += [""] * (3 - len(tones))
    marks = Markup("").join(Markup('<i class="{}"></i>').format(tone) for tone in tones)
    return Markup('<span class="tries" role="img" aria-label="{} {}">{}</span>').format(
        count, "try" if count == 1 else "tries", marks
    )


def provider_name(provider: str) -> str:
    """`OpenAI` for `openai`; a provider that is not installed any more keeps its plain name."""
    if provider == PHOTO:
        return "Photo"
    adapter = quoting().get(provider)
    return adapter.label if adapter else provider


def model_name(model: str, provider: str) -> str:
    """What people call a model, from its card; one that is gone keeps the name it has on the wire. A photo is
    called after who brought it."""
    if provider == PHOTO:
        return f"Photo by {model}"
    return _model_names().get((provider, model), model)


def kinship(model: str) -> str:
    """How an image that `model` made stands to the one that it was given."""
    return next((words for part, words in _KINSHIPS if part in model), "Edited from")


@cache
def _model_names() -> dict[tuple[str, str], str]:
    return {(name, card.id): card.label for name, provider in quoting().items() for card in provider.models()}


@cache
def _strokes(name: str) -> Markup:
    """What stands between `<svg>` and `</svg>` in the vendored file, its paths made one: when light turns to
    dark a browser computes the style of each element anew, and every fifth was a stroke of an icon."""
    drawing = files(__package__).joinpath("icons", f"{name}.svg").read_text("utf-8")
    inner = re.search(r"<svg[^>]*>(.*)</svg>", drawing, re.DOTALL)
    if inner is None:
        raise LookupError(f"web/icons/{name}.svg holds no drawing")
    line = "".join(_from_its_own_place(path) for path in _PATH.findall(inner[1]))
    rest = re.sub(r"\s+(?=<|$)", "", _PATH.sub("", inner[1]))
    return Markup((f'<path d="{line}"/>' if line else "") + rest)  # noqa: S704 - a file of ours, not input


_PATH = re.compile(r'<path d="([^"]+)"\s*/>')
_RELATIVE = re.compile(r"m\s*(-?[\d.]+)\s*(-?[\d.]+)\s*(?=(.?))")


def _from_its_own_place(path: str) -> str:
    """The path such that it begins where it did, whatever is drawn before it. Numbers that follow a relative
    start are lines of their own."""
    start = _RELATIVE.match(path)
    if start is None:
        return path
    x, y, following = start.groups()
    return f"M{x} {y}{'' if following.isalpha() or not following else 'l'}{path[start.end() :]}"
