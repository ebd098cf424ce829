"""The chores process: background work from Procrastinate. Images are decoded in a bounded child of it."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from procrastinate import PsycopgConnector

from packshot.worker.database import Database

log = logging.getLogger(__name__)


async def serve(*, concurrency: int = 2) -> None:
    """Work until SIGTERM or SIGINT; a job in hand is finished first."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.utils import connector_params

    from packshot import generations
    from packshot.flows import look

    # Handlers run on threads with a connection each, and the queue's own pool starts with four: held to
    # what the process needs, because a managed PostgreSQL counts them.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(concurrency))
    swept = await asyncio.to_thread(look.store().sweep)
    if swept:
        log.info("removed %s half-written files of an earlier process", swept)
    database = Database(threads=1)
    me = await database.surely(generations.enrol, "chores")
    worker = app.with_connector(PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=2))
    beat = asyncio.create_task(_beat(database, me.id))
    try:
        async with worker.open_async():
            log.info("chores process ready as %s", me.id)
            await worker.run_worker_async(
                queues=["chores"],
                concurrency=concurrency,
                wait=True,
                fetch_job_polling_interval=5.0,
                delete_jobs="successful",
                install_signal_handlers=True,
            )
    finally:
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        await asyncio.to_thread(look.decoder().close)
        await database.once(generations.retire, me.id)
        database.close()


async def _beat(database: Database, process_id: UUID) -> None:
    from packshot import generations

    while True:
        await database.surely(generations.beat, process_id)
        await asyncio.sleep(5.0)
