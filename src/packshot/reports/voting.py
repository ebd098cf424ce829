"""What a person may vote on without knowing who made it: the rounds, and the next product that has one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils.crypto import salted_hmac

from packshot.reports.sql import read

# So many products are looked through for the next round before somebody is asked whether to go on.
LOOKED_THROUGH = 5_000


@dataclass(frozen=True, slots=True)
class Contender:
    """An image that can be voted on: of each provider and model of a product, the newest."""

    image_id: UUID
    provider: str
    model: str
    thumb_blob: str | None
    stage_blob: str | None


@dataclass(frozen=True, slots=True)
class Round:
    """Images that stand beside each other, in the order in which this person sees them."""

    id: UUID
    product_id: UUID
    images: tuple[Contender, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said in a round. `image_id`: the best one, where one is."""

    verdict: str
    image_id: UUID | None
    blind: bool


@dataclass(frozen=True, slots=True)
class Next:
    """Where a person goes on voting. Without a product, `looked_until` says where the look ended early."""

    product_id: UUID | None
    looked_until: UUID | None = None


# Generated ones only: a photo of the shop's own has no provider to rate. Not a grid of four in one picture,
# which would tell who makes such, and from which somebody has yet to take one.
_FIT = """
    image.state = 'ready' AND image.attempt_id IS NOT NULL
    AND (image.handle ->> 'grid') IS DISTINCT FROM 'true'
"""

_CONTENDERS = f"""
    SELECT image.id AS image_id, image.provider, image.model, thumb.blob AS thumb_blob,
        stage.blob AS stage_blob
    FROM (
        SELECT DISTINCT ON (image.provider, image.model) image.id, image.provider, image.model
        FROM packshot_image AS image WHERE image.product_id = %(product)s AND {_FIT}
        ORDER BY image.provider, image.model, image.id DESC
    ) AS image
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_rendition AS stage ON stage.image_id = image.id AND stage.spec = 'webp-1200'
    WHERE NOT EXISTS (
        SELECT 1 FROM packshot_vote AS vote
        WHERE vote.person_id = %(person)s AND vote.product_id = %(product)s AND vote.withdrawn_at IS NULL
            AND image.id IN (vote.image_id, vote.other_id))
"""

# A few probes of packshot_image_by_product for each product, until one fits.
_NEXT = f"""
    SELECT looked.id FROM (
        SELECT product.id, product.name FROM packshot_product AS product
        WHERE product.archived_at IS NULL AND product.newest_image_id IS NOT NULL
            AND (%(after)s::uuid IS NULL OR (product.name, product.id) > (
                SELECT mark.name, mark.id FROM packshot_product AS mark WHERE mark.id = %(after)s))
        ORDER BY product.name, product.id LIMIT %(most)s
    ) AS looked
    WHERE (
        SELECT count(*) FROM packshot_provider AS record
        CROSS JOIN LATERAL (
            SELECT image.id FROM packshot_image AS image
            WHERE image.product_id = looked.id AND image.provider = record.name AND {_FIT}
            ORDER BY image.id DESC LIMIT 1
        ) AS newest
        WHERE NOT EXISTS (
            SELECT 1 FROM packshot_vote AS vote
            WHERE vote.person_id = %(person)s AND vote.product_id = looked.id AND vote.withdrawn_at IS NULL
                AND newest.id IN (vote.image_id, vote.other_id))
    ) >= 2
    ORDER BY looked.name, looked.id LIMIT 1
"""

_LOOKED_UNTIL = """
    SELECT product.id FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.newest_image_id IS NOT NULL
        AND (%(after)s::uuid IS NULL OR (product.name, product.id) > (
            SELECT mark.name, mark.id FROM packshot_product AS mark WHERE mark.id = %(after)s))
    ORDER BY product.name, product.id LIMIT 1 OFFSET %(most)s - 1
"""


def round_of(product_id: UUID, person_id: UUID, *, size: int) -> Round | None:
    """Up to `size` images of different providers, or else models, that this person has not voted on; None
    where there are no two. The same ones in the same order until one of them is voted on or superseded."""
    found = read(Contender, _CONTENDERS, product=product_id, person=person_id)
    found.sort(key=lambda each: _place(product_id, person_id, each.image_id))
    seen, first, rest = set[str](), list[Contender](), list[Contender]()
    for each in found:
        (rest if each.provider in seen else first).append(each)
        seen.add(each.provider)
    chosen = (first + rest)[:size]
    if len(chosen) < 2:
        return None
    chosen.sort(key=lambda each: _place(product_id, person_id, each.image_id))
    return Round(_round_id(product_id, person_id, chosen), product_id, tuple(chosen))


def answer(round_id: UUID, person_id: UUID) -> Answer | None:
    """What this person said in a round, unless it was taken back."""
    found = read(
        Answer,
        """
        SELECT vote.verdict, CASE WHEN vote.verdict = 'better' THEN vote.image_id END AS image_id, vote.blind
        FROM packshot_vote AS vote
        WHERE vote.person_id = %(person)s AND vote.round = %(round)s AND vote.withdrawn_at IS NULL LIMIT 1
        """,
        person=person_id,
        round=round_id,
    )
    return found[0] if found else None


def next_product(person_id: UUID, *, after: UUID | None) -> Next:
    """The next product by name whose newest images, of two providers at least, this person has not voted on;
    from the last one on it begins anew with the first."""
    for start in dict.fromkeys((after, None)):
        parameters: dict[str, UUID | int | None] = {
            "person": person_id,
            "after": start,
            "most": LOOKED_THROUGH,
        }
        if found := _ids(_NEXT, parameters):
            return Next(found[0])
        if ended := _ids(_LOOKED_UNTIL, parameters):
            return Next(None, ended[0])
    return Next(None)


def _ids(sql: str, parameters: dict[str, UUID | int | None]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _place(product_id: UUID, person_id: UUID, image_id: UUID) -> bytes:
    """Where an image stands among others: for each person elsewhere, and nothing that a browser could reckon
    back to a time or a provider."""
    return salted_hmac("packshot.voting.place", f"{person_id}:{product_id}:{image_id}").digest()


def _round_id(product_id: UUID, person_id: UUID, images: Sequence[Contender]) -> UUID:
    named = ":".join(sorted(str(each.image_id) for each in images))
    digest = salted_hmac("packshot.voting.round", f"{person_id}:{product_id}:{named}", algorithm="sha256")
    return UUID(bytes=digest.digest()[:16])
