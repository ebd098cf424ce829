"""The same lifecycles by Celery and Redis.

Settings by Celery's own guides ("Optimizing", "Workers", "Redis"): `acks_late` with
`reject_on_worker_lost`, so that a task of a killed worker is not lost; no results, no events, no gossip,
mingle or heartbeat; connections kept; many messages prefetched, as advised for short tasks. Statements are
prepared, a transaction is one pipeline. The job that makes renditions is sent after the COMMIT: Celery has no
way to make the two one, so this peer promises less here.
"""

import os
import sys
import threading

from celery import Celery
from psycopg_pool import ConnectionPool

from instant import PIXEL
from packshot.blobs import open_store
from peers import lifecycle

app = Celery("peer", broker=os.environ["PEER_REDIS"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ.get("PEER_PREFETCH", "16")),
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3600},
    task_default_queue="pay",
    task_routes={"look": {"queue": "chores"}},
)
store = open_store(os.environ["PEER_BLOBS"])
# Made at first use, which is after the fork.
_once = threading.Lock()
_here: dict[int, tuple[ConnectionPool, lifecycle.Me]] = {}


def here() -> tuple[ConnectionPool, lifecycle.Me]:
    pid = os.getpid()
    with _once:
        if pid in _here:
            return _here[pid]
        pool = ConnectionPool(
            os.environ["PEER_DATABASE"],
            min_size=1,
            max_size=int(os.environ.get("PEER_CONNECTIONS", "1")),
            kwargs={"prepare_threshold": 0},
        )
        pool.wait()
        return _here.setdefault(pid, (pool, lifecycle.enrol()))


@app.task(name="generate")
def generate(generation: str) -> None:
    pool, me = here()
    facts = lifecycle.facts(generation, me)
    with pool.connection() as connection:
        with connection.pipeline(), connection.transaction():
            for statement in lifecycle.CLAIM:
                connection.execute(statement, facts)
        facts["blob"] = store.put(PIXEL)  # what our provider answers with at once
        with connection.pipeline(), connection.transaction():
            for statement in (*lifecycle.CLOSE, *lifecycle.TELL):
                connection.execute(statement, facts)
    look.apply_async(([str(facts["image"])],))


@app.task(name="look")
def look(image_ids: list[str]) -> None:
    raise AssertionError("nobody works on this queue")


if __name__ == "__main__":
    for line in sys.stdin:
        generate.apply_async((line.strip(),))
