"""Prompt templates: tried on a product, saved as a new version."""

from django.db import transaction

from packshot import catalogue, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import Wording, prompts
from packshot.catalogue.products import ProductRow
from packshot.kernel.errors import BadInput


def preview(template: str, product: ProductRow) -> prompts.Rendered:
    """The prompt that this product would get from the template's newest wording."""
    text = catalogue.template_by_name(template).text
    return prompts.render(text, facts_of(product), preferences.get("brand_style"))


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
    if not actor.may("edit_templates"):
        raise BadInput("your role may not change templates")
    if not 1 <= len(template.strip()) <= 120:
        raise BadInput("a template's name has 1 to 120 characters", field="name")
    with transaction.atomic():
        saved = catalogue.save_template(
            template.strip(), text, category_path=category_path, person_id=actor.id
        )
        audit(actor, "save template", saved.template, version=saved.number)
    return saved
