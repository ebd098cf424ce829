"""What came of each wording: images made with a version of a template, and how they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from packshot.kernel.money import dollars
from packshot.reports.health import wilson
from packshot.reports.sql import read

# So many requests are read for a page, the newest of each version: few enough to be read at once, and of 20
# versions still enough of each to tell two wordings apart.
COUNTED_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the newest requests with one version, all real or all simulated."""

    version_id: UUID
    simulated: bool
    requests: int
    images: int
    approved: int
    decided: int
    micros_each: int | None  # of an image, what failed included; None: nobody knows
    score: float | None  # the mean of each image's lowest, 0 to 100

    @property
    def rate(self) -> float | None:
        return self.approved / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the share of approved images plausibly lies."""
        return wilson(self.approved, self.decided) if self.decided else None

    @property
    def cost_each(self) -> Decimal | None:
        return None if self.micros_each is None else dollars(self.micros_each)


def most_of_each(versions: int) -> int:
    """How many requests of each are counted, where so many versions are."""
    return COUNTED_AT_MOST // max(1, versions)


def results(version_ids: Sequence[UUID]) -> Mapping[UUID, Result]:
    """By version, where anything was asked for with it. Real work only, where there is any with one of them:
    what was simulated says nothing about it."""
    found = read(
        Result,
        """
        SELECT version.id AS version_id, generation.simulated, count(*)::int AS requests,
            coalesce(sum(made.images), 0)::int AS images, coalesce(sum(made.approved), 0)::int AS approved,
            coalesce(sum(made.decided), 0)::int AS decided,
            -- Where a cost is not known, neither it nor its images count.
            round(
                sum(generation.actual_micros) FILTER (WHERE NOT generation.cost_unknown)
                / nullif(sum(made.images) FILTER (
                    WHERE NOT generation.cost_unknown AND generation.actual_micros IS NOT NULL
                ), 0)
            )::bigint AS micros_each,
            (sum(made.scores) / nullif(sum(made.scored), 0))::float8 AS score
        FROM unnest(%(versions)s::uuid[]) AS version (id)
        CROSS JOIN LATERAL (
            SELECT each.id, each.simulated, each.actual_micros, each.cost_unknown
            FROM packshot_generation AS each WHERE each.template_version_id = version.id
            ORDER BY each.id DESC LIMIT %(most)s
        ) AS generation
        CROSS JOIN LATERAL (
            SELECT count(*) AS images, count(review.decision) AS decided,
                count(*) FILTER (WHERE review.decision = 'approved') AS approved,
                sum(lowest.value) AS scores, count(lowest.value) AS scored
            FROM packshot_image AS image
            LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
            LEFT JOIN LATERAL (
                SELECT min(score.value) AS value FROM packshot_score AS score WHERE score.image_id = image.id
            ) AS lowest ON true
            WHERE image.generation_id = generation.id
        ) AS made
        GROUP BY version.id, generation.simulated
        """,
        versions=list(version_ids),
        most=most_of_each(len(version_ids)),
    )
    simulated = all(each.simulated for each in found)
    return {each.version_id: each for each in found if each.simulated == simulated}
