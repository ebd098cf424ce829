"""The background queue (Procrastinate): flows defer by name, `worker/tasks.py` names the handlers."""

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from procrastinate import App
from procrastinate.contrib.django import app as _app
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.types import JSONValue

# A job costs the database as much as the image that it is for. With more images to a job, the last of a flush
# would wait for its rendition while another thread of the chores process has nothing to do.
LOOKS_PER_JOB = 10


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


def due(queue: str, *, at_most: int) -> int:
    """How many jobs of a queue could be taken now, counted no further than `at_most`. Not those that failed
    and are tried again later."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT FROM procrastinate_jobs
                WHERE queue_name = %s AND status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
                LIMIT %s) AS counted
            """,
            [queue, at_most],
        )
        (found,) = cursor.fetchone()
    return int(found)


def defer(
    task: str, arguments: Sequence[Mapping[str, JSONValue]], *, queue: str = "chores", priority: int = 0
) -> None:
    """Ask for background work in the caller's transaction: one job of `task` per mapping of arguments."""
    if not arguments:
        return
    with connection.cursor() as cursor:
        # What `batch_defer` does, which would wait for the ids of the jobs and make an object of each.
        cursor.execute(
            """
            SELECT procrastinate_defer_jobs_v1(array_agg(
                ROW(%s, %s, %s, NULL, NULL, item.arguments, NULL)::procrastinate_job_to_defer_v1
                ORDER BY item.place))
            FROM unnest(%s::jsonb[]) WITH ORDINALITY AS item (arguments, place)
            """,
            [queue, task, priority, [json.dumps(dict(each)) for each in arguments]],
        )


def look_later(image_ids: Sequence[UUID], *, priority: int = 0) -> None:
    """Have these images looked at in the background, from the COMMIT of the caller's transaction on."""
    ids = [str(each) for each in image_ids]
    jobs: list[dict[str, JSONValue]] = [
        {"image_ids": list[JSONValue](ids[at : at + LOOKS_PER_JOB])}
        for at in range(0, len(ids), LOOKS_PER_JOB)
    ]
    defer("look", jobs, priority=priority)
