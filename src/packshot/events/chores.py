"""The background queue (Procrastinate): flows defer by name, `worker/tasks.py` names the handlers."""

from collections.abc import Mapping, Sequence

from django.db import transaction
from procrastinate import App
from procrastinate.contrib.django import app as _app
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.types import JSONValue


def on_app_ready(app: App) -> None:
    """Called by Procrastinate's Django integration once its connector stands: names the handlers."""
    from django.utils.module_loading import import_string

    # By dotted name: the handlers call flows, which stand above this package.
    import_string("packshot.worker.tasks.register")(app)


def defer_once(
    task: str, arguments: Mapping[str, JSONValue], *, key: str, queue: str = "chores", priority: int = 0
) -> bool:
    """Ask for background work unless the same `key` is waiting already. False: it is."""
    job = _app.configure_task(task, queue=queue, priority=priority, queueing_lock=key)
    try:
        with transaction.atomic():
            job.defer(**dict(arguments))
    except AlreadyEnqueued:
        return False
    return True


def defer(
    task: str, arguments: Sequence[Mapping[str, JSONValue]], *, queue: str = "chores", priority: int = 0
) -> None:
    """Ask for background work in the caller's transaction: one job of `task` per mapping of arguments."""
    if arguments:
        _app.configure_task(task, queue=queue, priority=priority).batch_defer(
            *[dict(each) for each in arguments]
        )
