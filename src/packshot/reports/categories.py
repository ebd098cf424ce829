"""How providers do by category of product, from the newest that each of them was asked for.

The rollups know no category, and products move from one to another. So this reads generations themselves: of
each provider no more than the newest ASKED_AT_MOST of the window, however many there are. One statement.
"""

from dataclasses import dataclass

from django.db import connection

from packshot.reports.health import wilson
from packshot.reports.series import DAYS, HOURS

# Enough for an interval of three points, few enough to be read while somebody waits.
ASKED_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class InCategory:
    """What one provider did for the products of one place in the catalogue. Money in micro-dollars.

    `path` is the place, empty for products without a category; `provider` is empty for all of them together.
    """

    path: str
    provider: str
    completed: int
    failed: int
    images: int
    amount_micros: int
    p50_s: float | None
    approved: int  # of `images`, by a person
    rejected: int

    @property
    def ended(self) -> int:
        return self.completed + self.failed

    @property
    def success_rate(self) -> float | None:
        return self.completed / self.ended if self.ended else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the rate plausibly lies."""
        return wilson(self.completed, self.ended) if self.ended else None

    @property
    def micros_each(self) -> int | None:
        """What an image cost on the average, failures included."""
        return round(self.amount_micros / self.images) if self.images else None

    @property
    def approval(self) -> float | None:
        """Of the images that a person decided about, the share that was approved."""
        decided = self.approved + self.rejected
        return self.approved / decided if decided else None


@dataclass(frozen=True, slots=True)
class ByCategory:
    """Every place with its providers, the busiest first, and those of which only the newest were read."""

    rows: tuple[InCategory, ...]
    cut: frozenset[str]


# The newest of each provider by the index that has its name first, which is why they are ordered by it: else
# the planner walks through everybody's generations to find the few of somebody who has none (80 ms for each
# of them at 400,000). The places are worked out once for each category.
_BY_CATEGORY = """
    WITH site AS MATERIALIZED (
        SELECT packshot_now() AS now, packshot_setting('time_zone') AS zone
    ),
    edge AS MATERIALIZED (
        SELECT packshot_first_id(min(span.starts_at)) AS first_id FROM ({spans}) AS span
    ),
    asked AS MATERIALIZED (
        SELECT record.name AS provider, newest.*, newest.simulated = record.simulated
            AND newest.status IN ('completed', 'failed') AS counts
        FROM packshot_provider AS record
        CROSS JOIN LATERAL (
            SELECT generation.id, generation.status, generation.simulated, generation.product_id,
                generation.actual_micros, generation.completed_at, generation.started_at
            FROM packshot_generation AS generation
            WHERE generation.provider_id = ANY (ARRAY[record.name])
                AND generation.id >= (SELECT first_id FROM edge)
            ORDER BY generation.provider_id, generation.id DESC LIMIT %(most)s
        ) AS newest
        WHERE record.archived_at IS NULL AND (%(provider)s::text IS NULL OR record.name = %(provider)s)
    ),
    place AS MATERIALIZED (
        SELECT category.id,
            array_to_string((string_to_array(category.path, ' > '))[1:%(depth)s], ' > ') AS path
        FROM packshot_category AS category
        WHERE %(under)s = '' OR category.path = %(under)s OR starts_with(category.path, %(under)s || ' > ')
    ),
    ended AS MATERIALIZED (
        SELECT asked.id, asked.provider, asked.status, coalesce(place.path, '') AS path,
            coalesce(asked.actual_micros, 0) AS amount_micros,
            extract(epoch FROM asked.completed_at - asked.started_at)::double precision AS took_s
        FROM asked
        JOIN packshot_product AS product ON product.id = asked.product_id
        LEFT JOIN place ON place.id = product.category_id
        WHERE asked.counts AND (%(under)s = '' OR place.id IS NOT NULL)
    ),
    made AS (
        SELECT image.generation_id, count(*) AS images,
            count(*) FILTER (WHERE review.decision = 'approved') AS approved,
            count(*) FILTER (WHERE review.decision = 'rejected') AS rejected
        FROM (
            SELECT image.id, image.generation_id FROM packshot_image AS image
            WHERE image.generation_id = ANY (ARRAY(SELECT ended.id FROM ended))
        ) AS image
        LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
        GROUP BY image.generation_id
    ),
    counted AS (
        SELECT ended.path, coalesce(ended.provider, '') AS provider,
            count(*) FILTER (WHERE ended.status = 'completed') AS completed,
            count(*) FILTER (WHERE ended.status = 'failed') AS failed,
            coalesce(sum(made.images), 0)::bigint AS images,
            sum(ended.amount_micros)::bigint AS amount_micros,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.took_s)
                FILTER (WHERE ended.status = 'completed') AS p50_s,
            coalesce(sum(made.approved), 0)::bigint AS approved,
            coalesce(sum(made.rejected), 0)::bigint AS rejected
        FROM ended LEFT JOIN made ON made.generation_id = ended.id
        GROUP BY ended.path, GROUPING SETS ((), (ended.provider))
    )
    SELECT counted.*, false FROM counted
    UNION ALL
    SELECT '', asked.provider, 0, 0, 0, 0, NULL, 0, 0, true FROM asked
    GROUP BY asked.provider HAVING count(*) >= %(most)s
"""


def by_category(*, days: int, under: str = "", provider: str | None = None) -> ByCategory:
    """What came of the newest of the last 24 hours (`days` 1) or so many calendar days, for each place right
    below `under` with all that lies in it; `under` itself stands for what lies directly there."""
    spans, count = (HOURS, 24) if days == 1 else (DAYS, days)
    with connection.cursor() as cursor:
        cursor.execute(
            _BY_CATEGORY.format(spans=spans),
            {
                "count": count,
                "provider": provider,
                "most": ASKED_AT_MOST,
                "under": under,
                "depth": len(under.split(" > ")) + 1 if under else 1,
            },
        )
        found = cursor.fetchall()
    rows = [InCategory(*row[:-1]) for row in found if not row[-1]]
    busy = {each.path: each.ended for each in rows if not each.provider}
    rows.sort(key=lambda each: (not each.path, -busy[each.path], each.path, bool(each.provider), -each.ended))
    return ByCategory(tuple(rows), frozenset(row[1] for row in found if row[-1]))
