"""The same lifecycles by Procrastinate.

Its guide's way to throughput: an async task, a worker with a concurrency, pools of connections kept open;
jobs that succeeded are deleted. The job that makes renditions is part of the transaction.
"""

import asyncio
import os

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from instant import PIXEL
from packshot.blobs import open_store
from peers import lifecycle

CONCURRENCY = int(os.environ.get("PEER_CONCURRENCY", "20"))
app = App(
    connector=PsycopgConnector(
        conninfo=os.environ["PEER_DATABASE"], min_size=4, max_size=10, kwargs={"prepare_threshold": 0}
    )
)
store = open_store(os.environ["PEER_BLOBS"])
me = lifecycle.enrol()
pool = AsyncConnectionPool(
    os.environ["PEER_DATABASE"], min_size=4, max_size=10, kwargs={"prepare_threshold": 0}, open=False
)


@app.task(name="generate", queue="pay")
async def generate(generation: str) -> None:
    facts = lifecycle.facts(generation, me)
    async with pool.connection() as connection:
        async with connection.pipeline(), connection.transaction():
            for statement in lifecycle.CLAIM:
                await connection.execute(statement, facts)
        facts["blob"] = await asyncio.to_thread(store.put, PIXEL)
        async with connection.pipeline(), connection.transaction():
            for statement in (*lifecycle.CLOSE, lifecycle.DEFER, *lifecycle.TELL):
                await connection.execute(statement, facts)


async def work() -> None:
    async with pool, app.open_async():
        await app.run_worker_async(
            queues=["pay"], concurrency=CONCURRENCY, delete_jobs="successful", install_signal_handlers=True
        )


if __name__ == "__main__":
    asyncio.run(work())
