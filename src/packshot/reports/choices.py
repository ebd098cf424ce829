"""What decides between providers: how long their models take, and how often their images are chosen."""

from collections.abc import Mapping

from django.db import connection

# Fewer than this say nothing about the next one.
FEW = 20
_SINCE = "now() - interval '30 days'"


def speeds(*, simulated: bool) -> Mapping[tuple[str, str], float]:
    """The median seconds of each (provider, model) with enough images in the last 30 days."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT provider, model, packshot_percentile(packshot_sum_histograms(histogram), 50)
            FROM packshot_rollup
            WHERE bucket >= {_SINCE} AND simulated = %s
            GROUP BY provider, model HAVING sum(durations) >= %s
            """,
            [simulated, FEW],
        )
        return {(provider, model): seconds for provider, model, seconds in cursor.fetchall()}


def favourites(*, simulated: bool) -> Mapping[tuple[str, str], tuple[int, int, float]]:
    """Of each (provider, model): images of the last 30 days, how many are their product's active image, and
    the low end of that share's 95 % interval (Wilson), which few images cannot make high."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH made AS (
                SELECT image.provider, image.model, count(*)::float8 AS n,
                    count(product.id)::float8 AS k
                FROM packshot_image AS image
                LEFT JOIN packshot_product AS product ON product.active_image_id = image.id
                WHERE image.created_at >= {_SINCE} AND image.simulated = %s
                    AND image.attempt_id IS NOT NULL
                GROUP BY image.provider, image.model HAVING count(*) >= %s
            )
            SELECT provider, model, n::bigint, k::bigint,
                (k / n + 1.92 / n - 1.96 * sqrt(k / n * (1 - k / n) / n + 0.9604 / (n * n)))
                    / (1 + 3.8416 / n)
            FROM made
            """,
            [simulated, FEW],
        )
        return {(row[0], row[1]): (row[2], row[3], max(0.0, row[4])) for row in cursor.fetchall()}
