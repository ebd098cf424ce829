"""Prompt templates: which wording a product's category uses. A version never changes once written."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from uuid import UUID

from django.db import connection, transaction

from packshot.catalogue import prompts
from packshot.catalogue.models import Category, PromptTemplate, PromptTemplateVersion
from packshot.kernel.errors import BadInput


@dataclass(frozen=True, slots=True)
class Wording:
    """The newest version of a template."""

    id: UUID
    template: str
    number: int
    text: str


def template_by_name(name: str) -> Wording:
    """The newest wording of the template called `name`."""
    version = (
        PromptTemplateVersion.objects.filter(template__name=name, template__archived_at=None)
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
    return Wording(version.id, name, version.number, version.text)


def templates_for(category_paths: Sequence[str]) -> dict[str, Wording]:
    """For each category path the wording of the nearest category above it, else the general one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (template.id) coalesce(category.path, ''), template.name, version.id,
                version.number, version.text
            FROM packshot_prompttemplate AS template
            JOIN packshot_prompttemplateversion AS version ON version.template_id = template.id
            LEFT JOIN packshot_category AS category ON category.id = template.category_id
            WHERE template.archived_at IS NULL AND (template.category_id IS NOT NULL OR template.name = %s)
            ORDER BY template.id, version.number DESC
            """,
            [GENERAL],
        )
        known = {
            path: Wording(key, name, number, text) for path, name, key, number, text in cursor.fetchall()
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
