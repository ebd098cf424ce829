"""Which generations: a filter as it stands in an address, on its way into SQL; its order, its facets.

Every statement reads an index from one end and stops: by status, provider, run, product or id. What no index
serves is counted, sorted and offered among the newest few ten thousand, and said to be so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from django.db import connection

from packshot.kernel import search
from packshot.kernel.errors import BadInput
from packshot.kernel.money import micros
from packshot.reports.sql import read

# A text that more products, or more prompts, than this contain is looked for row by row, and not counted.
PRODUCTS_LOOKED_UP = 500
# Prompts are as long as letters, and no index holds them: so many of the newest are looked through.
PROMPTS_READ = 20_000
# A run with more generations than this is listed, and not counted by status.
RUN_COUNTED = 10_000
# What no index counts is counted among so many of the newest; more are "10,000+".
COUNTED = 20_000
# An order that no index keeps is made among so many of the newest.
SORTED = 20_000
FACET_VALUES = 50

Sort = Literal["newest", "oldest", "dearest", "slowest", "priority"]
SORTS: tuple[Sort, ...] = get_args(Sort)
Facet = Literal["provider", "model", "error", "run", "person", "template", "category", "age", "cost"]
FACETS: tuple[Facet, ...] = get_args(Facet)

AGES = ("1h", "24h", "7d", "30d", "older-1h", "older-24h", "older-7d", "older-30d")
COSTS = ("free", "0-0.05", "0.05-0.1", "0.1-0.5", "0.5-", "unknown")


@dataclass(frozen=True, slots=True)
class Age:
    """Asked for within the last `within`, or longer ago than `before`."""

    within: timedelta | None = None
    before: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CostRange:
    """From `least` up to, and without, `below`, in micro-dollars; or where it is not known."""

    least: int | None = None
    below: int | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which generations. `text` is looked for in SKU, product name and prompt, whatever its case, and among
    the providers' request ids as a whole."""

    status: str | None = None
    provider: str | None = None
    text: str = ""
    run_id: UUID | None = None
    model: str | None = None
    error: str | None = None
    person: str | None = None  # who asked
    template_id: UUID | None = None
    category: str | None = None  # its path; what lies below it belongs to it
    age: str | None = None  # `24h`, `older-7d`: see `age_of`
    cost: str | None = None  # `free`, `0.05-0.1`, `0.5-`, `unknown`: see `cost_of`

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Filter()

    @property
    def indexed(self) -> bool:
        """Whether counts of it are kept, or an index holds nothing but it."""
        return self == replace(
            Filter(), status=self.status, provider=self.provider, text=self.text, run_id=self.run_id
        )

    def stored(self) -> dict[str, str]:
        """As it is written down, without what it does not say."""
        return {each.name: str(value) for each in fields(self) if (value := getattr(self, each.name))}

    def without(self, facet: Facet) -> "Filter":
        """The same, whatever this facet says."""
        named = {"run": "run_id", "template": "template_id"}
        nothing: dict[str, Any] = {named.get(facet, facet): None}
        return replace(self, **nothing)


_AGE = re.compile(r"(older-)?([1-9]\d{0,4})([hd])")
_COST = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)?-(\d{1,6}(?:\.\d{1,6})?)?")


def age_of(text: str) -> Age:
    """`24h`: of the last 24 hours; `older-7d`: longer ago than seven days."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise BadInput(f"{text!r} is no age; write one like 24h, 7d or older-7d", field="age")
    span = timedelta(**{"hours" if found[3] == "h" else "days": int(found[2])})
    return Age(before=span) if found[1] else Age(within=span)


def cost_of(text: str) -> CostRange:
    """`0.05-0.1`: from 5 cents up to, and without, 10; `0.5-`: from 50 cents; `free`; `unknown`."""
    if text == "unknown":
        return CostRange(unknown=True)
    if text == "free":
        return CostRange(0, 1)
    found = _COST.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        raise BadInput(
            f"{text!r} is no range of costs; write one like 0.05-0.1, 0.5-, free or unknown", field="cost"
        )
    least, below = (None if each is None else micros(Decimal(each)) for each in found.groups())
    return CostRange(least, below)


# What the page shows as its cost: nothing where it ended and nothing was charged, the estimate until then.
COST = """
    CASE WHEN generation.cost_unknown THEN NULL
        WHEN generation.actual_micros IS NOT NULL THEN generation.actual_micros
        WHEN generation.status IN ('failed', 'cancelled') THEN 0
        ELSE generation.expected_micros END
"""


@dataclass(frozen=True, slots=True)
class _Order:
    """`key` is a whole number that falls where `falling`; none: the id alone. The id parts equal keys."""

    falling: bool
    key: str = ""


_ORDERS: Mapping[str, _Order] = {
    "newest": _Order(True),
    "oldest": _Order(False),
    "dearest": _Order(True, f"coalesce(({COST})::bigint, -1)"),
    "slowest": _Order(
        True,
        "coalesce((extract(epoch FROM generation.completed_at - generation.started_at) * 1000)::bigint, -1)",
    ),
    # As a worker takes them from one run: the highest first, and of those the oldest.
    "priority": _Order(False, "-generation.priority::bigint"),
}


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One thing that a facet can say, with how many generations of the rest of the filter it leaves."""

    value: str
    label: str
    number: int
    provider: str = ""  # whose model it is


@dataclass(frozen=True, slots=True)
class Choices:
    """What a facet can say, the most frequent first. `at_least`: there are more than were counted."""

    values: tuple[FacetValue, ...]
    at_least: bool


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    id: UUID
    name: str
    number: int


class Scope:
    """A filter on its way into SQL: what it names is looked up once, for the page and the counts alike."""

    def __init__(self, wanted: Filter) -> None:
        self.wanted = wanted
        self.run_title: str | None = None
        self.run_size = 0
        self.template_name: str | None = None
        self.few = True
        self.parameters: dict[str, Any] = {
            name: value
            for name, value in (
                ("status", wanted.status),
                ("provider", wanted.provider),
                ("run", wanted.run_id),
                ("model", wanted.model),
                ("error", wanted.error),
                ("person", wanted.person),
                ("template", wanted.template_id),
                ("category", wanted.category),
            )
            if value is not None
        }
        if wanted.age is not None:
            age = age_of(wanted.age)
            self.parameters["age"] = age.within or age.before
        if wanted.cost is not None:
            cost = cost_of(wanted.cost)
            self.parameters |= {"least": cost.least, "below": cost.below}
        self._look_up()

    def _look_up(self) -> None:
        """Names for what is asked for by id, and what holds the text, in one statement."""
        wanted, parts, given = self.wanted, [], dict(self.parameters)
        first = ""
        if wanted.run_id is not None:
            parts.append(
                "SELECT 'run' AS kind, id, title AS name, size AS number FROM packshot_run WHERE id = %(run)s"
            )
        if wanted.template_id is not None:
            parts.append(
                "SELECT 'template' AS kind, id, name, 0 AS number FROM packshot_prompttemplate "
                "WHERE id = %(template)s"
            )
        if wanted.text:
            given |= {
                "text": search.containing(wanted.text),
                "whole": wanted.text,
                "most": PRODUCTS_LOOKED_UP + 1,
                "prompts": PROMPTS_READ,
            }
            first = f"""
                WITH product AS MATERIALIZED (SELECT id FROM packshot_product
                WHERE {search.all_of("words", wanted.text, given)} LIMIT %(most)s)
                """
            parts += [
                "SELECT 'product' AS kind, id, '' AS name, 0 AS number FROM product",
                """
                (SELECT DISTINCT 'hit' AS kind, generation_id AS id, '' AS name, 0 AS number
                FROM packshot_attempt WHERE request_id = %(whole)s LIMIT %(most)s)
                """,
                # Of no use where the products are too many already: each row's prompt is read then.
                f"""
                (SELECT 'hit' AS kind, recent.id, '' AS name, 0 AS number FROM (
                    SELECT generation.id, generation.prompt FROM packshot_generation AS generation
                    WHERE {self._facets()} ORDER BY generation.id DESC LIMIT %(prompts)s) AS recent
                WHERE (SELECT count(*) FROM product) < %(most)s AND recent.prompt ILIKE %(text)s
                LIMIT %(most)s)
                """,
            ]
        if not parts:
            return
        found = read(_Found, first + " UNION ALL ".join(parts), **given)
        for each in found:
            if each.kind == "run":
                self.run_title, self.run_size = each.name, each.number
            elif each.kind == "template":
                self.template_name = each.name
        if wanted.text:
            products = [each.id for each in found if each.kind == "product"]
            hits = list({each.id for each in found if each.kind == "hit"})
            self.few = len(products) <= PRODUCTS_LOOKED_UP and len(hits) <= PRODUCTS_LOOKED_UP
            self.parameters["hits"] = hits
            if self.few:
                self.parameters["products"] = products
            else:
                self.parameters["text"] = given["text"]
                search.all_of("product.words", wanted.text, self.parameters)

    # -- what it says, in SQL ------------------------------------------------------------------------

    def conditions(self, *, narrowing_only: bool = False) -> str:
        """All that the filter says; `narrowing_only`: without what counts are by, status and provider."""
        said = self._facets(narrowing_only=narrowing_only)
        return f"{said} AND {self._text(all_of_them=narrowing_only)}" if self.wanted.text else said

    def _facets(self, *, narrowing_only: bool = False) -> str:
        served = self._served(narrowing_only=narrowing_only)
        return " AND ".join(["true", *served, *self._unserved()])

    def _served(self, *, narrowing_only: bool = False) -> list[str]:
        """What an index begins with or ends in."""
        said = []
        if self.wanted.status is not None and not narrowing_only:
            said.append("generation.status = %(status)s")
        if self.wanted.provider is not None and not narrowing_only:
            said.append("generation.provider_id = %(provider)s")
        if self.wanted.run_id is not None:
            said.append("generation.run_id = %(run)s")
        if self.wanted.age is not None:
            # An id begins with the time at which it was made, a moment before its row was: the second
            # condition says it exactly, the first is what an index can stop at.
            if age_of(self.wanted.age).within is not None:
                said.append(
                    "generation.id >= packshot_id_at(packshot_now() - %(age)s - interval '1 hour') "
                    "AND generation.created_at >= packshot_now() - %(age)s"
                )
            else:
                said.append(
                    "generation.id < packshot_id_at(packshot_now() - %(age)s + interval '1 hour') "
                    "AND generation.created_at < packshot_now() - %(age)s"
                )
        return said

    def _unserved(self) -> list[str]:
        said = []
        wanted = self.wanted
        if wanted.model is not None:
            said.append("generation.model = %(model)s")
        if wanted.error is not None:
            # The second half is what a partial index of errors would be asked by.
            said.append("generation.error_kind = %(error)s AND generation.error_kind <> ''")
        if wanted.person is not None:
            said.append("generation.asked_by_name = %(person)s")
        if wanted.template_id is not None:
            said.append(
                "generation.template_version_id = ANY (ARRAY(SELECT version.id "
                "FROM packshot_prompttemplateversion AS version WHERE version.template_id = %(template)s))"
            )
        if wanted.category is not None:
            said.append(
                "generation.product_id IN (SELECT product.id FROM packshot_product AS product "
                "WHERE product.category_id = ANY (ARRAY(SELECT place.id FROM packshot_category AS place "
                "WHERE place.path = %(category)s OR starts_with(place.path, %(category)s || ' > '))))"
            )
        if wanted.cost is not None:
            cost = cost_of(wanted.cost)
            if cost.unknown:
                said.append(f"({COST}) IS NULL")
            if cost.least is not None:
                said.append(f"({COST}) >= %(least)s")
            if cost.below is not None:
                said.append(f"({COST}) < %(below)s")
        return said

    def _text(self, *, all_of_them: bool = False) -> str:
        if self.few and all_of_them:
            # What is counted is read whole, and each row once: 12 ms for 4,000 and not 53.
            return "(generation.product_id = ANY(%(products)s) OR generation.id = ANY(%(hits)s::uuid[]))"
        if self.few:
            # As ids of generations, so that a rare text is found by index and not by reading everything.
            return """
                generation.id IN (
                    SELECT of_product.id FROM packshot_generation AS of_product
                    WHERE of_product.product_id = ANY(%(products)s)
                    UNION ALL SELECT unnest(%(hits)s::uuid[]))
            """
        return f"""
            (generation.prompt ILIKE %(text)s OR generation.id = ANY(%(hits)s::uuid[]) OR (
                SELECT {search.all_of("product.words", self.wanted.text, {})}
                FROM packshot_product AS product WHERE product.id = generation.product_id))
        """

    # -- pages -----------------------------------------------------------------------------------------

    def ids(
        self, limit: int, sort: Sort = "newest", *, after: UUID | None = None, before: UUID | None = None
    ) -> str:
        """SQL of up to `limit` ids: the next `after` an edge in this order, or those just `before` it, the
        nearest first. The parameters `edge` and `limit` are the caller's to give."""
        order = _ORDERS[sort]
        falling = order.falling is (before is None)
        way, sign = ("DESC", "<") if falling else ("ASC", ">")
        edged = after is not None or before is not None
        if not order.key:
            edge = f" AND generation.id {sign} %(edge)s" if edged else ""
            return (
                "SELECT generation.id FROM packshot_generation AS generation "
                f"WHERE {self.conditions()}{edge} ORDER BY generation.id {way} LIMIT %(limit)s"
            )
        edge = (
            f"WHERE (recent.key, recent.id) {sign} (SELECT {order.key}, generation.id "
            "FROM packshot_generation AS generation WHERE generation.id = %(edge)s)"
            if edged
            else ""
        )
        # What waits is sorted whole: it is as small as the queue, and its first are not its newest.
        whole = sort == "priority" and self.wanted.status == "pending"
        recent = "" if whole else f"ORDER BY generation.id DESC LIMIT {SORTED}"
        return (
            f"SELECT recent.id FROM (SELECT generation.id, {order.key} AS key "
            f"FROM packshot_generation AS generation WHERE {self.conditions()} {recent}) AS recent {edge} "
            f"ORDER BY recent.key {way}, recent.id {way} LIMIT %(limit)s"
        )

    # -- counts ----------------------------------------------------------------------------------------

    def count_recent(self) -> tuple[dict[tuple[str, str], int], bool]:
        """How many there are by provider and status among the newest COUNTED; True: there are more."""
        served = " AND ".join(["true", *self._served(narrowing_only=True)])
        others = " AND ".join(
            ["true", *self._unserved(), *([self._text(all_of_them=True)] if self.wanted.text else [])]
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT generation.provider_id, generation.status, count(*) FILTER (WHERE {others}), count(*)
                FROM (
                    SELECT generation.* FROM packshot_generation AS generation
                    WHERE {served} ORDER BY generation.id DESC LIMIT {COUNTED + 1}) AS generation
                GROUP BY generation.provider_id, generation.status
                """,
                self.parameters or None,
            )
            rows = cursor.fetchall()
        counted = {(provider, status): number for provider, status, number, _ in rows if number}
        return counted, sum(row[3] for row in rows) > COUNTED


# The value, its label and whose it is; read from `recent`, the newest of the rest of the filter.
_VALUES: Mapping[str, str] = {
    "provider": """
        SELECT recent.provider_id, recent.provider_id, recent.provider_id, count(*) FROM recent GROUP BY 1
    """,
    "model": """
        SELECT recent.model, recent.model, min(recent.provider_id), count(*) FROM recent GROUP BY recent.model
    """,
    "error": """
        SELECT recent.error_kind, recent.error_kind, '', count(*) FROM recent
        WHERE recent.error_kind <> '' GROUP BY 1
    """,
    "person": "SELECT recent.asked_by_name, recent.asked_by_name, '', count(*) FROM recent GROUP BY 1",
    "run": """
        SELECT run.id::text, run.title, '', counted.number FROM (
            SELECT run_id, count(*) AS number FROM recent WHERE run_id IS NOT NULL GROUP BY run_id
            ORDER BY run_id DESC LIMIT 50) AS counted
        JOIN packshot_run AS run ON run.id = counted.run_id
    """,
    "template": """
        SELECT template.id::text, template.name, '', sum(counted.number)::bigint FROM (
            SELECT template_version_id, count(*) AS number FROM recent
            GROUP BY template_version_id) AS counted
        JOIN packshot_prompttemplateversion AS version ON version.id = counted.template_version_id
        JOIN packshot_prompttemplate AS template ON template.id = version.template_id
        GROUP BY template.id, template.name
    """,
    "category": """
        SELECT category.path, category.path, '', sum(counted.number)::bigint FROM (
            SELECT product_id, count(*) AS number FROM recent GROUP BY product_id) AS counted
        JOIN packshot_product AS product ON product.id = counted.product_id
        JOIN packshot_category AS category ON category.id = product.category_id
        GROUP BY category.path
    """,
}


def choices(wanted: Filter, facet: Facet) -> Choices:
    """What `facet` can say in the rest of the filter, counted among its newest COUNTED. One statement, and
    another where the filter has a text."""
    scope = Scope(wanted.without(facet))
    values = _ranges(facet) if facet in ("age", "cost") else _VALUES[facet]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH recent AS MATERIALIZED (
                SELECT generation.provider_id, generation.model, generation.error_kind, generation.run_id,
                    generation.asked_by_name, generation.template_version_id, generation.product_id,
                    generation.created_at, ({COST}) AS cost
                FROM packshot_generation AS generation
                WHERE {scope.conditions()} ORDER BY generation.id DESC LIMIT {COUNTED + 1}
            ), found (value, label, provider, number) AS ({values})
            SELECT value, label, provider, number, (SELECT count(*) FROM recent) FROM found
            {"" if facet in ("age", "cost") else "ORDER BY number DESC, label LIMIT " + str(FACET_VALUES)}
            """,
            scope.parameters or None,
        )
        rows = cursor.fetchall()
    found = tuple(FacetValue(value, label, number, provider) for value, label, provider, number, _ in rows)
    return Choices(found, bool(rows) and rows[0][4] > COUNTED)


def _ranges(facet: Facet) -> str:
    """One line for each range that is offered, in its order, also where nothing lies in it."""
    offered = AGES if facet == "age" else COSTS
    return (
        "SELECT line.value, line.value, '', line.number "
        f"FROM (SELECT {', '.join(_counts(offered, facet))} FROM recent) AS totals "
        f"CROSS JOIN LATERAL (VALUES {', '.join(_lines(offered))}) AS line (place, value, number) "
        "ORDER BY line.place"
    )


def _counts(offered: tuple[str, ...], facet: Facet) -> list[str]:
    return [
        f"count(*) FILTER (WHERE {_age_sql(age_of(each)) if facet == 'age' else _cost_sql(cost_of(each))}) "
        f"AS number_{place}"
        for place, each in enumerate(offered)
    ]


def _lines(offered: tuple[str, ...]) -> list[str]:
    return [f"({place}, '{each}', totals.number_{place})" for place, each in enumerate(offered)]


def _age_sql(age: Age) -> str:
    span = age.within or age.before
    assert span is not None, "it is one of the two"
    sign = ">=" if age.within else "<"
    return f"recent.created_at {sign} packshot_now() - make_interval(secs => {span.total_seconds():.0f})"


def _cost_sql(cost: CostRange) -> str:
    if cost.unknown:
        return "recent.cost IS NULL"
    said = [f"recent.cost >= {cost.least}"] if cost.least is not None else ["recent.cost IS NOT NULL"]
    if cost.below is not None:
        said.append(f"recent.cost < {cost.below}")
    return " AND ".join(said)
