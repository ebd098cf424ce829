"""`packshot serve`, `packshot work`: the long-lived processes, each alone."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

import django
import typer

from packshot import settings
from packshot.cli import children
from packshot.cli.children import Child, Supervisor
from packshot.cli.database import use_database
from packshot.cli.screen import many, program, warn
from packshot.kernel.redaction import redact

if TYPE_CHECKING:
    from packshot.worker.pay import PayWorker

serve = typer.Typer(add_completion=False)
work = typer.Typer(add_completion=False)

# A job of the background queue that is in hand is finished first; each is a matter of seconds.
CHORES_PATIENCE_S = 30.0
MOST_IN_FLIGHT = 500
SAY_EVERY_S = 10.0


@serve.command()
def serve_site(
    host: Annotated[str, typer.Option(help="Address to listen on.", metavar="HOST")] = settings.HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.", metavar="PORT")] = settings.PORT,
) -> None:
    """Run the site alone, until SIGTERM or Ctrl-C. Needs the database; workers run with `packshot work`."""
    import uvicorn

    # Read first, which takes a second, while whoever started this one brings the database up.
    from packshot.asgi import application
    from packshot.flows.upkeep import Timers
    from packshot.worker.database import let_go_after

    let_go_after(Timers.scaled(settings.TIMER_SCALE).let_go_s)
    _wait_for_database()
    uvicorn.run(
        application,
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Sign-in is throttled by address: whose it is may be said by a proxy only where there is one.
        proxy_headers=settings.SECURE_PROXY_SSL_HEADER is not None,
        timeout_graceful_shutdown=5,
    )


@work.command()
def work_queue(
    only: Annotated[
        Literal["pay", "chores"] | None, typer.Option(help="Run one of the two processes, in this one.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(help="Paid calls at once, all providers together.", min=1, metavar="N")
    ] = MOST_IN_FLIGHT,
) -> None:
    """Run the workers: `pay` calls providers, `chores` decodes images. Ctrl-C drains; a second one stops."""
    if only == "pay":
        _pay(in_flight)
    elif only == "chores":
        _chores()
    else:
        _both(in_flight)


def _both(in_flight: int) -> None:
    if not children.supervised:
        django.setup()
        use_database()
    with Supervisor(say=warn) as supervisor:
        pay = supervisor.add(
            Child("pay", ["work", "--only", "pay", "--in-flight", str(in_flight)], patience_s=None)
        )
        chores = supervisor.add(Child("chores", ["work", "--only", "chores"], patience_s=CHORES_PATIENCE_S))
        supervisor.watch()
        supervisor.end(pay)
        supervisor.end(chores)


def _pay(in_flight: int) -> None:
    django.setup()
    from packshot import blobs
    from packshot.flows.desk import desk, enrol_desk
    from packshot.flows.upkeep import Timers
    from packshot.worker.database import let_go_after
    from packshot.worker.pay import PayWorker, Settings

    timers = Timers.scaled(settings.TIMER_SCALE)
    let_go_after(timers.let_go_s)
    _wait_for_database()
    enrol_desk()
    here = desk()
    timers.check(
        # Of calls: whoever waits with a ticket may be declared dead, and another collects it.
        longest_deadline_s=max(
            (
                card.deadline_s
                for provider in here.providers.values()
                for card in provider.models()
                if card.delivery == "direct"
            ),
            default=0,
        )
    )
    worker = PayWorker(
        here,
        blobs.open_store(settings.BLOB_URL),
        Settings(most_in_flight=in_flight, timers=timers, timer_scale=settings.TIMER_SCALE),
    )
    # Threads that come back from the database wait for the loop to let go. At Python's 5 ms, each statement
    # of a flush waited as long while others held the same budgets: half the throughput, measured.
    sys.setswitchinterval(0.0005)
    # What was loaded until now stays to the end, and an attempt leaves no cycles to look for: at Python's own
    # thresholds collecting took a quarter of this process's time, measured.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    asyncio.run(_serve(worker))
    # Nothing is left to do, and Python's own way out would first put the system's handlers back.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _serve(worker: "PayWorker") -> None:
    await worker.serve()
    # All is left in good order: a signal that comes now must not make the process look killed, as it would
    # when the loop has put the system's own handlers back.
    loop = asyncio.get_running_loop()
    numbers = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _chores() -> None:
    django.setup()
    from packshot.flows.upkeep import Timers
    from packshot.worker import chores
    from packshot.worker.database import let_go_after

    let_go_after(Timers.scaled(settings.TIMER_SCALE).let_go_s)
    _wait_for_database()
    asyncio.run(chores.serve())


def _wait_for_database() -> None:
    """Return when the tables are this version's. Who migrates them is somebody else's business."""
    from django.db import DatabaseError, connection

    from packshot.cli.preparing import waiting_migrations

    if not children.supervised:
        use_database()
    said_at = time.monotonic()
    while True:
        try:
            waiting = waiting_migrations()
            if not waiting:
                connection.close()  # the main thread asks nothing more, or seldom: it holds none meanwhile
                return
            trouble = (
                f"the tables lack {many(waiting, 'migration')}; apply them with `{program()} db migrate`"
            )
        except DatabaseError as problem:
            connection.close()
            trouble = f"it does not answer: {redact(str(problem)).splitlines()[0]}"
        if time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            warn(f"Waiting for the database: {trouble}")
        time.sleep(0.1)
