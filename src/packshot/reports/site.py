"""How large the site has become, for the page that says what it runs on."""

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """The database and what it holds, now."""

    database_version: str  # "18.1"
    database_bytes: int
    products: int
    templates: int
    generations: int
    images: int
    people: int


def site_facts() -> SiteFacts:
    """One query. Archived products and templates are not counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT split_part(current_setting('server_version'), ' ', 1),
                pg_database_size(current_database()),
                (SELECT count(*) FROM packshot_product WHERE archived_at IS NULL),
                (SELECT count(*) FROM packshot_prompttemplate WHERE archived_at IS NULL),
                (SELECT count(*) FROM packshot_generation),
                (SELECT count(*) FROM packshot_image),
                (SELECT count(*) FROM packshot_user WHERE is_active)
            """
        )
        return SiteFacts(*cursor.fetchone())
