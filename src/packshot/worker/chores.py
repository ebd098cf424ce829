"""The chores process: background work from Procrastinate. Images are decoded in a bounded child of it."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
from django.db import connection
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from packshot.worker.database import Database

log = logging.getLogger(__name__)

# The database is away: it is asked again after so many seconds.
_AGAIN_AFTER_S = 1.0
BEAT_S = 5.0
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
    # Seven connections in all, because a managed PostgreSQL counts them: one for each of these threads, one
    # for each queue's listener, one by which the queues are read and the process says that it lives, and
    # Django's, of the thread that asks for periodic work: it belongs to the app of the handlers, who ask for
    # more in their own transactions. One fewer, and a queue would have no slot or no listener of its own.
    loop.set_default_executor(ThreadPoolExecutor(sum(SLOTS.values())))
    swept = await asyncio.to_thread(look.store().sweep)
    if swept:
        log.info("removed %s half-written files of an earlier process", swept)
    database = Database(threads=1)
    me = await database.surely(generations.enrol, "chores")
    await database.once(lambda: connection.close())  # its thread's, until the process says goodbye
    log.info("chores process ready as %s", me.id)
    try:
        while not told.is_set():
            await _work_queues(told, me.id)
    finally:
        await asyncio.to_thread(look.decoder().close)
        await asyncio.to_thread(delivery.sealer().close)
        with contextlib.suppress(Exception):  # whoever cannot say goodbye is found silent
            await database.once(generations.retire, me.id)
        database.close()


def _told_to_stop(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    told.set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def _work_queues(told: asyncio.Event, process_id: UUID) -> None:
    """Return when told to stop, or soon after a queue's worker ended by itself.

    It does so when its listener loses the database. A restart of the database is no reason to start this
    process anew: its supervisor would wait longer each time.
    """
    working = asyncio.create_task(_run_workers(process_id))
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


async def _run_workers(process_id: UUID) -> None:
    """Until one of them ends; then the others finish the jobs in hand."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.utils import connector_params

    from packshot.generations import BEAT

    worker: App = app.with_connector(PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=1))
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

        async def beat() -> None:
            while True:
                await worker.connector.execute_query_async(BEAT, process=process_id, acknowledged=None)
                await asyncio.sleep(BEAT_S)

        beating = asyncio.create_task(beat())
        try:
            ended, _ = await asyncio.wait([*working, beating], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in working:
                each.cancel()
            # It says that it lives for as long as there are jobs in hand.
            await asyncio.gather(*working, return_exceptions=True)
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        for each in ended:
            each.result()
