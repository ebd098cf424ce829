"""The embedded server as commands meet it: found, or started for as long as it is needed."""

import atexit

import psycopg

from packshot.embedded import Cluster
from packshot.kernel.errors import BadInput


def cluster() -> Cluster | None:
    """This installation's embedded server; None when DATABASE_URL names another one."""
    from django.conf import settings

    return None if settings.DATABASE_URL else Cluster(settings.DATA)


def use_database() -> None:
    """Make sure that the database answers. A server that was started for one command ends with it."""
    server = cluster()
    if server is None or server.is_running():
        return
    if server.status().data_version is None:
        raise BadInput(
            f"there is no Packshot in {server.data} yet. Start one with `packshot up`, "
            "or name its folder with `packshot --data DIR`."
        )
    server.ensure_running()
    atexit.register(stop_when_idle, server)


def stop_when_idle(server: Cluster) -> int:
    """Stop the server unless somebody else is connected. Returns how many connections others have."""
    from django.db import connections

    connections.close_all()
    if not server.is_running():
        return 0
    others = _connections_of_others(server)
    if not others:
        server.stop()
    return others


def _connections_of_others(server: Cluster) -> int:
    try:
        with server.connection().connect() as connection:
            row = connection.execute(
                """
                SELECT count(*)::int FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND datname = current_database()
                    AND pid <> pg_backend_pid()
                """
            ).fetchone()
    except psycopg.OperationalError:  # it is going down by itself
        return 0
    return int(str(row[0])) if row else 0
