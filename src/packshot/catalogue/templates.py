"""Prompt templates: which wording a product's category uses.

A version never changes once it is written. Generations use the one that carries the label "production"; a
newer one is a draft until somebody moves the label to it, and to move it back is to take that back.
"""

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from packshot.catalogue import prompts
from packshot.catalogue.finding import holding
from packshot.catalogue.models import Category, Product, PromptMove, PromptTemplate, PromptTemplateVersion
from packshot.catalogue.products import ProductRow
from packshot.kernel.errors import BadInput, PackshotError
from packshot.sql.reading import planned


@dataclass(frozen=True, slots=True)
class Wording:
    """A version of a template: the one in production, wherever images are asked for."""

    id: UUID
    template: str
    number: int
    text: str
    shape_fit: str = ""  # crop or pad; empty: as the site says


def template_by_name(name: str) -> Wording:
    """The wording of the template called `name` that is in production."""
    version = (
        PromptTemplateVersion.objects.filter(
            template__name=name, template__archived_at=None, number=F("template__production_number")
        )
        .select_related("template")
        .first()
    )
    if version is None:
        names = (
            PromptTemplate.objects.filter(archived_at=None).order_by("name").values_list("name", flat=True)
        )
        raise BadInput(
            f"there is no template {name!r}; there are {', '.join(names) or 'none yet'}", field="template"
        )
    return Wording(version.id, name, version.number, version.text, version.template.shape_fit)


def templates_for(category_paths: Sequence[str]) -> dict[str, Wording]:
    """For each category path the wording of the nearest category above it, else the general one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(category.path, ''), template.name, version.id, version.number, version.text,
                template.shape_fit
            FROM packshot_prompttemplate AS template
            JOIN packshot_prompttemplateversion AS version
                ON version.template_id = template.id AND version.number = template.production_number
            LEFT JOIN packshot_category AS category ON category.id = template.category_id
            WHERE template.archived_at IS NULL AND (template.category_id IS NOT NULL OR template.name = %s)
            """,
            [GENERAL],
        )
        known = {
            path: Wording(key, name, number, text, fit)
            for path, name, key, number, text, fit in cursor.fetchall()
        }
    chosen: dict[str, Wording] = {}
    for path in category_paths:
        parts = path.split(" > ") if path else []
        above = [" > ".join(parts[:length]) for length in range(len(parts), 0, -1)]
        found = next((known[each] for each in [*above, ""] if each in known), None)
        if found is None:
            raise BadInput(
                f"no template serves category {path or '(none)'!r}, and there is no template {GENERAL!r}",
                field="template",
            )
        chosen[path] = found
    return chosen


# Serves every category that has no template of its own or above it.
GENERAL = "General"


def has_template(name: str) -> bool:
    return PromptTemplate.objects.filter(name=name).exists()


def save_template(
    name: str,
    text: str,
    *,
    category_path: str | None = None,
    person_id: UUID | None = None,
    by_name: str = "",
    use: bool = True,
) -> Wording:
    """Store `text` as the newest version of the template `name`, in use at once unless it is to be a draft.
    The same text again changes nothing."""
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    with transaction.atomic():
        category = None
        if category_path:
            category, _ = Category.objects.get_or_create(
                path=category_path, defaults={"name": category_path.split(" > ")[-1]}
            )
        template, made = PromptTemplate.objects.get_or_create(
            name=name, archived_at=None, defaults={"category": category}
        )
        if made:
            first = _first_version(template.id, text, person_id, by_name)
            return Wording(first.id, name, first.number, text)
        saved = add_version(template.id, text, use=use, person_id=person_id, by_name=by_name)
        return Wording(saved.version.id, name, saved.version.number, text)


# -- for people who edit them ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template with its wording in production, who wrote that and when."""

    id: UUID
    name: str
    category_path: str | None
    archived_at: datetime | None
    number: int
    text: str
    by_name: str | None  # None: it came with Packshot, or from the command line
    at: datetime
    shape_fit: str  # crop or pad; empty: as the site says
    newest: int  # the number of its newest version
    draft: int | None  # that number again, when this version was never in use
    draft_text: str | None

    @property
    def general(self) -> bool:
        """Whether it serves every category that has no template of its own or above it."""
        return self.name == GENERAL


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One wording of a template."""

    id: UUID
    number: int
    text: str
    by_name: str | None
    at: datetime
    used: bool  # it is in production, or was


@dataclass(frozen=True, slots=True)
class MoveRow:
    """Which version was put in use instead of which, by whom and when."""

    from_number: int | None  # None: its first
    to_number: int
    by_name: str  # empty: Packshot
    at: datetime


@dataclass(frozen=True, slots=True)
class Saved:
    """A wording that was saved, and its template as it is now."""

    template: TemplateRow
    version: VersionRow
    made: bool  # False: this text was there already
    instead_of: int | None  # the version that it was put in use for; None: the label did not move


class Overtaken(PackshotError):
    """Somebody else saved a newer version meanwhile, which nobody may write over unseen."""

    def __init__(self, name: str, newest: VersionRow) -> None:
        super().__init__(f"version {newest.number} of {name} was saved meanwhile")
        self.newest = newest


class LabelMoved(PackshotError):
    """Somebody else put another version in use meanwhile, which nobody may undo unseen."""

    def __init__(self, name: str, move: MoveRow) -> None:
        super().__init__(f"version {move.to_number} of {name} was put in use meanwhile")
        self.move = move


# Whether the version `each` of `template` is in production, or ever was.
_USED = """(each.number = template.production_number OR EXISTS (
    SELECT 1 FROM packshot_promptmove AS move
    WHERE move.template_id = template.id AND each.number IN (move.from_number, move.to_number)
))"""
_TEMPLATE = f"""
    SELECT template.id, template.name, category.path, template.archived_at, version.number, version.text,
        person.username, version.created_at, template.shape_fit, newest.number,
        CASE WHEN NOT newest.used THEN newest.number END, CASE WHEN NOT newest.used THEN newest.text END
    FROM packshot_prompttemplate AS template
    JOIN packshot_prompttemplateversion AS version
        ON version.template_id = template.id AND version.number = template.production_number
    JOIN LATERAL (
        SELECT each.number, each.text, {_USED} AS used
        FROM packshot_prompttemplateversion AS each WHERE each.template_id = template.id
        ORDER BY each.number DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN packshot_category AS category ON category.id = template.category_id
    LEFT JOIN packshot_user AS person ON person.id = version.created_by_id
"""
_VERSION = f"""
    SELECT each.id, each.number, each.text, person.username, each.created_at, {_USED}
    FROM packshot_prompttemplateversion AS each
    JOIN packshot_prompttemplate AS template ON template.id = each.template_id
    LEFT JOIN packshot_user AS person ON person.id = each.created_by_id
    WHERE each.template_id = %s
"""


def templates(*, archived: bool = False) -> list[TemplateRow]:
    """The templates in use, or those put away: the general one first, then by name."""
    with planned() as cursor:
        cursor.execute(
            f"{_TEMPLATE} WHERE (template.archived_at IS NOT NULL) = %s"
            " ORDER BY template.name <> %s, lower(template.name), template.id",
            [archived, GENERAL],
        )
        return [TemplateRow(*row) for row in cursor.fetchall()]


def template_by_id(template_id: UUID) -> TemplateRow | None:
    with planned() as cursor:
        cursor.execute(f"{_TEMPLATE} WHERE template.id = %s", [template_id])
        row = cursor.fetchone()
    return TemplateRow(*row) if row else None


def versions(template_id: UUID, limit: int = 50, *, upto: int | None = None) -> list[VersionRow]:
    """Its wordings, newest first, or from the version `upto` on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_VERSION} AND each.number <= %s ORDER BY each.number DESC LIMIT %s",
            [template_id, 2**31 - 1 if upto is None else upto, limit],
        )
        return [VersionRow(*row) for row in cursor.fetchall()]


def version(template_id: UUID, number: int) -> VersionRow | None:
    """One of its wordings, or None when there is none of this number."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_VERSION} AND each.number = %s", [template_id, number])
        row = cursor.fetchone()
    return VersionRow(*row) if row else None


def texts(template_id: UUID, numbers: Collection[int]) -> dict[int, str]:
    """Some of its wordings, by number."""
    found = PromptTemplateVersion.objects.filter(template_id=template_id, number__in=numbers)
    return dict(found.values_list("number", "text"))


def moves(
    template_id: UUID, limit: int = 100, *, since: datetime | None = None, until: datetime | None = None
) -> list[MoveRow]:
    """How its label moved, the last move first: all of it, or in a span of time, its end left out."""
    found = PromptMove.objects.filter(template_id=template_id).order_by("-number")
    if since is not None:
        found = found.filter(at__gte=since)
    if until is not None:
        found = found.filter(at__lt=until)
    rows = found.values_list("from_number", "to_number", "moved_by_name", "at")[:limit]
    return [MoveRow(*row) for row in rows]


def free_categories() -> list[str]:
    """The paths of categories that no template in use serves by itself."""
    served = PromptTemplate.objects.filter(archived_at=None, category=OuterRef("pk"))
    return list(Category.objects.exclude(Exists(served)).order_by("path").values_list("path", flat=True))


def create_template(
    name: str, text: str, *, category_path: str | None, person_id: UUID | None, by_name: str
) -> UUID:
    """Make a template with its first wording. Raises BadInput for a name or a category that is taken."""
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    category = None
    if category_path:
        category = Category.objects.filter(path=category_path).first()
        if category is None:
            raise BadInput(f"there is no category {category_path!r}", field="category")
    with transaction.atomic():
        try:
            with transaction.atomic():
                template = PromptTemplate.objects.create(name=name, category=category)
        except IntegrityError as problem:
            raise _taken(problem, name, category_path) from None
        _first_version(template.id, text, person_id, by_name)
    return template.id


def add_version(
    template_id: UUID,
    text: str,
    *,
    use: bool,
    based_on: int | None = None,
    in_use: int | None = None,
    person_id: UUID | None,
    by_name: str,
) -> Saved:
    """Store `text` as the newest wording, and put it in use or leave it a draft. The newest one's own text
    again makes no version, and what is in use already needs none.

    `based_on` and `in_use` are what the writer saw, where there was something to see: the number of the
    newest version, and of the one in production. Raises Overtaken or LabelMoved when that is so no more.
    """
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    row = _locked(template_id)
    newest = version(template_id, row.newest)
    assert newest is not None, "it has one"
    if use and row.text == text:
        current = version(template_id, row.number)
        assert current is not None, "the label stands on one of its own"
        return Saved(row, current, False, None)
    made = newest.text != text
    if made and based_on not in (None, newest.number):
        raise Overtaken(row.name, newest)
    if use:
        _must_be(row, in_use)
    if made:
        stored = PromptTemplateVersion.objects.create(
            template_id=template_id, number=newest.number + 1, text=text, created_by_id=person_id
        )
        stored.refresh_from_db(fields=["created_at"])
        number, at = stored.number, stored.created_at
    else:
        number, at = newest.number, None
    if use:
        _move(template_id, row.number, number, by_name, at)
    now, saved = template_by_id(template_id), version(template_id, number)
    assert now is not None and saved is not None, "its row is locked"
    return Saved(now, saved, made, row.number if use else None)


def move_label(
    template_id: UUID, number: int, *, in_use: int | None = None, by_name: str
) -> tuple[TemplateRow, int | None]:
    """Put the version `number` in use. Beside the template as it is now, the version that was in use, or None
    when it was this one.

    `in_use` is the version that the caller saw in use: raises LabelMoved when it is so no more.
    """
    row = _locked(template_id)
    if row.number == number:
        return row, None
    if version(template_id, number) is None:
        raise BadInput(f"{row.name} has no version {number}; it has 1 to {row.newest}", field="version")
    _must_be(row, in_use)
    _move(template_id, row.number, number, by_name, None)
    now = template_by_id(template_id)
    assert now is not None, "its row is locked"
    return now, row.number


def _must_be(row: TemplateRow, in_use: int | None) -> None:
    if in_use not in (None, row.number):
        last = moves(row.id, 1)
        raise LabelMoved(row.name, last[0] if last else MoveRow(None, row.number, row.by_name or "", row.at))


def _first_version(
    template_id: UUID, text: str, person_id: UUID | None, by_name: str
) -> PromptTemplateVersion:
    """Version 1 of a template just made, which is in use by the default of its column."""
    first = PromptTemplateVersion.objects.create(
        template_id=template_id, number=1, text=text, created_by_id=person_id
    )
    first.refresh_from_db(fields=["created_at"])
    PromptMove.objects.create(
        template_id=template_id, number=1, to_number=1, moved_by_name=by_name, at=first.created_at
    )
    return first


def _move(template_id: UUID, before: int, number: int, by_name: str, at: datetime | None) -> None:
    """Move the label of a template whose row is locked; its history first, which the database insists on."""
    last = (
        PromptMove.objects.filter(template_id=template_id).order_by("-number").values_list("number").first()
    )
    move = PromptMove(
        template_id=template_id,
        number=last[0] + 1 if last else 1,
        from_number=before,
        to_number=number,
        moved_by_name=by_name,
    )
    if at is not None:
        move.at = at
    move.save(force_insert=True)
    PromptTemplate.objects.filter(pk=template_id).update(production_number=number)


def products_to_try(text: str = "", *, category_path: str | None = None, limit: int = 5) -> list[ProductRow]:
    """Some products to try a wording on: that hold the words of `text`, of this category or below it."""
    found = Product.objects.filter(holding(text), archived_at=None)
    if category_path:
        below = Q(path=category_path) | Q(path__startswith=f"{category_path} > ")
        places = list(Category.objects.filter(below).values_list("id", flat=True))
        # Any of them will do. Asked for by name, all ten thousand products would be walked for a small shelf.
        found = found.filter(category__in=places)
    else:
        found = found.order_by("name", "id")
    rows = found.values_list("id", "sku", "name", "description", "category__path", "attributes")[:limit]
    return [
        ProductRow(key, sku, name, words, path or "", facts) for key, sku, name, words, path, facts in rows
    ]


def products_served(category_path: str | None, limit: int) -> list[ProductRow]:
    """Some products of each category that a template of this one writes for: those at or below it, without
    those that a nearer template serves; without a category, those that no template serves by itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT category.id, category.path, EXISTS (
                SELECT 1 FROM packshot_prompttemplate AS template
                WHERE template.category_id = category.id AND template.archived_at IS NULL
            ) FROM packshot_category AS category ORDER BY category.path
            """
        )
        known: list[tuple[UUID, str, bool]] = cursor.fetchall()
        within = [each for each in known if category_path is None or _is_in(each[1], category_path)]
        nearer = [path for _, path, served in within if served and path != category_path]
        places = [each for each in within if not any(_is_in(each[1], path) for path in nearer)] or within
        cursor.execute(
            """
            SELECT found.id, found.sku, found.name, found.description, found.path, found.attributes::text
            FROM (
                SELECT product.*, place.path
                FROM unnest(%(ids)s::uuid[], %(paths)s::text[]) AS place (id, path)
                CROSS JOIN LATERAL (
                    SELECT each.id, each.sku, each.name, each.description, each.attributes,
                        row_number() OVER (ORDER BY each.id) AS turn
                    FROM packshot_product AS each
                    WHERE each.category_id = place.id AND each.archived_at IS NULL
                    ORDER BY each.id LIMIT %(most)s
                ) AS product
                UNION ALL (
                    SELECT each.id, each.sku, each.name, each.description, each.attributes,
                        row_number() OVER (ORDER BY each.id), ''
                    FROM packshot_product AS each
                    WHERE %(anywhere)s AND each.category_id IS NULL AND each.archived_at IS NULL
                    ORDER BY each.id LIMIT %(most)s
                )
            ) AS found
            ORDER BY found.turn, found.id LIMIT %(limit)s
            """,
            {
                "ids": [key for key, _, _ in places[:limit]],
                "paths": [path for _, path, _ in places[:limit]],
                # Some of each, and enough where most of them hold few.
                "most": max(10, -(-limit // max(1, len(places)))),
                "anywhere": category_path is None,
                "limit": limit,
            },
        )
        return [
            ProductRow(key, sku, name, words, path, json.loads(facts))
            for key, sku, name, words, path, facts in cursor.fetchall()
        ]


def _is_in(path: str, category_path: str) -> bool:
    return path == category_path or path.startswith(f"{category_path} > ")


FITS = ("crop", "pad")


def set_shape_fit(template_id: UUID, fit: str) -> bool:
    """How copies of its images come into their shape from now on; empty: as the site says. False: it was so.
    What was asked for keeps what held then."""
    if fit and fit not in FITS:
        raise BadInput(f"{fit!r} is none of {', '.join(FITS)}", field="shape_fit")
    if _locked(template_id).shape_fit == fit:
        return False
    PromptTemplate.objects.filter(pk=template_id).update(shape_fit=fit)
    return True


def set_archived(template_id: UUID, *, archived: bool) -> bool:
    """Put a template away, or bring it back. False: it was there already. Raises BadInput if it cannot."""
    template = _locked(template_id)
    if (template.archived_at is not None) == archived:
        return False
    if archived and template.general:
        raise BadInput(
            f"{GENERAL} serves every category without a template of its own, so it stays; change its wording"
        )
    try:
        with transaction.atomic():
            PromptTemplate.objects.filter(pk=template_id).update(
                archived_at=timezone.now() if archived else None
            )
    except IntegrityError as problem:
        raise _taken(problem, template.name, template.category_path) from None
    return True


def _locked(template_id: UUID) -> TemplateRow:
    PromptTemplate.objects.select_for_update().filter(pk=template_id).first()
    # A fresh statement: another writer's version may have been committed while this one waited.
    template = template_by_id(template_id)
    if template is None:
        raise BadInput("there is no such template", field="template")
    return template


def _taken(problem: IntegrityError, name: str, category_path: str | None) -> BadInput:
    if "packshot_template_one_per_category" in str(problem):
        return BadInput(f"another template serves {category_path} already; change that one", field="category")
    if "packshot_template_name_once" in str(problem):
        return BadInput(f"there is a template {name!r} already; change that one", field="name")
    raise problem


@dataclass(frozen=True, slots=True)
class Shipped:
    """A template that comes with the product."""

    name: str
    category_path: str | None
    text: str


def shipped_templates() -> list[Shipped]:
    """The templates of demo/templates.toml."""
    source = files("packshot.catalogue") / "demo" / "templates.toml"
    return [
        Shipped(each["name"], each.get("category"), each["text"].strip())
        for each in tomllib.loads(source.read_text("utf-8"))["template"]
    ]
