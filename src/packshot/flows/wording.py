"""Prompt templates: tried on a product, saved as a new version."""

from uuid import UUID

from django.db import transaction

from packshot import catalogue, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import Wording, prompts, templates
from packshot.catalogue.formats.text import cleaned
from packshot.catalogue.products import ProductRow
from packshot.catalogue.templates import TemplateRow
from packshot.kernel.errors import BadInput


def preview(template: str, product: ProductRow) -> prompts.Rendered:
    """The prompt that this product would get from the template's newest wording."""
    text = catalogue.template_by_name(template).text
    return prompts.render(text, facts_of(product), preferences.get("brand_style"))


def show(text: str, product: ProductRow) -> tuple[tuple[prompts.Piece, ...], prompts.Rendered]:
    """What `text`, saved or not, gives for this product: in pieces, and as it would be sent."""
    facts, style = facts_of(product), preferences.get("brand_style")
    return prompts.pieces(text, facts, style), prompts.render(text, facts, style)


def facts_of(product: ProductRow) -> prompts.ProductFacts:
    """What a prompt may say about this product."""
    return prompts.ProductFacts(
        name=product.name,
        sku=product.sku,
        description=product.description,
        category_path=tuple(part for part in product.category_path.split(" > ") if part),
        attributes=dict(product.attributes),
    )


def save(template: str, text: str, actor: Actor, *, category_path: str | None = None) -> Wording:
    """Store `text` as the template's newest version; the same text again makes none."""
    _may(actor)
    if not 1 <= len(template.strip()) <= 120:
        raise BadInput("a template's name has 1 to 120 characters", field="name")
    with transaction.atomic():
        saved = catalogue.save_template(
            template.strip(), text, category_path=category_path, person_id=actor.id
        )
        audit(actor, "save template", saved.template, version=saved.number)
    return saved


# -- in the browser ------------------------------------------------------------------------------------


def create(name: str, text: str, actor: Actor, *, category_path: str | None) -> UUID:
    """Make a template. Raises BadInput naming the field that cannot be."""
    _may(actor)
    name = " ".join(cleaned(name).split())
    if not 1 <= len(name) <= 120:
        raise BadInput("a template's name has 1 to 120 characters", field="name")
    with transaction.atomic():
        made = templates.create_template(name, typed(text), category_path=category_path, person_id=actor.id)
        audit(actor, "save template", name, version=1)
    return made


def rewrite(template_id: UUID, text: str, actor: Actor, *, based_on: int) -> TemplateRow:
    """Store `text` as the newest version; the newest one's own text again makes none.

    Raises Overtaken when `based_on`, the version that the writer saw, is not the newest any more.
    """
    _may(actor)
    with transaction.atomic():
        saved, made = templates.add_version(template_id, typed(text), based_on=based_on, person_id=actor.id)
        if made:
            audit(actor, "save template", saved.name, version=saved.number)
    return saved


def use_again(template_id: UUID, number: int, actor: Actor, *, based_on: int) -> TemplateRow:
    """Make an older version's wording the newest; raises Overtaken as `rewrite` does."""
    text = templates.version_text(template_id, number)
    if text is None:
        raise BadInput(f"there is no version {number}", field="version")
    return rewrite(template_id, text, actor, based_on=based_on)


def archive(template_id: UUID, actor: Actor) -> bool:
    """Put a template away; its prompts and versions stay. False: it was."""
    return _set_archived(template_id, actor, archived=True)


def restore(template_id: UUID, actor: Actor) -> bool:
    """Bring a template back. False: it was there. Raises BadInput when its name or category is taken."""
    return _set_archived(template_id, actor, archived=False)


def set_shape_fit(template_id: UUID, fit: str, actor: Actor) -> bool:
    """Say how copies of its images come into their shape: crop, pad, or empty for what the site says.

    False: it was so. Images that were asked for before keep what held then.
    """
    _may(actor)
    with transaction.atomic():
        changed = templates.set_shape_fit(template_id, fit)
        if changed:
            template = templates.template_by_id(template_id)
            assert template is not None, "it was just changed"
            audit(actor, "set shape fit", template.name, fit=fit or "site")
    return changed


def typed(text: str) -> str:
    """What somebody wrote into a form: line ends as everywhere else, nothing that cannot be stored."""
    return cleaned(text).strip()


def _set_archived(template_id: UUID, actor: Actor, *, archived: bool) -> bool:
    _may(actor)
    with transaction.atomic():
        changed = templates.set_archived(template_id, archived=archived)
        if changed:
            template = templates.template_by_id(template_id)
            assert template is not None, "it was just changed"
            audit(actor, "archive template" if archived else "restore template", template.name)
    return changed


def _may(actor: Actor) -> None:
    if not actor.may("edit_templates"):
        raise BadInput("your role may not change templates")
