"""Prompt templates: which wording a product's category uses. A version never changes once written."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from packshot.catalogue import prompts
from packshot.catalogue.models import Category, Product, PromptTemplate, PromptTemplateVersion
from packshot.catalogue.products import ProductRow
from packshot.kernel.errors import BadInput, PackshotError


@dataclass(frozen=True, slots=True)
class Wording:
    """The newest version of a template."""

    id: UUID
    template: str
    number: int
    text: str
    shape_fit: str = ""  # crop or pad; empty: as the site says


def template_by_name(name: str) -> Wording:
    """The newest wording of the template called `name`."""
    version = (
        PromptTemplateVersion.objects.filter(template__name=name, template__archived_at=None)
        .select_related("template")
        .order_by("-number")
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
            SELECT DISTINCT ON (template.id) coalesce(category.path, ''), template.name, version.id,
                version.number, version.text, template.shape_fit
            FROM packshot_prompttemplate AS template
            JOIN packshot_prompttemplateversion AS version ON version.template_id = template.id
            LEFT JOIN packshot_category AS category ON category.id = template.category_id
            WHERE template.archived_at IS NULL AND (template.category_id IS NOT NULL OR template.name = %s)
            ORDER BY template.id, version.number DESC
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
    name: str, text: str, *, category_path: str | None = None, person_id: UUID | None = None
) -> Wording:
    """Store `text` as the newest version of the template `name`; the same text again changes nothing."""
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    with transaction.atomic():
        category = None
        if category_path:
            category, _ = Category.objects.get_or_create(
                path=category_path, defaults={"name": category_path.split(" > ")[-1]}
            )
        template, _ = PromptTemplate.objects.get_or_create(
            name=name, archived_at=None, defaults={"category": category}
        )
        template = PromptTemplate.objects.select_for_update().get(pk=template.pk)
        last = template.versions.order_by("-number").first()
        if last is not None and last.text == text:
            return Wording(last.id, name, last.number, text)
        version = PromptTemplateVersion.objects.create(
            template=template, number=(last.number if last else 0) + 1, text=text, created_by_id=person_id
        )
    return Wording(version.id, name, version.number, text)


# -- for people who edit them ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template with its newest wording, who wrote that and when."""

    id: UUID
    name: str
    category_path: str | None
    archived_at: datetime | None
    number: int
    text: str
    by_name: str | None  # None: it came with Packshot, or from the command line
    at: datetime
    shape_fit: str  # crop or pad; empty: as the site says

    @property
    def general(self) -> bool:
        """Whether it serves every category that has no template of its own or above it."""
        return self.name == GENERAL


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One wording of a template."""

    number: int
    text: str
    by_name: str | None
    at: datetime


class Overtaken(PackshotError):
    """Somebody else saved a newer version meanwhile, which nobody may write over unseen."""

    def __init__(self, newest: TemplateRow) -> None:
        super().__init__(f"version {newest.number} of {newest.name} was saved meanwhile")
        self.newest = newest


_NEWEST = """
    SELECT template.id, template.name, category.path, template.archived_at, version.number, version.text,
        person.username, version.created_at, template.shape_fit
    FROM packshot_prompttemplate AS template
    JOIN LATERAL (
        SELECT * FROM packshot_prompttemplateversion AS each WHERE each.template_id = template.id
        ORDER BY each.number DESC LIMIT 1
    ) AS version ON true
    LEFT JOIN packshot_category AS category ON category.id = template.category_id
    LEFT JOIN packshot_user AS person ON person.id = version.created_by_id
"""


def templates(*, archived: bool = False) -> list[TemplateRow]:
    """The templates in use, or those put away: the general one first, then by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_NEWEST} WHERE (template.archived_at IS NOT NULL) = %s"
            " ORDER BY template.name <> %s, lower(template.name), template.id",
            [archived, GENERAL],
        )
        return [TemplateRow(*row) for row in cursor.fetchall()]


def template_by_id(template_id: UUID) -> TemplateRow | None:
    with connection.cursor() as cursor:
        cursor.execute(f"{_NEWEST} WHERE template.id = %s", [template_id])
        row = cursor.fetchone()
    return TemplateRow(*row) if row else None


def versions(template_id: UUID, limit: int = 50) -> list[VersionRow]:
    """Its wordings, newest first."""
    found = (
        PromptTemplateVersion.objects.filter(template_id=template_id)
        .order_by("-number")
        .values_list("number", "text", "created_by__username", "created_at")
    )
    return [VersionRow(*row) for row in found[:limit]]


def free_categories() -> list[str]:
    """The paths of categories that no template in use serves by itself."""
    served = PromptTemplate.objects.filter(archived_at=None, category=OuterRef("pk"))
    return list(Category.objects.exclude(Exists(served)).order_by("path").values_list("path", flat=True))


def create_template(name: str, text: str, *, category_path: str | None, person_id: UUID | None) -> UUID:
    """Make a template with its first wording. Raises BadInput for a name or a category that is taken."""
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    category = None
    if category_path:
        category = Category.objects.filter(path=category_path).first()
        if category is None:
            raise BadInput(f"there is no category {category_path!r}", field="category")
    try:
        with transaction.atomic():
            template = PromptTemplate.objects.create(name=name, category=category)
    except IntegrityError as problem:
        raise _taken(problem, name, category_path) from None
    PromptTemplateVersion.objects.create(template=template, number=1, text=text, created_by_id=person_id)
    return template.id


def add_version(
    template_id: UUID, text: str, *, based_on: int, person_id: UUID | None
) -> tuple[TemplateRow, bool]:
    """Store `text` as the newest wording. False beside it: that was the newest one's text already.

    `based_on` is the number of the version that the writer saw: raises Overtaken when it is not the newest.
    """
    if problems := prompts.problems(text):
        raise BadInput("; ".join(problems), field="text")
    newest = _locked(template_id)
    if newest.text == text:
        return newest, False
    if newest.number != based_on:
        raise Overtaken(newest)
    PromptTemplateVersion.objects.create(
        template_id=template_id, number=newest.number + 1, text=text, created_by_id=person_id
    )
    saved = template_by_id(template_id)
    assert saved is not None, "its row is locked"
    return saved, True


def version_text(template_id: UUID, number: int) -> str | None:
    """The wording of one version, or None when there is none of this number."""
    return (
        PromptTemplateVersion.objects.filter(template_id=template_id, number=number)
        .values_list("text", flat=True)
        .first()
    )


def products_to_try(text: str = "", *, category_path: str | None = None, limit: int = 5) -> list[ProductRow]:
    """Some products to try a wording on: whose SKU or name holds `text`, of this category or below it."""
    found = Product.objects.filter(archived_at=None)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(sku__icontains=text))
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
