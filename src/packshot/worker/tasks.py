"""The handlers of background work, by name. Each calls one flow."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from uuid import UUID

from django.db import close_old_connections
from procrastinate import App, RetryStrategy

# A decoder that died, a store that was away: tried again for about half an hour, then the nightly care
# finds the image and starts anew.
_RETRY = RetryStrategy(max_attempts=8, exponential_wait=3)


P = ParamSpec("P")
T = TypeVar("T")


def _on_a_live_connection(work: Callable[P, T]) -> Callable[P, T]:
    """Handlers run on threads that outlive a restart of the database; a dead connection is dropped first."""

    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        close_old_connections()
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()

    return wrapped


def register(app: App) -> None:
    """Give Procrastinate the handlers. Flows are imported when work comes, not at start of every process."""

    @app.task(name="look", queue="chores", retry=_RETRY)
    @_on_a_live_connection
    def look(image_ids: list[str]) -> None:
        from packshot.flows.look import look_at_each

        look_at_each([UUID(each) for each in image_ids])

    @app.task(name="rendition", queue="chores", retry=_RETRY)
    @_on_a_live_connection
    def rendition(image_id: str, spec: str) -> None:
        from packshot.flows.look import make_rendition

        make_rendition(UUID(image_id), spec)

    @app.task(name="seal", queue="seals", retry=_RETRY)
    @_on_a_live_connection
    def seal(image_id: str, spec: str) -> None:
        from packshot.flows.delivery import make

        make(UUID(image_id), spec)

    @app.task(name="bulk", queue="chores", retry=_RETRY)
    @_on_a_live_connection
    def bulk(action_id: str, place: int) -> None:
        from packshot.flows.bulk import carry_out

        carry_out(UUID(action_id), place)

    # An action whose next turn got lost goes on.
    @app.periodic(cron="* * * * *", periodic_id="bulk_go_on")
    @app.task(name="bulk_go_on", queue="chores", queueing_lock="bulk_go_on")
    @_on_a_live_connection
    def bulk_go_on(timestamp: int) -> None:
        from packshot.flows.bulk import go_on

        go_on()

    @app.periodic(cron="* * * * *", periodic_id="retry_stalled")
    @app.task(name="retry_stalled", queue="chores", queueing_lock="retry_stalled")
    async def retry_stalled(timestamp: int) -> None:
        # Procrastinate finds the jobs of a process that was killed, and leaves what to do with them to us.
        # Each handler here may be repeated.
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=30):
            await app.job_manager.retry_job(job)

    @app.periodic(cron="*/5 * * * *", periodic_id="look_again")
    @app.task(name="look_again", queue="chores", queueing_lock="look_again")
    @_on_a_live_connection
    def look_again(timestamp: int) -> None:
        from packshot.flows.upkeep import look_again as again

        again()

    @app.periodic(cron="*/5 * * * *", periodic_id="collect_due")
    @app.task(name="collect_due", queue="chores", queueing_lock="collect_due")
    @_on_a_live_connection
    def collect_due(timestamp: int) -> None:
        from packshot.flows.collect import collect_due as collect

        collect()

    # Each hour, for what has not been looked at for a day: a site may be on for a few hours only.
    @app.periodic(cron="7 * * * *", periodic_id="inspect_accounts")
    @app.task(name="inspect_accounts", queue="chores", queueing_lock="inspect_accounts")
    @_on_a_live_connection
    def inspect_accounts(timestamp: int) -> None:
        from packshot.flows.inspecting import look_daily

        look_daily()

    @app.periodic(cron="17 3 * * *", periodic_id="prune")
    @app.task(name="prune", queue="chores", queueing_lock="prune")
    @_on_a_live_connection
    def prune(timestamp: int) -> None:
        from packshot.flows.upkeep import prune as cut

        cut()

    @app.periodic(cron="41 * * * *", periodic_id="check_ledger")
    @app.task(name="check_ledger", queue="chores", queueing_lock="check_ledger")
    @_on_a_live_connection
    def check_ledger(timestamp: int) -> None:
        from packshot.flows.check import watch

        watch()
