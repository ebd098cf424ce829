"""The state of the Queue as it stands in an address, in a form, in a saved view: one reading for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from packshot.accounts import Actor
from packshot.generations.models import GENERATION_STATUSES
from packshot.kernel.errors import BadInput
from packshot.reports.actions import ViewRow
from packshot.reports.finding import SORTS, Facet, Filter, Sort, age_of, cost_of
from packshot.web import words
from packshot.web.addresses import address_of
from packshot.web.jinja import model_name, provider_name

LONGEST_TEXT = 100
# How a facet is called, in the order in which they stand.
FACETS: Mapping[Facet, str] = {
    "provider": "Provider",
    "model": "Model",
    "error": "Error",
    "age": "Age",
    "cost": "Cost",
    "run": "Run",
    "person": "Person",
    "template": "Template",
    "category": "Category",
}
ORDERS: Mapping[Sort, str] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "dearest": "Dearest first",
    "slowest": "Slowest first",
    "priority": "By priority",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which generations, in which order, which page of them, and what stands beside them."""

    wanted: Filter
    sort: Sort = "newest"
    after: UUID | None = None
    before: UUID | None = None
    generation: UUID | None = None
    view: ViewRow | None = None
    # The bare address opens a saved view: to see everything, it has to be said.
    has_default: bool = False

    @property
    def values(self) -> dict[str, str]:
        """Filter and order, by their names in an address."""
        wanted = self.wanted
        found = {
            "status": wanted.status,
            "provider": wanted.provider,
            "model": wanted.model,
            "error": wanted.error,
            "age": wanted.age,
            "cost": wanted.cost,
            "run": wanted.run_id,
            "person": wanted.person,
            "template": wanted.template_id,
            "category": wanted.category,
            "q": wanted.text,
            "sort": self.sort if self.sort != "newest" else None,
        }
        return {name: str(value) for name, value in found.items() if value}

    @property
    def filter_values(self) -> dict[str, str]:
        """What an action on all that match is told."""
        return {name: value for name, value in self.values.items() if name != "sort"}

    @property
    def query(self) -> str:
        return urlencode(self.values)

    def url(self, **changes: object) -> str:
        """The address with another filter; page and panel belong to this one, and are left behind."""
        return self.at("queue", **changes)

    def at(self, name: str, *arguments: object, **changes: object) -> str:
        """The address of another page on the same filter."""
        order = ("status", "provider", "model", "error", "age", "cost", "q", "run", "person", "template")
        values = self.values | changes
        names = [*order, *(each for each in values if each not in order)]
        query = urlencode({each: values[each] for each in names if values.get(each)})
        if not query and name == "queue" and self.has_default:
            query = "view=none"
        return address_of(name, *arguments) + (f"?{query}" if query else "")

    @property
    def first_page(self) -> bool:
        return self.after is None and self.before is None

    @property
    def narrowed(self) -> bool:
        """By more than a status."""
        return bool(self.filter_values.keys() - {"status"})

    @property
    def matchable(self) -> bool:
        """Whether a row's own data can tell that it belongs to this list."""
        return self.filter_values.keys() <= {"status", "provider", "run"}

    @property
    def match(self) -> dict[str, str]:
        """What a row's own data must say to belong to this list."""
        return {
            name: value for name, value in self.filter_values.items() if name in ("status", "provider", "run")
        }

    @property
    def counted_as(self) -> str:
        """Under which name the stream counts for this filter; empty: it does not."""
        return counted_as(self.wanted.provider, self.wanted.run_id) if self.matchable else ""


def asked_of(
    values: Mapping[str, str],
    actor: Actor,
    *,
    view: ViewRow | None = None,
    has_default: bool = False,
) -> Asked:
    """Anything that cannot be understood is left out: an address that was cut short still leads somewhere."""
    said = {**dict(parse_qsl(view.query)), **values} if view is not None else dict(values)
    status, sort = said.get("status", ""), said.get("sort", "")
    costs = actor.may("read_costs")
    return Asked(
        Filter(
            status=status if status in GENERATION_STATUSES else None,
            provider=_word(said.get("provider"), 32),
            text=(_word(said.get("q"), LONGEST_TEXT) or ""),
            run_id=uuid_of(said.get("run")),
            model=_word(said.get("model"), 100),
            error=_word(said.get("error"), 20),
            person=_word(said.get("person"), 200),
            template_id=uuid_of(said.get("template")),
            category=_word(said.get("category"), 500),
            age=_if_understood(said.get("age"), age_of),
            cost=_if_understood(said.get("cost"), cost_of) if costs else None,
        ),
        sort=next((each for each in SORTS if each == sort and (costs or each != "dearest")), "newest"),
        after=uuid_of(values.get("after")),
        before=uuid_of(values.get("before")),
        generation=uuid_of(values.get("generation")),
        view=view,
        has_default=has_default,
    )


def uuid_of(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def counted_as(provider: str | None, run_id: UUID | None) -> str:
    """The argument of the topic of counts. It becomes part of an element's id and of an address."""
    name = provider or ""
    safe = name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else ""
    return f"{safe}.{run_id.hex if run_id else ''}"


def said_of(facet: str, value: str, *, name: str | None = None, provider: str = "") -> str:
    """What a facet says, for people. `name`: what is known by an id only."""
    match facet:
        case "provider":
            return provider_name(value)
        case "model":
            return model_name(value, provider)
        case "error":
            known = {str(kind): said for kind, said in words.ERRORS.items()}
            return known.get(value, value.replace("_", " ")).capitalize()
        case "age":
            return _age_words(value)
        case "cost":
            return _cost_words(value)
        case "run" | "template":
            return name or "not found"
    return value


_UNITS = {"h": "hour", "d": "day"}


def _age_words(value: str) -> str:
    number, unit = int(value.removeprefix("older-")[:-1]), _UNITS[value[-1]]
    span = unit if number == 1 else f"{number} {unit}s"
    if value.startswith("older-"):
        return f"older than {'an' if span == 'hour' else 'a' if number == 1 else ''} {span}".replace(
            "  ", " "
        )
    return f"last {span}"


def _cost_words(value: str) -> str:
    if value in ("free", "unknown"):
        return value
    least, _, below = value.partition("-")
    if not below:
        return f"from ${least}"
    return f"under ${below}" if not least or float(least) == 0 else f"${least} to ${below}"


def _word(text: str | None, most: int) -> str | None:
    return (text or "").replace("\0", "").strip()[:most] or None


def _if_understood(text: str | None, read: object) -> str | None:
    assert callable(read), "it is one of the two readers"
    try:
        return text if text and read(text) else None
    except BadInput:
        return None
