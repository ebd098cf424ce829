"""The circuit: a provider that is busy again and again is left alone, then tried once, then used again."""

import pytest
from django.db import connection

from packshot import events, reports
from packshot.flows import admit
from packshot.generations.models import ProviderRecord
from packshot.generations.policy import OUTAGE_AFTER
from packshot.kernel.errors import TryLater
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def state() -> str:
    return next(each.state for each in reports.providers() if each.name == "openai")


def be_busy(provider: build.StandIn, me: object, *, kind: str = "unreachable") -> None:
    """One call that finds the provider busy, as soon as it may be asked."""
    pass_time()
    claims = admit.admit(provider, process_id=me, most=10)
    assert claims
    admit.start_sending(claims, process_id=me)
    build.end(*(build.failed(claim, TryLater("down", after_s=1, kind=kind)) for claim in claims))


def pass_time() -> None:
    """The provider's wait is over, and what waited for it is ready."""
    ProviderRecord.objects.update(wait_until=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_generation SET wait_reason = NULL, not_before = NULL WHERE status = 'pending'"
        )


def break_it(provider: build.StandIn, me: object) -> None:
    build.asked(provider, 20)
    for _ in range(OUTAGE_AFTER):
        be_busy(provider, me)


def test_a_provider_that_stays_busy_is_stopped_and_then_tried_with_one_request(provider):
    me = build.process().id
    before = events.newest_id()
    break_it(provider, me)
    assert state() == "stopped"
    assert admit.admit(provider, process_id=me, most=10) == []
    pass_time()
    assert state() == "testing"
    (probe,) = admit.admit(provider, process_id=me, most=10)
    assert admit.admit(provider, process_id=me, most=10) == [], "one at a time, whoever asks"
    assert admit.admit(provider, process_id=build.process().id, most=10) == []
    admit.start_sending([probe], process_id=me)
    build.end(build.delivered(probe))
    assert state() == "healthy"
    assert len(admit.admit(provider, process_id=me, most=10)) == 10
    told = [each.kind for each in events.since(before) if each.topic == "provider"]
    assert told == ["stopped", "recovered"], "once each"


def test_a_probe_that_fails_stops_it_again_for_longer(provider):
    me = build.process().id
    break_it(provider, me)
    with connection.cursor() as cursor:
        cursor.execute("SELECT wait_until - clock_timestamp() FROM packshot_provider")
        first = cursor.fetchone()[0]
    be_busy(provider, me)
    assert state() == "stopped"
    with connection.cursor() as cursor:
        cursor.execute("SELECT wait_until - clock_timestamp() FROM packshot_provider")
        assert cursor.fetchone()[0] > first * 1.5


def test_one_busy_answer_is_only_a_wait(provider):
    me = build.process().id
    build.asked(provider, 4)
    be_busy(provider, me)
    assert state() == "waiting"
    pass_time()
    assert state() == "healthy"
    assert len(admit.admit(provider, process_id=me, most=10)) == 4


def test_a_person_who_resumes_it_closes_the_circuit(provider):
    from packshot.flows import administer

    me = build.process().id
    break_it(provider, me)
    administer.resume("openai", build.ADMIN)
    pass_time()
    assert state() == "healthy"
    assert len(admit.admit(provider, process_id=me, most=10)) == 10
