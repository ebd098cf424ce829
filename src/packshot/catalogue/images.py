"""Images of products: kept at the close of an attempt, looked at later, one of them active."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from packshot.catalogue.models import Image, Product, Rendition
from packshot.catalogue.photos import PHOTO
from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7


@dataclass(frozen=True, slots=True)
class KeptImage:
    """Bytes that are in the blob store, about to become an image."""

    product_id: UUID
    generation_id: UUID
    attempt_id: UUID
    position: int
    blob: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int
    provider: str
    model: str
    simulated: bool
    digital_source_type: str
    handle: Mapping[str, Any] | None = None  # how to go on from it at its provider


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest word on a product's generations, for lists that must not look at all of them."""

    product_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image row that was written now."""

    id: UUID
    attempt_id: UUID
    created_at: datetime


def add_images(kept: Sequence[KeptImage]) -> list[NewImage]:
    """Store image rows; one that stands already (same attempt and position) is passed over.

    Returns those that are new.
    """
    if not kept:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_image (id, product_id, generation_id, attempt_id, position, blob, media_type,
                width_px, height_px, size_bytes, provider, model, simulated, digital_source_type, handle,
                state, problem, created_at)
            SELECT item.*, 'stored', '', clock_timestamp()
            FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::smallint[], %s::text[],
                %s::text[], %s::int[], %s::int[], %s::bigint[], %s::text[], %s::text[], %s::boolean[],
                %s::text[], %s::jsonb[]) AS item
            ON CONFLICT (attempt_id, position) DO NOTHING
            RETURNING id, attempt_id, created_at
            """,
            [
                [uuid7() for _ in kept],
                [each.product_id for each in kept],
                [each.generation_id for each in kept],
                [each.attempt_id for each in kept],
                [each.position for each in kept],
                [each.blob for each in kept],
                [each.media_type for each in kept],
                [each.width_px for each in kept],
                [each.height_px for each in kept],
                [each.size_bytes for each in kept],
                [each.provider for each in kept],
                [each.model for each in kept],
                [each.simulated for each in kept],
                [each.digital_source_type for each in kept],
                [None if each.handle is None else Jsonb(dict(each.handle)) for each in kept],
            ],
        )
        return [NewImage(*row) for row in cursor.fetchall()]


def lock_products(product_ids: Collection[UUID]) -> None:
    """Lock these products' rows in order of id: after generations and attempts, before budgets."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM packshot_product WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(product_ids)],
        )


def record_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Keep each product's newest generation status and its failures in a row; the last of a list wins."""
    if not outcomes:
        return
    newest = {each.product_id: each.status for each in outcomes}
    failed: dict[UUID, int] = {}
    ended_well: set[UUID] = set()
    for each in outcomes:
        if each.status == "failed":
            failed[each.product_id] = failed.get(each.product_id, 0) + 1
        elif each.status == "completed":
            ended_well.add(each.product_id)
            failed[each.product_id] = 0
    ids = sorted(newest)
    lock_products(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_product AS product
            SET last_generation_status = item.status, last_generation_at = clock_timestamp(),
                failures_in_row = CASE WHEN item.ended_well THEN 0 ELSE product.failures_in_row END
                    + item.failed
            FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::boolean[])
                AS item (id, status, failed, ended_well)
            WHERE product.id = item.id
            """,
            [
                ids,
                [newest[each] for each in ids],
                [failed.get(each, 0) for each in ids],
                [each in ended_well for each in ids],
            ],
        )


@dataclass(frozen=True, slots=True)
class Activation:
    """A product's active image was changed from `before` to `after`."""

    product_id: UUID
    sku: str
    before: UUID | None
    after: UUID
    was_placeholder: bool = False  # its listed image was a stand-in, which an active image puts an end to


def activate(image_id: UUID) -> Activation:
    """Make this image the product's active one. The product's row decides between two people at once."""
    image = Image.objects.select_related("product").filter(pk=image_id).first()
    if image is None:
        raise BadInput(f"there is no image {image_id}", field="image")
    if image.state == "broken":
        raise BadInput(
            f"image {image_id} could not be decoded ({image.problem}); choose another", field="image"
        )
    product = Product.objects.select_for_update(no_key=True).get(pk=image.product_id)
    if product.archived_at is not None:
        raise BadInput(f"product {product.sku} is archived", field="image")
    before = product.active_image_id
    Product.objects.filter(pk=product.pk).update(active_image=image, placeholder=False)
    return Activation(product.pk, product.sku, before, image.pk, product.placeholder)


def activate_newest(
    product_ids: Sequence[UUID], *, among: Collection[UUID] | None = None
) -> list[Activation]:
    """Make each product's newest image its active one, or only where it is `among` these. Returns those that
    changed: one without an image that can be shown, one whose newest is active already and an archived one
    are left alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH before AS (
                SELECT id, active_image_id, placeholder FROM packshot_product
                WHERE id = ANY(%s) AND archived_at IS NULL AND newest_image_id IS NOT NULL
                    AND newest_image_id IS DISTINCT FROM active_image_id
                    AND (%s::uuid[] IS NULL OR newest_image_id = ANY(%s::uuid[]))
                ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE packshot_product AS product
            SET active_image_id = product.newest_image_id, placeholder = false
            FROM before WHERE product.id = before.id
            RETURNING product.id, product.sku, before.active_image_id, product.active_image_id,
                before.placeholder
            """,
            [list(product_ids), *2 * [None if among is None else list(among)]],
        )
        return sorted((Activation(*row) for row in cursor.fetchall()), key=lambda each: each.sku)


def newest_images(product_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The newest image of each of these products that has one, by product."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, newest_image_id FROM packshot_product
            WHERE id = ANY(%s) AND newest_image_id IS NOT NULL
            """,
            [list(product_ids)],
        )
        return dict(cursor.fetchall())


def restore_active(done: Sequence[Activation]) -> list[UUID]:
    """Give each product back the image it had before, or none. Returns the products that changed: one whose
    active image is not the one that was set is somebody else's by now, and is left alone."""
    by_product = {each.product_id: each for each in done}
    ids = sorted(by_product)
    lock_products(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_product AS product
            SET active_image_id = item.before, placeholder = item.was_placeholder
            FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::boolean[])
                AS item (id, before, after, was_placeholder)
            WHERE product.id = item.id AND product.active_image_id = item.after
                AND product.archived_at IS NULL
                AND (item.before IS NULL OR EXISTS (
                    SELECT 1 FROM packshot_image AS image
                    WHERE image.id = item.before AND image.product_id = product.id))
            RETURNING product.id
            """,
            [
                ids,
                [by_product[each].before for each in ids],
                [by_product[each].after for each in ids],
                [by_product[each].was_placeholder for each in ids],
            ],
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class ToDecode:
    """An image whose bytes wait to be looked at."""

    id: UUID
    product_id: UUID
    generation_id: UUID | None
    blob: str
    provider: str
    model: str
    digital_source_type: str
    state: str
    created_at: datetime
    shape: str | None  # that was asked for; None: nobody asked for one
    shape_fit: str | None  # as was said then; empty: from before it was written down

    @property
    def tool(self) -> str:
        """What made it, as its copies say to everybody. Who brought a photo is nobody's business."""
        return "Packshot" if self.provider == PHOTO else self.model


def to_decode(image_id: UUID) -> ToDecode | None:
    row = (
        Image.objects.filter(pk=image_id)
        .values_list(
            "id",
            "product_id",
            "generation_id",
            "blob",
            "provider",
            "model",
            "digital_source_type",
            "state",
            "created_at",
            "generation__shape",
            "generation__shape_fit",
        )
        .first()
    )
    return ToDecode(*row) if row else None


@dataclass(frozen=True, slots=True)
class MadeRendition:
    spec: str
    blob: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int


def keep_renditions(image_id: UUID, made: Sequence[MadeRendition]) -> None:
    """Store rendition rows and mark the image ready; two makers at once leave one row a spec."""
    with connection.cursor() as cursor:
        for each in made:
            cursor.execute(
                """
                INSERT INTO packshot_rendition
                    (id, image_id, spec, blob, media_type, width_px, height_px, size_bytes, created_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now()) ON CONFLICT (image_id, spec) DO NOTHING
                """,
                [
                    uuid7(),
                    image_id,
                    each.spec,
                    each.blob,
                    each.media_type,
                    each.width_px,
                    each.height_px,
                    each.size_bytes,
                ],
            )
        cursor.execute(
            "UPDATE packshot_image SET state = 'ready', problem = '' WHERE id = %s AND state = 'stored'",
            [image_id],
        )
        if cursor.rowcount:
            # An older one may be ready later; two at once wait for the product's row and look again.
            cursor.execute(
                """
                UPDATE packshot_product AS product SET newest_image_id = image.id
                FROM packshot_image AS image
                WHERE image.id = %s AND product.id = image.product_id
                    AND (product.newest_image_id IS NULL OR product.newest_image_id < image.id)
                """,
                [image_id],
            )


@dataclass(frozen=True, slots=True)
class RenditionBytes:
    """Where a rendition's bytes are."""

    blob: str
    media_type: str


def renditions_of(image_id: UUID) -> dict[str, RenditionBytes]:
    """The renditions of an image that are made, by spec."""
    rows = Rendition.objects.filter(image_id=image_id).values_list("spec", "blob", "media_type")
    return {spec: RenditionBytes(blob, media_type) for spec, blob, media_type in rows}


def mark_broken(image_id: UUID, problem: str) -> None:
    """The bytes could not be decoded. They stay: they were paid for."""
    Image.objects.filter(pk=image_id, state="stored").update(state="broken", problem=problem[:500])


def waiting_to_be_decoded(*, older_than_s: float, limit: int = 500) -> list[UUID]:
    """Images whose renditions were never made: their background work was lost or keeps failing."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM packshot_image
            WHERE state = 'stored' AND created_at < clock_timestamp() - make_interval(secs => %s)
            ORDER BY id LIMIT %s
            """,
            [older_than_s, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def kept_blobs(*, newest: int | None, at_random: int) -> tuple[int, list[tuple[UUID, str]]]:
    """How many images there are; and of the newest and some others (None: of all) the id and the blob."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM packshot_image")
        total = int(cursor.fetchone()[0])
        if newest is None:
            cursor.execute("SELECT id, blob FROM packshot_image ORDER BY id")
        else:
            cursor.execute(
                """
                (SELECT id, blob FROM packshot_image ORDER BY id DESC LIMIT %s)
                UNION
                (SELECT id, blob FROM packshot_image ORDER BY random() LIMIT %s)
                """,
                [newest, at_random],
            )
        return total, [(row[0], row[1]) for row in cursor.fetchall()]
