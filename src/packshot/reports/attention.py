"""Products that need attention: by issue, with why, counted, and without those that are put off.

What is wrong with a product is the view's word (`products_needing_attention`); this adds what a person needs
to decide, and leaves out what somebody put off. Every read is one statement, however many issues there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from django.db import connection

from packshot.kernel import search
from packshot.reports.sql import read, read_planned
from packshot.sql.reading import planned

Issue = Literal[
    "uncertain", "generation_failed", "no_image", "placeholder", "rejected", "low_score", "old_image"
]
# From the worst to the least, as in the view.
ISSUES: tuple[Issue, ...] = get_args(Issue)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: of one issue, by words, of one person, or those put off."""

    issue: Issue | None = None
    text: str = ""
    assignee_id: UUID | None = None
    snoozed: bool = False
    made: bool | None = None  # whether there is an image of it that somebody only has to choose


@dataclass(frozen=True, slots=True)
class Needing:
    """A product, its worst issue, and what that issue rests on. What does not apply is None or empty."""

    id: UUID
    sku: str
    name: str
    category_path: str
    issue: Issue
    failures: int  # in a row
    last_attempt: datetime | None
    image_id: UUID | None  # the active one, else the newest
    thumb_blob: str | None
    newest_image_id: UUID | None
    image_at: datetime | None  # when the active image was made
    scorer: str
    score: float | None
    reason: str  # of the rejection
    decided_by: str
    generation_id: UUID | None  # the newest
    provider: str
    error_kind: str
    expected_micros: int | None  # what the newest would cost again
    assignee: str
    snoozed_until: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many products have each issue, of these how many only lack a choice, and how many are put off."""

    by_issue: Mapping[Issue, int]
    to_choose: Mapping[Issue, int]
    snoozed: int

    @property
    def total(self) -> int:
        return sum(self.by_issue.values())


_PUT_OFF = """
    EXISTS (
        SELECT 1 FROM packshot_triage AS triage
        WHERE triage.product_id = needing.id AND triage.snoozed_issue = needing.issue_type
            AND triage.snoozed_until > (SELECT packshot_now())
    )
"""

# What somebody only has to choose for, by an index that holds nothing else.
_TO_CHOOSE = """
    SELECT product.id FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.active_image_id IS NULL
        AND product.newest_image_id IS NOT NULL
"""

# For the edge of every page, which must not pay for all that a neglected catalogue lacks.
COUNTED_AT_MOST = 1_000
BOUNDED_COUNT = f"""
    (SELECT count(*) FROM (
        SELECT FROM products_needing_attention AS needing WHERE NOT {_PUT_OFF} LIMIT {COUNTED_AT_MOST}
    ) AS found)
"""

_WITH_REASONS = """
    SELECT product.id, product.sku, product.name, coalesce(category.path, '') AS category_path,
        listed.issue_type AS issue, listed.failure_count AS failures, listed.last_attempt,
        image.id AS image_id, thumb.blob AS thumb_blob, product.newest_image_id,
        CASE WHEN product.active_image_id IS NOT NULL THEN image.created_at END AS image_at,
        coalesce(score.scorer, '') AS scorer, score.value AS score,
        coalesce(review.reason, '') AS reason, coalesce(review.decided_by_name, '') AS decided_by,
        newest.id AS generation_id, coalesce(newest.provider_id, '') AS provider,
        coalesce(newest.error_kind, '') AS error_kind, newest.expected_micros,
        coalesce(person.username, '') AS assignee,
        CASE WHEN triage.snoozed_issue = listed.issue_type THEN triage.snoozed_until END AS snoozed_until
    FROM listed
    JOIN packshot_product AS product ON product.id = listed.id
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
    LEFT JOIN packshot_image AS image
        ON image.id = coalesce(product.active_image_id, product.newest_image_id)
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_review AS review
        ON listed.issue_type = 'rejected' AND review.image_id = product.active_image_id AND review.current
    LEFT JOIN LATERAL (
        SELECT score.scorer, score.value FROM packshot_score AS score
        WHERE listed.issue_type = 'low_score' AND score.image_id = product.active_image_id
        ORDER BY score.value LIMIT 1
    ) AS score ON true
    LEFT JOIN LATERAL (
        SELECT generation.id, generation.provider_id, generation.error_kind, generation.expected_micros
        FROM packshot_generation AS generation
        WHERE listed.issue_type IN ('uncertain', 'generation_failed') AND generation.product_id = product.id
        ORDER BY generation.id DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN packshot_triage AS triage ON triage.product_id = product.id
    LEFT JOIN packshot_user AS person ON person.id = triage.assignee_id
    ORDER BY listed.severity, listed.id DESC
"""


def needing(
    wanted: Wanted, *, each: int, after: UUID | None = None, among: Sequence[Issue] = ISSUES
) -> list[Needing]:
    """At most `each` products of every issue, newest products first; `after` goes on behind one of them.

    Whoever has counted names in `among` the issues that something has: the others are not read."""
    condition, parameters = _condition(wanted)
    beyond = " AND needing.id < %(after)s" if after else ""
    issues = [wanted.issue] if wanted.issue else among
    if not issues:
        return []
    # One issue at a time, so that each reads its own index and no more than it shows.
    parts = " UNION ALL ".join(
        f"""(
        SELECT needing.id, needing.issue_type, needing.severity, needing.last_attempt, needing.failure_count
        FROM products_needing_attention AS needing
        WHERE needing.issue_type = '{issue}' AND {condition}{beyond}
        ORDER BY needing.id DESC LIMIT {each:d})"""
        for issue in issues
    )
    ask = read if wanted.text else read_planned
    return ask(Needing, f"WITH listed AS MATERIALIZED ({parts}) {_WITH_REASONS}", **parameters, after=after)


def tally(wanted: Wanted) -> Tally:
    """The counts of every issue for these words and this person, whatever issue is looked at."""
    wanted = replace(wanted, issue=None, made=None)
    fits, parameters = _fits(wanted)
    with connection.cursor() if wanted.text else planned() as cursor:
        # One look at what needs attention: to plan another takes longer than to read it. Joined, because an
        # `EXISTS` of either fact would be asked of every product in turn.
        cursor.execute(
            f"""
            SELECT needing.issue_type, count(*), count(put_off.product_id), count(made.id),
                count(made.id) FILTER (WHERE put_off.product_id IS NOT NULL)
            FROM products_needing_attention AS needing
            LEFT JOIN packshot_triage AS put_off
                ON put_off.product_id = needing.id AND put_off.snoozed_issue = needing.issue_type
                AND put_off.snoozed_until > (SELECT packshot_now())
            LEFT JOIN ({_TO_CHOOSE}) AS made
                ON made.id = needing.id AND needing.issue_type IN ('no_image', 'placeholder')
            WHERE {fits}
            GROUP BY needing.issue_type
            """,
            parameters or None,
        )
        counts = {issue: (number, off, made, made_off) for issue, number, off, made, made_off in cursor}
    by_issue: dict[Issue, int] = {}
    to_choose: dict[Issue, int] = {}
    for issue in ISSUES:
        number, off, made, made_off = counts.get(issue, (0, 0, 0, 0))
        by_issue[issue] = off if wanted.snoozed else number - off
        to_choose[issue] = made_off if wanted.snoozed else made - made_off
    return Tally(by_issue, to_choose, sum(off for _, off, _, _ in counts.values()))


def ids(wanted: Wanted, *, limit: int) -> list[UUID]:
    """The products of `wanted`, at most `limit`, without those whose charge nobody knows: that is settled
    first."""
    condition, parameters = _condition(wanted)
    issue = "needing.issue_type = %(issue)s" if wanted.issue else "needing.issue_type <> 'uncertain'"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT needing.id FROM products_needing_attention AS needing
            WHERE {issue} AND {condition} ORDER BY needing.severity, needing.id DESC LIMIT %(limit)s
            """,
            {**parameters, "issue": wanted.issue, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def issues_of(product_ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
    """What is wrong with each of these; a product without an issue is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT needing.id, needing.issue_type FROM products_needing_attention AS needing
            WHERE needing.id = ANY(%s::uuid[])
            """,
            [list(product_ids)],
        )
        return [(product_id, issue) for product_id, issue in cursor.fetchall()]


def _condition(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """What a listed product must fit, put off or not."""
    fits, parameters = _fits(wanted)
    return f"{fits} AND {_PUT_OFF if wanted.snoozed else f'NOT {_PUT_OFF}'}", parameters


def _fits(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """The same, whether it is put off or not."""
    parts = ["true"]
    parameters: dict[str, Any] = {}
    if wanted.text:
        fits = search.all_of("sought.words", wanted.text, parameters)
        parts.append(
            f"needing.id = ANY (ARRAY(SELECT sought.id FROM packshot_product AS sought WHERE {fits}))"
        )
    if wanted.assignee_id:
        parts.append(
            """EXISTS (
                SELECT 1 FROM packshot_triage AS own
                WHERE own.product_id = needing.id AND own.assignee_id = %(assignee)s)"""
        )
        parameters["assignee"] = wanted.assignee_id
    if wanted.made is not None:
        parts.append(f"needing.id {'= ANY' if wanted.made else '<> ALL'} (ARRAY({_TO_CHOOSE}))")
    return " AND ".join(parts), parameters
