"""The chores process: background work from Procrastinate. Images are decoded in a bounded child of it."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from packshot.worker.database import Database

log = logging.getLogger(__name__)

# The database is away: it is asked again after so many seconds.
_AGAIN_AFTER_S = 1.0
# By queue, how many jobs at once. Copies for the public have a slot of their own and no other: whoever asks
# for many keeps no look, no account and no bulk action waiting.
SLOTS: Mapping[str, int] = {"chores": 2, "seals": 1}


async def serve() -> None:
    """Work until SIGTERM or SIGINT; a job in hand is finished first. A second signal ends it at once."""
    from packshot import generations
    from packshot.flows import delivery, look

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _told_to_stop, loop, told)
    # Handlers run on threads with a connection each, and the queue's own pool starts with four: held to
    # what the process needs, because a managed PostgreSQL counts them.
    loop.set_default_executor(ThreadPoolExecutor(sum(SLOTS.values())))
    swept = await asyncio.to_thread(look.store().sweep)
    if swept:
        log.info("removed %s half-written files of an earlier process", swept)
    database = Database(threads=1)
    me = await database.surely(generations.enrol, "chores")
    beat = asyncio.create_task(_beat(database, me.id))
    log.info("chores process ready as %s", me.id)
    try:
        while not told.is_set():
            await _work_queues(told)
    finally:
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        await asyncio.to_thread(look.decoder().close)
        await asyncio.to_thread(delivery.sealer().close)
        with contextlib.suppress(Exception):  # whoever cannot say goodbye is found silent
            await database.once(generations.retire, me.id)
        database.close()


def _told_to_stop(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    told.set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def _work_queues(told: asyncio.Event) -> None:
    """Return when told to stop, or soon after a queue's worker ended by itself.

    It does so when its listener loses the database. A restart of the database is no reason to start this
    process anew: its supervisor would wait longer each time.
    """
    working = asyncio.create_task(_run_workers())
    stopping = asyncio.create_task(told.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    if told.is_set():
        working.cancel()  # it finishes the jobs in hand
    try:
        await working
        reason = "it ended"
    except asyncio.CancelledError:
        return
    except (ConnectorException, psycopg.Error, OSError) as lost:
        reason = str(lost.__cause__ or lost).strip().splitlines()[0]
    log.warning("background work waits for the database: %s", reason)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping, _AGAIN_AFTER_S)


async def _run_workers() -> None:
    """Until one of them ends; then the others finish the jobs in hand."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.utils import connector_params

    worker: App = app.with_connector(PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=2))
    async with worker.open_async():
        working = [
            asyncio.create_task(
                worker.run_worker_async(
                    queues=[queue],
                    concurrency=slots,
                    wait=True,
                    fetch_job_polling_interval=5.0,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                )
            )
            for queue, slots in SLOTS.items()
        ]
        try:
            ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        for each in ended:
            each.result()


async def _beat(database: Database, process_id: UUID) -> None:
    from packshot import generations

    while True:
        await database.surely(generations.beat, process_id)
        await asyncio.sleep(5.0)
