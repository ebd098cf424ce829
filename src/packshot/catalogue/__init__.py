"""Products, images, prompt templates."""

from packshot.catalogue.images import (
    Activation,
    KeptImage,
    MadeRendition,
    NewImage,
    Outcome,
    ToDecode,
    activate,
    add_images,
    keep_renditions,
    mark_broken,
    record_outcomes,
    to_decode,
    waiting_to_be_decoded,
)
from packshot.catalogue.products import ProductRow, by_id, by_sku, without_image
from packshot.catalogue.templates import (
    GENERAL,
    Wording,
    has_template,
    save_template,
    template_by_name,
    templates_for,
)

__all__ = [
    "GENERAL",
    "Activation",
    "KeptImage",
    "MadeRendition",
    "NewImage",
    "Outcome",
    "ProductRow",
    "ToDecode",
    "Wording",
    "activate",
    "add_images",
    "by_id",
    "by_sku",
    "has_template",
    "keep_renditions",
    "mark_broken",
    "record_outcomes",
    "save_template",
    "template_by_name",
    "templates_for",
    "to_decode",
    "waiting_to_be_decoded",
    "without_image",
]
