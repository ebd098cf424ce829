"""The hub and its frames: nothing is missed, piles up or is made twice, and nobody stays who may not."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client

from packshot import events
from packshot.accounts.models import User
from packshot.catalogue.models import Product
from packshot.events import Happening
from packshot.events.hub import Hub, Pace, Reader
from packshot.events.models import Event
from packshot.web import live
from packshot.web.live import Admission, Audience, Topic
from packshot.web.pages import overview
from tests import build
from tests.browser import story

pytestmark = pytest.mark.django_db(transaction=True)

ALL = Audience(("activity", "figures", "images", "providers", "queue", "queue-waits"), "administrator", "en")


class Maker:
    """Frames that name the events in them, and a count of how often each was made."""

    def __init__(self) -> None:
        self.made: Counter[tuple[str, int]] = Counter()
        self.broken: set[str] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.called = threading.Event()

    def __call__(
        self, keys: Collection[str], happenings: Sequence[Happening], last_id: int, /, *, replay: bool
    ) -> Mapping[str, bytes]:
        self.called.set()
        self.hold.wait(10)
        for key in keys:
            self.made[key, last_id] += bool(happenings)
            if key in self.broken:
                raise RuntimeError(f"{key} cannot be drawn")
        told = " ".join(each.subject for each in happenings).encode()
        return dict.fromkeys(keys, told) if happenings else {}


def resync(last_id: int) -> bytes:
    return b"RESYNC"


def everybody_stays(admissions: Sequence[str]) -> list[bool]:
    return [True] * len(admissions)


# Quick in everything, so that a test waits for what it tests and for nothing else.
QUICK = Pace(poll_s=0.2, frame_s=0.02, check_s=30, settle_s=0.05, backoff_s=0.05, resync_s=0.1)
WOKEN_ONLY = Pace(poll_s=60, frame_s=0.02, backoff_s=0.05)


def happen(*subjects: str, topic: str = "generation") -> int:
    """Commit one happening per subject, on a connection of its own. Returns the newest id."""
    try:
        with transaction.atomic():
            events.tell([Happening(topic, "told", subject) for subject in subjects])
        return events.newest_id()
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


async def meanwhile(work: Callable[..., object], *given: object) -> object:
    return await asyncio.to_thread(work, *given)


def listeners() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
        )
        pids = [row[0] for row in cursor.fetchall()]
    if threading.current_thread() is not threading.main_thread():
        connection.close()
    return pids


def terminate(pids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [list(pids)])
    connection.close()


async def until(holds: Callable[[], object], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not await meanwhile(holds):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    maker: Callable[..., Mapping[str, bytes]] | None = None,
    *,
    pace: Pace = QUICK,
    may_stay: Callable[[Sequence[str]], Sequence[bool]] = everybody_stays,
):
    hub: Hub[str, str] = Hub(maker or Maker(), resync=resync, may_stay=may_stay, pace=pace)
    try:
        yield hub
    finally:
        await hub.stop()


async def told(
    hub: Hub[str, str], reader: Reader[str, str], *subjects: str, within_s: float = 10
) -> list[bytes]:
    """Read frames until every subject was told. Returns the frames."""
    frames: list[bytes] = []
    missing = set(subjects)
    while missing:
        frame = await hub.next(reader, timeout_s=within_s)
        assert frame is not None, f"the stream ended before {missing} were told"
        frames.append(frame)
        missing -= set(frame.decode().split())
    return frames


def run(scene: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scene, 60)

    asyncio.run(bounded())


# -- hearing ---------------------------------------------------------------------------------------


def test_a_reader_hears_at_once_and_not_at_the_next_poll():
    async def scene() -> None:
        async with running(pace=WOKEN_ONLY) as hub, hub.reader("a", "", after=0) as reader:
            await until(listeners)
            await meanwhile(happen, "one")
            assert await told(hub, reader, "one") == [b"one"]

    run(scene())


def test_when_listening_dies_the_poll_still_tells_and_listening_comes_back():
    async def scene() -> None:
        deaf = Pace(poll_s=0.2, frame_s=0.02, backoff_s=1.0)
        async with running(pace=deaf) as hub, hub.reader("a", "", after=0) as reader:
            await until(listeners)
            dead = await meanwhile(listeners)
            await meanwhile(terminate, dead)
            await meanwhile(happen, "while-deaf")
            await told(hub, reader, "while-deaf")
            await until(lambda: set(listeners()) - set(dead))

    run(scene())


def test_a_database_that_ends_every_connection_costs_no_event():
    async def scene() -> None:
        def restart() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    " AND backend_type = 'client backend'"
                )
            connection.close()

        async with running() as hub, hub.reader("a", "", after=0) as reader:
            await meanwhile(happen, "before")
            await told(hub, reader, "before")
            await meanwhile(restart)
            await meanwhile(happen, "after")
            await told(hub, reader, "after")

    connection.close()  # the test's own would be ended too
    run(scene())


# -- frames ------------------------------------------------------------------------------------------


def test_what_happens_close_together_shares_a_frame():
    async def scene() -> None:
        async with (
            running(pace=Pace(poll_s=0.2, frame_s=0.25)) as hub,
            hub.reader("a", "", after=0) as reader,
        ):
            await until(listeners)
            names = [f"s{number}" for number in range(60)]

            def quickly() -> None:
                for name in names:
                    happen(name)

            begun = time.monotonic()
            writing = asyncio.create_task(meanwhile(quickly))
            frames = await told(hub, reader, *names)
            await writing
            assert len(frames) <= 2 + (time.monotonic() - begun) / 0.25
            assert b" ".join(frames).split() == [name.encode() for name in names]

    run(scene())


def test_a_frame_holds_two_hundred_things_at_most():
    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=0) as reader:
            names = [f"s{number}" for number in range(450)]
            await meanwhile(happen, *names)
            frames = await told(hub, reader, *names)
            assert [len(frame.split()) for frame in frames] == [200, 200, 50]

    run(scene())


def test_more_than_anybody_could_follow_is_one_call_to_look_again():
    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=0) as reader:
            await meanwhile(happen, *[f"s{number}" for number in range(1_001)])
            assert await hub.next(reader, timeout_s=10) == b"RESYNC"
            await meanwhile(happen, "later")
            assert await told(hub, reader, "later") == [b"later"]

    run(scene())


def test_a_frame_is_made_once_for_all_who_are_shown_the_same():
    async def scene() -> None:
        maker = Maker()
        async with running(maker) as hub:
            joined = [hub.reader(key, "", after=0) for key in ("a", "b") for _ in range(20)]
            readers = [await each.__aenter__() for each in joined]
            last = await meanwhile(happen, "one")
            frames = [await hub.next(reader, timeout_s=10) for reader in readers]
            assert set(frames) == {b"one"}
            assert len({id(frame) for frame in frames}) <= 2
            assert (maker.made["a", last], maker.made["b", last]) == (1, 1)
            for each in joined:
                await each.__aexit__(None, None, None)

    run(scene())


def test_a_frame_that_cannot_be_made_costs_its_own_readers_a_second_look_and_nobody_else_anything():
    async def scene() -> None:
        maker = Maker()
        maker.broken = {"bad"}
        async with running(maker) as hub, hub.reader("bad", "", after=0) as unlucky:
            await meanwhile(happen, "one")
            assert await hub.next(unlucky, timeout_s=10) == b"RESYNC"
            maker.broken = set()
            await meanwhile(happen, "two")
            assert await told(hub, unlucky, "two") == [b"two"]

    run(scene())


# -- missing nothing ---------------------------------------------------------------------------------


def test_a_reader_that_names_the_last_event_it_saw_is_told_exactly_the_rest():
    seen = happen("old", "seen")

    async def scene() -> None:
        await meanwhile(happen, "missed-1", "missed-2")
        async with running() as hub, hub.reader("a", "", after=seen) as reader:
            assert await hub.next(reader, timeout_s=10) == b"missed-1 missed-2"
            await meanwhile(happen, "new")
            assert await told(hub, reader, "new") == [b"new"]

    run(scene())


def test_readers_that_come_and_go_while_things_happen_miss_nothing():
    first = happen("first")
    names = {f"s{number}" for number in range(200)}

    def numbered(
        keys: Collection[str], happenings: Sequence[Happening], last_id: int, /, *, replay: bool
    ) -> Mapping[str, bytes]:
        told = " ".join([str(last_id), *(each.subject for each in happenings)]).encode()
        return dict.fromkeys(keys, told) if happenings else {}

    def steadily() -> None:
        for name in sorted(names):
            happen(name)
            time.sleep(0.002)

    async def scene() -> None:
        async def follow(number: int) -> None:
            # Away and back again, each time naming what it saw last, and each time under a new key.
            seen: set[str] = set()
            last, visit = first, 0
            while not seen >= names:
                visit += 1
                async with hub.reader(f"{number}-{visit}", "", after=last) as reader:
                    for _ in range(1 + visit % 3):
                        with suppress(TimeoutError):
                            frame = await hub.next(reader, timeout_s=0.3)
                            assert frame not in (None, b"RESYNC")
                            last_told, *told = frame.decode().split()
                            last = int(last_told)
                            seen |= set(told)

        async with running(numbered) as hub:
            await asyncio.gather(meanwhile(steadily), *(follow(number) for number in range(5)))

    run(scene())


def test_a_reader_that_joins_while_a_frame_is_being_made_is_told_it_too():
    async def scene() -> None:
        maker = Maker()
        async with running(maker) as hub, hub.reader("a", "", after=0) as first:
            await meanwhile(happen, "zero")
            await told(hub, first, "zero")
            maker.hold.clear()
            maker.called.clear()
            await meanwhile(happen, "one")
            assert await meanwhile(maker.called.wait, 10)  # the frame for "one" is being made now, for key a
            joining = hub.reader("b", "", after=hub._position)
            late = await joining.__aenter__()
            maker.hold.set()
            await told(hub, first, "one")
            await told(hub, late, "one")
            await joining.__aexit__(None, None, None)

    run(scene())


def test_a_reader_that_joins_while_nobody_was_there_is_told_what_happens_meanwhile():
    async def scene() -> None:
        async with running() as hub:
            hub.start()
            await hub._known.wait()
            hold = threading.Event()
            hub._thread.submit(hold.wait, 10)
            await asyncio.sleep(0.4)  # the idle hub's look at the newest event stands in line behind that
            async with hub.reader("a", "", after=hub._position) as reader:
                await meanwhile(happen, "one")
                hold.set()
                await told(hub, reader, "one")

    run(scene())


def test_whoever_was_away_too_long_looks_again_from_the_start():
    seen = happen("seen")
    happen(*[f"s{number}" for number in range(1_001)])

    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=seen) as reader:
            assert await hub.next(reader, timeout_s=10) == b"RESYNC"

    run(scene())


def test_whoever_missed_events_that_are_no_longer_kept_looks_again():
    seen = happen("seen")
    happen("gone", "kept")
    Event.objects.filter(subject__in=["seen", "gone"]).delete()

    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=seen) as reader:
            assert await hub.next(reader, timeout_s=10) == b"RESYNC"

    run(scene())


def test_whoever_saw_more_than_there_is_looks_again():
    newest = happen("one")

    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=newest + 50) as reader:
            assert await hub.next(reader, timeout_s=10) == b"RESYNC"

    run(scene())


def test_a_page_that_is_newer_than_the_hubs_last_look_is_not_told_to_look_again():
    async def scene() -> None:
        slow = Pace(poll_s=60, frame_s=2.0)
        async with running(pace=slow) as hub, hub.reader("a", "", after=0) as reader:
            await until(listeners)
            await meanwhile(happen, "one")
            await told(hub, reader, "one")
            newest = await meanwhile(happen, "two")  # waits for its frame, two seconds
            async with hub.reader("b", "", after=newest) as fresh:
                assert await told(hub, fresh, "two") == [b"two"]

    run(scene())


def test_many_who_come_back_for_the_same_thing_have_it_made_once():
    seen = happen("seen")
    newest = happen("missed")

    async def scene() -> None:
        maker = Maker()
        async with running(maker) as hub:

            async def come_back() -> bytes | None:
                async with hub.reader("a", "", after=seen) as reader:
                    return await hub.next(reader, timeout_s=10)

            assert set(await asyncio.gather(*(come_back() for _ in range(50)))) == {b"missed"}
            assert maker.made["a", newest] == 1

    run(scene())


# -- piling up nothing ---------------------------------------------------------------------------------


def test_a_reader_that_does_not_read_is_told_to_look_again_and_keeps_nobody_waiting():
    async def scene() -> None:
        pace = Pace(poll_s=0.2, frame_s=0.0, frames_waiting=8)
        async with (
            running(pace=pace) as hub,
            hub.reader("a", "", after=0) as lazy,
            hub.reader("a", "", after=0) as brisk,
        ):
            for number in range(30):
                await meanwhile(happen, f"s{number}")
                await told(hub, brisk, f"s{number}")
            assert lazy.frames.qsize() <= 8
            waiting = [await hub.next(lazy, timeout_s=10) for _ in range(lazy.frames.qsize())]
            assert waiting[0] == b"RESYNC"
            assert waiting[-1] == b"s29"

    run(scene())


def test_readers_hold_no_connections():
    async def scene() -> None:
        def connections() -> int:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                count = cursor.fetchone()[0]
            connection.close()
            return count

        async with running() as hub:
            joined = [hub.reader(f"key-{number % 3}", "", after=0) for number in range(200)]
            readers = [await each.__aenter__() for each in joined]
            await meanwhile(happen, "one")
            for reader in readers:
                await told(hub, reader, "one")
            await until(listeners)
            await until(lambda: connections() <= 2)
            for each in joined:
                await each.__aexit__(None, None, None)

    connection.close()
    run(scene())


def test_closing_ends_every_stream_at_once_and_every_new_one():
    async def scene() -> None:
        async with running() as hub, hub.reader("a", "", after=0) as reader:
            await meanwhile(happen, "unread")
            hub.close()
            assert await hub.next(reader, timeout_s=10) is None
            async with hub.reader("a", "", after=0) as late:
                assert await hub.next(late, timeout_s=10) is None

    run(scene())


# -- who may stay ----------------------------------------------------------------------------------------


def test_whoever_may_not_stay_is_let_go_and_the_others_are_not():
    async def scene() -> None:
        gone: set[str] = set()

        def may_stay(admissions: Sequence[str]) -> list[bool]:
            return [each not in gone for each in admissions]

        async with (
            running(may_stay=may_stay) as hub,
            hub.reader("a", "ada", after=0) as ada,
            hub.reader("a", "bo", after=0) as bo,
        ):
            gone.add("ada")
            await meanwhile(hub.check_soon)
            assert await hub.next(ada, timeout_s=10) is None
            await meanwhile(happen, "one")
            await told(hub, bo, "one")

    run(scene())


def test_rights_are_looked_at_again_by_themselves():
    async def scene() -> None:
        def nobody(admissions: Sequence[str]) -> list[bool]:
            return [False] * len(admissions)

        often = Pace(check_s=0.1, settle_s=0)
        async with running(may_stay=nobody, pace=often) as hub, hub.reader("a", "ada", after=0) as ada:
            assert await hub.next(ada, timeout_s=10) is None

    run(scene())


def test_rights_that_cannot_be_read_let_nobody_stay():
    async def scene() -> None:
        def broken(admissions: Sequence[str]) -> list[bool]:
            raise RuntimeError("no idea")

        often = Pace(check_s=0.1, settle_s=0)
        async with running(may_stay=broken, pace=often) as hub, hub.reader("a", "ada", after=0) as ada:
            assert await hub.next(ada, timeout_s=10) is None

    run(scene())


@pytest.fixture
def admitted() -> tuple[User, Client, Admission]:
    user = story.person("editor")
    client = Client()
    client.force_login(user)
    key = str(client.session.session_key)
    return user, client, Admission(key, user.pk, user.get_session_auth_hash(), user.role)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda user, client: client.logout(), id="signed out"),
        pytest.param(lambda user, client: Session.objects.all().delete(), id="session revoked"),
        pytest.param(
            lambda user, client: Session.objects.update(expire_date="2020-01-01T00:00Z"), id="session expired"
        ),
        pytest.param(lambda user, client: User.objects.update(is_active=False), id="shut out"),
        pytest.param(lambda user, client: User.objects.update(role="viewer"), id="another role"),
        pytest.param(lambda user, client: User.objects.update(password="!"), id="password changed"),
    ],
)
def test_a_stream_ends_with_what_it_began_by(admitted, change):
    user, client, admission = admitted
    assert live.may_stay([admission]) == [True]
    change(user, client)
    assert live.may_stay([admission]) == [False]


# -- what the frames of the Overview hold ------------------------------------------------------------------


@pytest.fixture
def provider(monkeypatch) -> build.StandIn:
    monkeypatch.setattr(live, "_backlogs", {})
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def test_the_overview_offers_what_it_follows():
    assert live._topics.keys() >= set(ALL.topics)
    assert overview.IMAGES_SHOWN == 10


def frame_of(audience: Audience, since: int, *, replay: bool = False) -> str:
    happenings = events.since(since)
    return live.make_frames([audience], happenings, events.newest_id(), replay=replay)[audience].decode()


def test_a_frame_shows_what_changed_by_the_pages_own_rows(provider):
    asked = story.ask(provider, 2)
    (claim,) = story.begin(provider, build.process().id, most=1)
    before = events.newest_id()
    image = story.land(claim)
    frame = frame_of(ALL, before)
    assert frame.startswith(f"id: {events.newest_id()}\ndata: ")
    assert frame.endswith("\n\n")
    done = str(claim.generation.id)
    assert f'<hx-partial hx-target="#generation-{done}" hx-swap="outerMorph">' in frame
    assert f'<hx-partial hx-target="#image-{image.id}" hx-swap="outerMorph">' in frame
    waiting = next(str(each) for each in asked if str(each) != done)
    assert f"generation-{waiting}" not in frame, "nothing happened to it"
    assert '<hx-partial hx-target="#figures" hx-swap="outerMorph">' in frame
    client = Client()
    client.force_login(story.person())
    page = client.get("/admin").text
    for start, end in (
        (f'<li class="frame" id="image-{image.id}"', "</li>"),
        ('<ol class="activity"', "</ol>"),
    ):
        part = page.partition(start)[2].partition(end)[0]
        assert part
        assert squeezed(part) in squeezed(frame)


def squeezed(markup: str) -> str:
    """Without the line breaks that the stream puts between its fields."""
    return "".join(markup.replace("\ndata: ", "").split())


def test_what_is_no_longer_among_the_newest_is_not_sent(provider):
    story.ask(provider, 11)
    first, *_, last = [story.land(claim, look=False) for claim in story.begin(provider, build.process().id)]
    happen(str(first.id), str(last.id), topic="image")
    frame = frame_of(Audience(("images",), "administrator", "en"), events.newest_id() - 2)
    assert f"image-{first.id}" not in frame
    assert f"image-{last.id}" in frame


def test_a_provider_that_pauses_is_seen_on_every_waiting_row(provider):
    asked = story.ask(provider, 3)
    before = happen("openai", topic="provider") - 1
    frame = frame_of(ALL, before)
    assert all(f"generation-{each}" in frame for each in asked)
    assert 'hx-target="#providers"' in frame


def test_whoever_may_not_see_costs_is_sent_none(provider):
    story.ask(provider, 1)
    nobody = Audience(ALL.topics, "stranger", "en")
    assert "$" in frame_of(ALL, 0, replay=True)
    assert "$" not in frame_of(nobody, 0, replay=True)


def test_text_from_outside_cannot_begin_a_field_of_the_stream(provider):
    story.ask(provider, 1)
    Product.objects.update(name="a\revent: resync\r\ndata: x\nid: 99\n\nb")
    frame = frame_of(ALL, 0, replay=True)
    fields = {line.partition(":")[0] for line in frame.rstrip("\n").split("\n")}
    assert fields == {"id", "data"}
    assert "\r" not in frame
    assert frame.count("\n\n") == 1


def test_the_figures_are_sent_at_most_so_often_and_the_last_ones_always(provider, monkeypatch):
    shown: list[int] = []

    def load(happenings: Sequence[Happening]) -> None:
        shown.append(len(happenings))

    now = 1000.0
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(live, "_topics", {"slow": Topic("slow", "read", "", load, every_s=0.3)})
    audience = Audience(("slow",), "viewer", "en")

    def tick(count: int) -> None:
        live.make_frames([audience], [Happening("x", "y", "z", id=n) for n in range(count)], 1, replay=False)

    tick(1)
    tick(2)
    tick(3)
    assert shown == [1]
    now += 0.35
    tick(0)
    assert shown == [1, 5], "what waited is shown together, with nothing new to push it"
    tick(0)
    assert shown == [1, 5]


def test_each_part_is_read_once_and_drawn_once_per_role(provider, monkeypatch):
    story.ask(provider, 1)
    read: list[str] = []
    for name, topic in list(live._topics.items()):

        def load(happenings: Sequence[Happening], topic: Topic = topic) -> object:
            read.append(topic.name)
            return topic.load(happenings)

        counted = Topic(topic.name, topic.right, topic.template, load, topic.every_s)
        monkeypatch.setitem(live._topics, name, counted)
    audiences = [Audience(ALL.topics, role, "en") for role in ("viewer", "editor", "administrator")]
    frames = live.make_frames(audiences, events.since(0), events.newest_id(), replay=True)
    assert len(frames) == 3
    assert sorted(read) == sorted(ALL.topics)


def test_a_stream_is_refused_for_a_topic_that_nobody_offers():
    client = Client()
    client.force_login(story.person())
    assert client.get("/events?topics=secrets").status_code == 400
    assert client.get("/events").status_code == 400
    answer = client.get("/events?topics=figures,images&after=0")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"


def test_ids_are_ordered_by_time_so_that_a_page_can_put_new_things_in_their_place(provider):
    asked = story.ask(provider, 30)
    assert [str(each) for each in asked] == sorted(str(each) for each in asked)
    assert all(isinstance(each, UUID) for each in asked)
