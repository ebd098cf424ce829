"""What an installation needs before its first page: tables, an administrator, something to look at."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from packshot import accounts, ledger, preferences
from packshot.flows import import_catalogue
from packshot.generations.models import Attempt
from packshot.kernel.errors import BadInput
from packshot.kernel.money import PER_DOLLAR, Micros

# So that budgets can be watched at work without a key. Real money has no limit until somebody sets one, and
# until then none is spent.
SIMULATED_LIMIT = Micros(1_000 * PER_DOLLAR)
OLDEST_POSTGRESQL = 15


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a first start made: the administrator's name and password, and how many demo products."""

    administrator: Mapping[str, str]
    demo_products: int


def migrate() -> int:
    """Bring the tables up to this version. Returns how many migrations were applied."""
    check_version()
    waiting = waiting_migrations()
    if waiting:
        call_command("migrate", interactive=False, verbosity=0)
    return waiting


def waiting_migrations() -> int:
    """How many migrations the database lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def check_version() -> None:
    """Refuse a server that is too old for what is about to be done to it."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        number = int(cursor.fetchone()[0])
    if number < OLDEST_POSTGRESQL * 10_000:
        raise BadInput(
            f"the database is PostgreSQL {number // 10_000}; Packshot needs {OLDEST_POSTGRESQL} or newer"
        )


def begin(*, demo: bool) -> Beginning | None:
    """Fill a new site; a site that has people keeps all it has, and None is returned."""
    import_catalogue.load_templates(accounts.this_shell())
    administrator = accounts.first_administrator()
    if administrator is None:
        return None
    if not any(each.simulated for each in ledger.budgets()):
        ledger.set_limit(SIMULATED_LIMIT, zone=preferences.get("time_zone"), simulated=True)
    loaded = import_catalogue.load_demo(accounts.this_shell()) if demo else None
    return Beginning(administrator, loaded.created if loaded else 0)


def paid_calls_on_their_way() -> int:
    """How many calls this machine's workers wait for before they end; 0 when the database cannot say."""
    try:
        return Attempt.objects.filter(
            state="sending",
            process__host=socket.gethostname(),
            process__draining_at__isnull=False,
            process__ended_at=None,
        ).count()
    except DatabaseError:
        connection.close()
        return 0
