"""What pages show of actions on many, of saved views, and of every generation of a filter for a file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from packshot.reports.finding import Filter, Scope
from packshot.reports.sql import read
from packshot.sql.reading import planned

EXPORTED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action on many. `quoted` is in dollars; None: not every price was known."""

    id: UUID
    kind: str
    asked_by_name: str
    filter: Mapping[str, str]
    chosen: bool
    arguments: Mapping[str, Any]
    undo_of_id: UUID | None
    undone_by_id: UUID | None
    run_id: UUID | None
    size: int
    lines: Sequence[Mapping[str, Any]]
    quoted: Decimal | None
    done: int
    failed: int
    skipped: int
    created_at: datetime
    finished_at: datetime | None
    stopped_by_name: str
    can_be_undone: bool

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One generation of an action, and what became of it."""

    place: int
    generation_id: UUID
    sku: str
    product_name: str
    provider: str
    outcome: str  # empty: its turn has not come
    reason: str
    before: str
    quoted: Decimal | None
    made_id: UUID | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A saved view, of one's own or shared."""

    id: UUID
    name: str
    query: str
    shared: bool
    opens: bool
    saved_by_name: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """What stands around the Queue: the views that a person can open, and the actions that are under way."""

    views: tuple[ViewRow, ...]
    running: tuple[ActionRow, ...]

    @property
    def opens(self) -> ViewRow | None:
        """What the bare address shows this person: their own default, or else everybody's."""
        found = [each for each in self.views if each.opens]
        return min(found, key=lambda each: each.shared) if found else None


_ACTIONS = """
    SELECT action.id, action.kind, action.asked_by_name, action.filter::text AS filter, action.chosen,
        action.arguments::text AS arguments, action.undo_of_id, undo.id AS undone_by_id, action.run_id,
        action.size, action.quoted::text AS lines, packshot_dollars(action.quoted_micros) AS quoted,
        action.done, action.failed, action.skipped, action.created_at, action.finished_at,
        action.stopped_by_name,
        action.kind IN ('cancel', 'reprioritise') AND action.finished_at IS NOT NULL AND action.done > 0
            AND undo.id IS NULL AS can_be_undone
    FROM packshot_bulk_action AS action
    LEFT JOIN packshot_bulk_action AS undo ON undo.undo_of_id = action.id
    WHERE {condition}
    ORDER BY action.id DESC LIMIT %(limit)s
"""

_ITEMS = """
    SELECT item.place, item.generation_id, product.sku, product.name AS product_name,
        generation.provider_id AS provider, item.outcome, item.reason, item.before,
        packshot_dollars(item.quoted_micros) AS quoted, item.made_id, item.at
    FROM (
        SELECT * FROM packshot_bulk_item
        WHERE action_id = %(id)s AND place > %(after)s
            AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
        ORDER BY place LIMIT %(limit)s) AS item
    JOIN packshot_generation AS generation ON generation.id = item.generation_id
    JOIN packshot_product AS product ON product.id = generation.product_id
    ORDER BY item.place
"""


def shelf(person_id: UUID | None, place: str) -> Shelf:
    """The views of a place that this person can open, and what is under way. One statement."""
    with planned() as cursor:
        cursor.execute(
            """
            SELECT
                (SELECT json_agg(json_build_array(view.id, view.name, view.query, view.owner_id IS NULL,
                    view.opens, view.saved_by_name) ORDER BY view.owner_id IS NULL, lower(view.name))::text
                FROM packshot_saved_view AS view
                WHERE view.place = %(place)s AND (view.owner_id IS NULL OR view.owner_id = %(person)s)),
                (SELECT array_agg(id ORDER BY id DESC) FROM packshot_bulk_action WHERE finished_at IS NULL)
            """,
            {"place": place, "person": person_id},
        )
        views, running = cursor.fetchone()
    return Shelf(
        tuple(ViewRow(UUID(each[0]), *each[1:]) for each in json.loads(views or "[]")),
        tuple(actions(ids=running)) if running else (),
    )


def actions(
    *, limit: int = 50, after: UUID | None = None, ids: Sequence[UUID] | None = None
) -> list[ActionRow]:
    """Actions on many, the newest first; the next page is `after` the id of this one's last."""
    condition = "true"
    if after is not None:
        condition += " AND action.id < %(after)s"
    if ids is not None:
        condition += " AND action.id = ANY(%(ids)s)"
    rows = read(
        ActionRow,
        _ACTIONS.format(condition=condition),
        limit=limit,
        after=after,
        ids=None if ids is None else list(ids),
    )
    return [_decoded(row) for row in rows]


def _decoded(row: ActionRow) -> ActionRow:
    return replace(
        row,
        filter=json.loads(str(row.filter)),
        arguments=json.loads(str(row.arguments)),
        lines=json.loads(str(row.lines)),
    )


def action(action_id: UUID) -> ActionRow | None:
    """One action, None when there is none."""
    return next(iter(actions(ids=[action_id])), None)


def items(action_id: UUID, *, outcome: str | None = None, after: int = -1, limit: int = 100) -> list[ItemRow]:
    """The items of an action in their turn; the next page is `after` the place of this one's last."""
    return read(ItemRow, _ITEMS, id=action_id, outcome=outcome, after=after, limit=limit)


# Every column of the view, and what it names by id.
_EXPORT = """
    SELECT monitor.*, generation.priority, coalesce(category.path, '') AS category,
        coalesce(template.name, '') AS template, version.number AS template_version,
        coalesce(run.title, '') AS run_title, generation.shape, generation.images AS images_wanted,
        generation.retry_of_id AS retry_of,
        (SELECT attempt.request_id FROM packshot_attempt AS attempt
        WHERE attempt.generation_id = monitor.id ORDER BY attempt.number DESC LIMIT 1) AS request_id
    FROM unnest(ARRAY({ids})) WITH ORDINALITY AS page (id, place)
    JOIN image_generation_monitor AS monitor ON monitor.id = page.id
    JOIN packshot_generation AS generation ON generation.id = page.id
    JOIN packshot_product AS product ON product.id = generation.product_id
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
    LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
    LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
    LEFT JOIN packshot_run AS run ON run.id = generation.run_id
    ORDER BY page.place
"""


class Export:
    """Every generation of a filter, newest first, so many at a time: as much memory for ten million rows as
    for a thousand."""

    def __init__(self, wanted: Filter) -> None:
        self._scope = Scope(wanted)
        self._edge: UUID | None = None
        self.columns: tuple[str, ...] = ()

    def next(self) -> list[tuple[Any, ...]]:
        """The next rows; none: there are no more. A row that changes meanwhile is given once."""
        with connection.cursor() as cursor:
            cursor.execute(
                _EXPORT.format(ids=self._scope.ids(EXPORTED_AT_ONCE, after=self._edge)),
                {**self._scope.parameters, "edge": self._edge, "limit": EXPORTED_AT_ONCE},
            )
            self.columns = tuple(column.name for column in cursor.description)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        if rows:
            self._edge = rows[-1][self.columns.index("id")]
        return rows

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        while rows := self.next():
            yield rows
