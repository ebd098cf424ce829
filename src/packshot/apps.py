from django.apps import AppConfig
from django.db.models.signals import pre_migrate


class PackshotConfig(AppConfig):
    name = "packshot"
    label = "packshot"
    verbose_name = "Packshot"

    def ready(self) -> None:
        from packshot.events import arrays

        arrays.register()
        pre_migrate.connect(_make_schema, dispatch_uid="packshot-schema")


def _make_schema(using: str, **_: object) -> None:
    """The schema that search_path names must stand before the first table is made in it."""
    from django.db import connections

    with connections[using].cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS packshot")
