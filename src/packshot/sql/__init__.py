"""The database's own code, in files `name.vN.sql`. A released one never changes: the next version is new."""

from collections.abc import Iterable
from importlib.resources import files

from django.db.migrations.operations import RunSQL


def text(name: str, version: int) -> str:
    """The SQL of `name.vN.sql`."""
    return files(__package__).joinpath(f"{name}.v{version}.sql").read_text("utf-8")


class InstallSQL(RunSQL):
    """Runs one versioned file in a migration. There is no way back: a later version replaces it."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(sql=text(name, version), reverse_sql=RunSQL.noop)
        self._arguments = (name, version)

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        return self.__class__.__name__, list(self._arguments), {}

    def describe(self) -> str:
        return f"Install {self._arguments[0]}.v{self._arguments[1]}.sql"


class InstallView(RunSQL):
    """Replaces a view by its version `version`, keeping nothing of the one before."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            sql=f"DROP VIEW IF EXISTS {name};\n{text(name, version)}",
            reverse_sql=f"DROP VIEW IF EXISTS {name};"
            + (f"\n{text(name, version - 1)}" if version > 1 else ""),
        )
        self._arguments = (name, version)

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        return self.__class__.__name__, list(self._arguments), {}

    def describe(self) -> str:
        return f"Install view {self._arguments[0]} version {self._arguments[1]}"


VIEWS: Iterable[str] = (
    "image_generation_dashboard",
    "image_generation_monitor",
    "provider_performance_stats",
    "products_needing_attention",
    "image_comparison_view",
)
