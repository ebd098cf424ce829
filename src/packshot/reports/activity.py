"""What happened lately, in the order it happened: the same thing many times in a row is one line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from packshot.sql.reading import planned

# How far back the log of events is looked through. A bulk run may have thousands of turns that nobody
# wants to read between two that somebody does.
_LOOKED_THROUGH = 20_000
_READ_AT_MOST = 300
_TOLD = {
    "generation": ("completed", "failed", "uncertain"),
    "product": ("activated", "restored"),
    "catalogue": ("imported",),
    "provider": (
        "paused",
        "resumed",
        "stopped",
        "recovered",
        "on",
        "off",
        "model_stops",
        "priced",
        "draining",
    ),
    "spending": ("stopped", "resumed"),
    "ledger": ("broken",),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the feed: the same thing `count` times in a row, the rest is of the newest.

    `name` and `sku` are the product's, or the provider's label; `detail` is why it failed or was paused.
    """

    id: int  # of the newest event
    topic: str
    kind: str
    at: datetime
    count: int
    provider: str  # empty: several, or none
    by: str
    sku: str = ""
    name: str = ""
    detail: str = ""
    thumb_blob: str | None = None
    created: int = 0  # by an import
    changed: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    topic: str
    kind: str
    subject: str
    at: datetime
    provider: str
    by: str
    created: int
    changed: int
    rejected: int
    words: str


_EVENTS = f"""
    SELECT event.id, event.topic, event.kind, event.subject, event.at,
        coalesce(event.data ->> 'provider', '') AS provider, coalesce(event.data ->> 'by', '') AS by,
        coalesce((event.data ->> 'created')::integer, 0) AS created,
        coalesce((event.data ->> 'changed')::integer, 0) AS changed,
        coalesce((event.data ->> 'rejected')::integer, 0) AS rejected,
        coalesce(event.data ->> 'words', '') AS words
    FROM packshot_event AS event
    WHERE event.id > (SELECT max(id) FROM packshot_event) - {_LOOKED_THROUGH}
        AND event.topic || ' ' || event.kind = ANY(%(told)s)
    ORDER BY event.id DESC
    LIMIT {_READ_AT_MOST}
"""

_DETAILS = """
    SELECT generation.id::text, product.sku, product.name, generation.error_kind, image.blob
    FROM packshot_generation AS generation
    JOIN packshot_product AS product ON product.id = generation.product_id
    LEFT JOIN LATERAL (
        SELECT thumb.blob FROM packshot_image AS image
        JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
        WHERE image.generation_id = generation.id ORDER BY image.id DESC LIMIT 1
    ) AS image ON true
    WHERE generation.id = ANY(%(generations)s)
    UNION ALL
    SELECT product.id::text, product.sku, product.name, '', thumb.blob
    FROM packshot_product AS product
    LEFT JOIN packshot_rendition AS thumb
        ON thumb.image_id = product.active_image_id AND thumb.spec = 'webp-320'
    WHERE product.id = ANY(%(products)s)
    UNION ALL
    SELECT provider.name, '', provider.label, provider.paused_message, NULL
    FROM packshot_provider AS provider
    WHERE provider.name = ANY(%(providers)s)
"""


def activity(limit: int = 8) -> list[Happened]:
    """The newest lines of the feed, newest first. Two queries."""
    lines = [list(same) for _, same in groupby(_events(), key=lambda event: (event.topic, event.kind))]
    heads = lines[:limit]
    details = _details([events[0] for events in heads])
    return [_line(events, details.get(events[0].subject)) for events in heads]


def _events() -> list[_Event]:
    told = [f"{topic} {kind}" for topic, kinds in _TOLD.items() for kind in kinds]
    with planned() as cursor:
        cursor.execute(_EVENTS, {"told": told})
        return [_Event(*row) for row in cursor.fetchall()]


def _details(heads: Sequence[_Event]) -> dict[str, tuple[str, str, str, str | None]]:
    """SKU, name, detail and thumbnail by the subject of the event."""
    if not heads:
        return {}
    with planned() as cursor:
        cursor.execute(
            _DETAILS,
            {
                "generations": [UUID(each.subject) for each in heads if each.topic == "generation"],
                "products": [UUID(each.subject) for each in heads if each.topic == "product"],
                "providers": [each.subject for each in heads if each.topic == "provider"],
            },
        )
        return {subject: (sku, name, detail, blob) for subject, sku, name, detail, blob in cursor.fetchall()}


def _line(events: Sequence[_Event], detail: tuple[str, str, str, str | None] | None) -> Happened:
    newest = events[0]
    sku, name, why, blob = detail or ("", "", "", None)
    providers = {event.provider for event in events}
    people = {event.by for event in events}
    return Happened(
        id=newest.id,
        topic=newest.topic,
        kind=newest.kind,
        at=newest.at,
        count=len(events),
        provider=newest.subject
        if newest.topic == "provider"
        else newest.provider
        if len(providers) == 1
        else "",
        by=newest.by if len(people) == 1 else "",
        sku=sku,
        name=name or (newest.subject if newest.topic == "provider" else ""),
        # Why a provider is paused now is not why it was paused then.
        detail=newest.words or (why if newest.kind in ("failed", "uncertain", "paused") else ""),
        thumb_blob=blob,
        created=newest.created,
        changed=newest.changed,
        rejected=newest.rejected,
    )
