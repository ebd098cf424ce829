"""Everything that was ever made for a product, and which image of it was active when. Nothing disappears."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from packshot.kernel.money import dollars
from packshot.reports.sql import document, read_together

Standing = Literal["undecided", "approved", "rejected", "failed"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
PROMPT_CHARS = 300
TURNS_SHOWN = 30
_DESCENDANTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Past:
    """Which of it: of a provider, of a person, by how it stands; what is older than an id."""

    provider: str = ""
    person: str = ""
    standing: Standing | None = None
    older: UUID | None = None


@dataclass(frozen=True, slots=True)
class Kin:
    """An image that another was made from, or that was made from it. `number`: among its product's images;
    None: of another product, which `sku` names."""

    image_id: UUID
    number: int | None
    sku: str
    model: str  # that made the later of the two


@dataclass(frozen=True, slots=True)
class Entry:
    """One image and how it came about; or a generation that brought none: then `image_id` is None, and
    `failure` says how it ended. `cost_micros`: None, when nobody knows."""

    id: UUID
    image_id: UUID | None
    generation_id: UUID | None
    number: int | None
    provider: str
    model: str
    simulated: bool
    state: str  # of the image
    problem: str
    active: bool
    thumb_blob: str | None
    prompt: str
    template: str
    template_version: int | None
    cost_micros: int | None
    seconds: float | None
    person: str
    created_at: datetime
    review: str  # approved, rejected; empty: not decided
    reason: str
    failure: str  # failed, uncertain; empty: there is an image
    error_kind: str
    error_message: str
    tries: int
    made_from: Sequence[Kin]
    used_for: Sequence[Kin]

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_micros is None else dollars(self.cost_micros)


@dataclass(frozen=True, slots=True)
class Turn:
    """The active image was changed; `number` is the new one's, None when there was none from then on."""

    at: datetime
    by: str
    image_id: UUID | None
    number: int | None
    thumb_blob: str | None
    provider: str
    model: str
    undone: bool  # it was an earlier choice that was taken back


@dataclass(frozen=True, slots=True)
class History:
    """One page of a product's past, newest first, and what it can be narrowed to."""

    entries: Sequence[Entry]
    has_older: bool
    providers: Sequence[str]
    people: Sequence[str]
    turns: Sequence[Turn]
    more_turns: bool


# Image 3 is the third that the product got.
NUMBERED = """
    SELECT id, row_number() OVER (ORDER BY id)::int AS number
    FROM packshot_image WHERE product_id = %(product)s
"""

# What a generation was given, as JSON: [image, number, SKU where it is another product's, model].
MADE_FROM = """
    SELECT json_agg(json_build_array(source.id, origin.number,
        CASE WHEN source.product_id <> %(product)s THEN other.sku ELSE '' END, generation.model)
        ORDER BY given.place)::text
    FROM jsonb_array_elements(generation.inputs) WITH ORDINALITY AS given (item, place)
    JOIN packshot_image AS source ON source.id = (given.item ->> 'image_id')::uuid
    JOIN packshot_product AS other ON other.id = source.product_id
    LEFT JOIN numbered AS origin ON origin.id = source.id
    WHERE given.item ->> 'role' = 'image'
"""

_USED_FOR = f"""
    SELECT json_agg(json_build_array(found.id, found.number, found.sku, found.model) ORDER BY found.id)::text
    FROM (
        SELECT child.id, heir.number, later.model,
            CASE WHEN child.product_id <> %(product)s THEN other.sku ELSE '' END AS sku
        FROM packshot_generation AS later
        JOIN packshot_image AS child ON child.generation_id = later.id
        JOIN packshot_product AS other ON other.id = child.product_id
        LEFT JOIN numbered AS heir ON heir.id = child.id
        WHERE later.inputs <> '[]'::jsonb
            AND later.inputs
                @> jsonb_build_array(jsonb_build_object('image_id', page.id::text, 'role', 'image'))
        ORDER BY child.id LIMIT {_DESCENDANTS_SHOWN}
    ) AS found
"""

# `{images}` and `{failures}` is what it is narrowed to.
_ENTRIES = """
    WITH numbered AS MATERIALIZED ({numbered}),
    page AS MATERIALIZED (
        SELECT * FROM (
            (SELECT image.id, true AS made
            FROM packshot_image AS image
            LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
            LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
            LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
            WHERE image.product_id = %(product)s AND {images}
            ORDER BY image.id DESC LIMIT {limit})
            UNION ALL
            (SELECT generation.id, false
            FROM packshot_generation AS generation
            WHERE generation.product_id = %(product)s AND generation.status IN ('failed', 'uncertain')
                AND {failures}
            ORDER BY generation.id DESC LIMIT {limit})
        ) AS every ORDER BY id DESC LIMIT {limit}
    )
    SELECT page.id, image.id, generation.id, numbered.number,
        coalesce(image.provider, generation.provider_id), coalesce(image.model, generation.model),
        coalesce(image.simulated, generation.simulated), coalesce(image.state, ''),
        coalesce(image.problem, ''), coalesce(image.id = product.active_image_id, false), thumb.blob,
        left(coalesce(generation.prompt, ''), {prompt_chars}), coalesce(template.name, ''), version.number,
        CASE WHEN page.made THEN floor(packshot_image_cost_micros(image.attempt_id))::bigint
            WHEN generation.cost_unknown OR generation.status = 'uncertain' THEN NULL
            ELSE coalesce(generation.actual_micros, 0) END,
        extract(epoch FROM generation.completed_at - generation.started_at)::float8,
        coalesce(generation.asked_by_name, photo.brought_by_name, ''),
        coalesce(image.created_at, generation.completed_at, generation.created_at),
        coalesce(review.decision, ''), coalesce(review.reason, ''),
        CASE WHEN page.made THEN '' ELSE generation.status END,
        CASE WHEN page.made THEN '' ELSE generation.error_kind END,
        CASE WHEN page.made THEN '' ELSE generation.error_message END, coalesce(generation.attempts, 0),
        CASE WHEN generation.inputs <> '[]'::jsonb THEN ({made_from}) END,
        CASE WHEN page.made THEN ({used_for}) END
    FROM page
    JOIN packshot_product AS product ON product.id = %(product)s
    LEFT JOIN packshot_image AS image ON page.made AND image.id = page.id
    LEFT JOIN packshot_generation AS generation
        ON generation.id = CASE WHEN page.made THEN image.generation_id ELSE page.id END
    LEFT JOIN numbered ON numbered.id = image.id
    LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
    LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
    LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
    ORDER BY page.id DESC
"""

_CHOICES = """
    SELECT ARRAY(
        SELECT provider FROM packshot_image WHERE product_id = %(product)s
        UNION SELECT provider_id FROM packshot_generation
        WHERE product_id = %(product)s AND status IN ('failed', 'uncertain')
        ORDER BY 1
    ), ARRAY(
        SELECT asked_by_name FROM packshot_generation
        WHERE product_id = %(product)s AND status IN ('completed', 'failed', 'uncertain')
        UNION SELECT brought_by_name FROM packshot_photo WHERE product_id = %(product)s
        ORDER BY 1
    )
"""

# The audit log is what is kept for ever. One image of one product stands there by its SKU, many at once as
# [SKU, before, after] each; what was taken back is written the way it had been done.
_TURNS = f"""
    WITH numbered AS MATERIALIZED ({NUMBERED}),
    changes AS (
        (SELECT entry.id, entry.at, entry.actor_name, entry.detail ->> 'image' AS image,
            entry.detail ->> 'image' AS named, false AS undone
        FROM packshot_auditentry AS entry
        WHERE entry.action = 'activate image' AND entry.subject = %(sku)s
        ORDER BY entry.id DESC LIMIT {TURNS_SHOWN + 1})
        UNION ALL
        (SELECT entry.id, entry.at, entry.actor_name,
            CASE WHEN entry.action = 'restore active images' THEN change.item ->> 1
                ELSE change.item ->> 2 END,
            change.item ->> 2, entry.action = 'restore active images'
        FROM packshot_auditentry AS entry
        CROSS JOIN LATERAL jsonb_array_elements(entry.detail -> 'changes') AS change (item)
        WHERE entry.action IN ('activate newest images', 'restore active images')
            AND entry.detail -> 'changes' @> jsonb_build_array(jsonb_build_array(%(sku)s::text))
            AND change.item ->> 0 = %(sku)s
        ORDER BY entry.id DESC LIMIT {TURNS_SHOWN + 1})
    )
    SELECT changes.at, changes.actor_name, image.id, numbered.number, thumb.blob,
        coalesce(image.provider, ''), coalesce(image.model, ''), changes.undone
    FROM changes
    -- An archived product may have had the same SKU.
    JOIN packshot_image AS named ON named.id = changes.named::uuid AND named.product_id = %(product)s
    LEFT JOIN packshot_image AS image ON image.id = changes.image::uuid
    LEFT JOIN numbered ON numbered.id = image.id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    ORDER BY changes.id DESC LIMIT {TURNS_SHOWN + 1}
"""


def history(product_id: UUID, sku: str, past: Past, *, limit: int) -> History:
    """One page of everything that was made for this product, in one trip to the database."""
    entries_of, choices, turns_of = read_together(
        _entries(past, limit + 1),
        _CHOICES,
        _TURNS,
        product=product_id,
        sku=sku,
        older=past.older,
        provider=past.provider,
        person=past.person,
        standing=past.standing or "",
    )
    entries = [_entry(row) for row in entries_of.fetchall()]
    ((providers, people),) = choices.fetchall()
    turns = [Turn(*row) for row in turns_of.fetchall()]
    return History(
        entries[:limit],
        len(entries) > limit,
        [each for each in providers if each],
        [each for each in people if each],
        turns[:TURNS_SHOWN],
        len(turns) > TURNS_SHOWN,
    )


def _entries(past: Past, limit: int) -> str:
    images, failures = ["true"], ["true"]
    if past.older is not None:
        images.append("image.id < %(older)s")
        failures.append("generation.id < %(older)s")
    if past.provider:
        images.append("image.provider = %(provider)s")
        failures.append("generation.provider_id = %(provider)s")
    if past.person:
        images.append("coalesce(generation.asked_by_name, photo.brought_by_name) = %(person)s")
        failures.append("generation.asked_by_name = %(person)s")
    if past.standing is not None:
        images.append("coalesce(review.decision, 'undecided') = %(standing)s")
        failures.append("true" if past.standing == "failed" else "false")
    return _ENTRIES.format(
        numbered=NUMBERED,
        made_from=MADE_FROM,
        used_for=_USED_FOR,
        prompt_chars=PROMPT_CHARS,
        images=" AND ".join(images),
        failures=" AND ".join(failures),
        limit=limit,
    )


def kin(stored: Any) -> tuple[Kin, ...]:
    """What a query wrote down of an image's kin."""
    return tuple(Kin(UUID(image), number, sku, model) for image, number, sku, model in document(stored) or ())


def _entry(row: Sequence[Any]) -> Entry:
    entry = Entry(*row)
    return replace(entry, made_from=kin(entry.made_from), used_for=kin(entry.used_for))
