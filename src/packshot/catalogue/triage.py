"""Products that need attention: put off for a while, or given to somebody."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection


def snooze(issues: Sequence[tuple[UUID, str]], days: int, by: str) -> None:
    """Put these products off, each for the issue it has, for so many days of the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_triage (product_id, snoozed_issue, snoozed_until, snoozed_by_name)
            SELECT product_id, issue, packshot_now() + make_interval(days => %(days)s), %(by)s
            FROM unnest(%(products)s::uuid[], %(issues)s::text[]) AS asked (product_id, issue)
            ORDER BY product_id
            ON CONFLICT (product_id) DO UPDATE SET snoozed_issue = excluded.snoozed_issue,
                snoozed_until = excluded.snoozed_until, snoozed_by_name = excluded.snoozed_by_name
            """,
            {
                "products": [product_id for product_id, _ in issues],
                "issues": [issue for _, issue in issues],
                "days": days,
                "by": by,
            },
        )


def wake(product_ids: Sequence[UUID]) -> int:
    """Show these products again. Returns how many were put off."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_triage SET snoozed_issue = '', snoozed_until = NULL, snoozed_by_name = ''
            WHERE product_id = ANY(%s::uuid[]) AND snoozed_until IS NOT NULL
            """,
            [list(product_ids)],
        )
        return int(cursor.rowcount)


def assign(product_ids: Sequence[UUID], person_id: UUID | None) -> None:
    """Give these products to a person, or to nobody."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_triage (product_id, snoozed_issue, snoozed_by_name, assignee_id)
            SELECT product_id, '', '', %(person)s FROM unnest(%(products)s::uuid[]) AS asked (product_id)
            ORDER BY product_id
            ON CONFLICT (product_id) DO UPDATE SET assignee_id = excluded.assignee_id
            """,
            {"products": list(product_ids), "person": person_id},
        )
