"""The chores process: background work from Procrastinate. Images are decoded in a bounded child of it."""

import asyncio
import logging
from typing import cast
from uuid import UUID

from packshot.worker.database import Database

log = logging.getLogger(__name__)


async def serve(*, concurrency: int = 2) -> None:
    """Work until SIGTERM or SIGINT; a job in hand is finished first."""
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.django_connector import DjangoConnector

    from packshot import generations
    from packshot.flows import look

    swept = await asyncio.to_thread(look.store().sweep)
    if swept:
        log.info("removed %s half-written files of an earlier process", swept)
    database = Database(threads=1)
    me = await database.surely(generations.enrol, "chores")
    connector = cast(DjangoConnector, app.connector)
    worker = app.with_connector(connector.get_worker_connector())
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
