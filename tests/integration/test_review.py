"""Reviewing: what a decision changes, who may not make it, what it lets through to shoppers."""

from threading import Thread

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from packshot import events, preferences, reports
from packshot.accounts import of_user
from packshot.accounts.models import AuditEntry, User
from packshot.catalogue.models import Image, Product
from packshot.flows import publish, retire, review
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput
from packshot.quality.models import Review
from packshot.reports import rebuild_rollups, reviewing
from packshot.reports.reviewing import Shelf, Waiting
from packshot.web import live
from tests import build
from tests.browser import story
from tests.integration.test_rights import FETCH, PAGE

HX = FETCH | {"hx-request": "true"}


@pytest.fixture
def provider(db) -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def rita(db) -> User:
    return story.person("publisher", "rita")


@pytest.fixture
def client(rita) -> Client:
    client = Client()
    client.force_login(rita)
    return client


def image(provider: build.StandIn) -> Image:
    return story.land(build.sent(provider))


def approved_count(provider: build.StandIn) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT approved_count FROM provider_performance_stats WHERE provider = %s", [provider.name]
        )
        return cursor.fetchone()[0]


def test_a_decision_counts_until_another_and_every_one_is_kept(provider, rita):
    made, actor = image(provider), of_user(rita)
    review.decide([made.pk], "approved", "", actor)
    assert approved_count(provider) == 1
    review.decide([made.pk], "rejected", "wrong  colour", actor)
    assert approved_count(provider) == 0
    assert list(Review.objects.order_by("id").values_list("decision", "reason", "current")) == [
        ("approved", "", False),
        ("rejected", "wrong colour", True),
    ]
    review.withdraw([made.pk], actor)
    assert not Review.objects.filter(current=True).exists()
    assert rebuild_rollups() == []
    assert AuditEntry.objects.filter(action__endswith=" images").count() == 3


def test_the_same_decision_again_changes_nothing_and_is_not_told_twice(provider, rita):
    made, actor = image(provider), of_user(rita)
    review.decide([made.pk, made.pk], "approved", "", actor)
    assert review.decide([made.pk], "approved", "", actor).turned == ()
    assert Review.objects.count() == 1
    assert approved_count(provider) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_rejection_says_why_and_nothing_is_decided_otherwise(provider, rita, reason):
    made = image(provider)
    with pytest.raises(BadInput, match=r"reason|wrong with it"):
        review.decide([made.pk], "rejected", reason, of_user(rita))
    assert not Review.objects.exists()


def test_the_overview_says_how_many_wait_with_the_way_there_and_while_it_is_open(provider, rita, client):
    overview = reverse("overview")
    assert "waiting for review" not in client.get(overview).text, "nothing was made yet"
    first, second, actor = image(provider), image(provider), of_user(rita)
    page = client.get(overview).text
    assert f'<p id="waiting"><a class="link" href="{reverse("review")}">2 waiting for review</a></p>' in page

    def live_frame() -> str:
        audience = live.Audience(("waiting",), "publisher", "en")
        return live.make_frames([audience], events.since(after), 9, replay=True)[audience].decode()

    after = events.newest_id()
    review.decide([first.pk], "approved", "", actor)
    assert ">1 waiting for review</a>" in live_frame()
    retire.archive([second.product_id], actor)
    assert '<p id="waiting"></p>' in client.get(overview).text, "what is archived waits for nobody"
    review.withdraw([first.pk], actor)
    assert ">1 waiting for review</a>" in live_frame()


def test_those_that_wait_are_counted_among_the_newest_only(provider, rita, monkeypatch):
    old, new = image(provider), image(provider)
    assert reviewing.waiting() == Waiting(2, more=False)
    monkeypatch.setattr(reviewing, "LOOKED_AT_MOST", 1)
    assert reviewing.waiting() == Waiting(1, more=True)
    review.decide([new.pk], "approved", "", of_user(rita))
    assert reviewing.waiting() == Waiting(0, more=True), "the older one is not looked at"
    monkeypatch.setattr(reviewing, "LOOKED_AT_MOST", 5)
    assert reviewing.waiting() == Waiting(1, more=False)
    monkeypatch.setattr(reviewing, "WAITING_AT_MOST", 1)
    assert reviewing.waiting() == Waiting(1, more=True)
    assert old.pk in reviewing.ids(Shelf(), limit=5)


def test_with_four_eyes_nobody_decides_about_what_they_asked_for(provider, rita):
    mine, theirs = image(provider), image(provider)
    Generation.objects.filter(pk=mine.generation_id).update(asked_by=rita, asked_by_name="rita")
    actor = of_user(rita)
    preferences.set("four_eyes", True, "ada")
    with pytest.raises(BadInput, match="somebody else"):
        review.decide([mine.pk], "approved", "", actor)
    done = review.decide([mine.pk, theirs.pk], "approved", "", actor)
    assert ([each.image_id for each in done.turned], done.own) == ([theirs.pk], 1)
    preferences.set("four_eyes", False, "ada")
    assert review.decide([mine.pk], "approved", "", actor).own == 0


def test_where_approval_is_required_only_an_approved_image_becomes_active(provider, rita):
    made, other, actor = image(provider), image(provider), of_user(rita)
    preferences.set("approval_required", True, "ada")
    with pytest.raises(BadInput, match="review it first"):
        publish.activate(made.pk, actor)
    ids = [made.product_id, other.product_id]
    assert publish.activate_newest(ids, actor) == []
    review.decide([made.pk], "approved", "", actor)
    (done,) = publish.activate_newest(ids, actor)
    assert done.after == made.pk
    review.decide([other.pk], "rejected", "wrong text", actor)
    with pytest.raises(BadInput, match="review it first"):
        publish.activate(other.pk, actor)
    # What shoppers see stays until somebody chooses another.
    review.decide([made.pk], "rejected", "cropped", actor)
    assert Product.objects.get(pk=made.product_id).active_image_id == made.pk


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_the_figures_know_exactly_one_approval(transactional_db):
    build.provider_row()
    build.budget("100")
    provider = build.StandIn()
    made = [image(provider).pk for _ in range(6)]
    people = [of_user(story.person("reviewer", name)) for name in ("ann", "bob", "cyd")]
    trouble: list[Exception] = []

    def work(place: int) -> None:
        try:
            for _ in range(4):
                review.decide(made[:: 1 if place else -1], "approved", "", people[place])
                review.decide(made, "rejected", "cropped", people[place])
                review.decide(made, "approved", "", people[place])
        except Exception as problem:
            trouble.append(problem)
        finally:
            connection.close()

    threads = [Thread(target=work, args=(place,)) for place in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert trouble == []
    assert approved_count(provider) == 6
    assert rebuild_rollups() == []
    assert Review.objects.filter(current=True).count() == 6


def test_the_shelves_hold_what_was_decided_and_what_waits(provider, rita):
    first, second, third = image(provider), image(provider), image(provider)
    actor = of_user(rita)
    review.decide([first.pk], "approved", "", actor)
    review.decide([second.pk], "rejected", "wrong text", actor)
    for shelf, expected in {"": third, "approved": first, "rejected": second}.items():
        assert [each.image_id for each in reviewing.candidates(Shelf(shelf), limit=9)] == [expected.pk]
        assert reviewing.ids(Shelf(shelf), limit=9) == [expected.pk]
        assert reviewing.count(Shelf(shelf)) == 1
    (reason,) = reviewing.reasons(30)
    assert (reason.reason, reason.provider, reason.count) == ("wrong text", provider.name, 1)
    Product.objects.filter(pk=third.product_id).update(archived_at="2026-01-01T00:00Z")
    assert reviewing.count(Shelf()) == 0


def test_a_key_decides_and_the_next_image_is_in_the_answer(provider, client):
    older, newer = image(provider), image(provider)
    page = client.get("/review", headers=PAGE).text
    assert f'name="image" value="{newer.pk}"' in page
    assert page.count('data-key="a"') == 1
    told = client.post(
        "/review/decide", {"image": str(newer.pk), "decision": "approved", "shows": "one"}, headers=HX
    ).text
    assert f'name="image" value="{older.pk}"' in told
    assert "1 image approved" in told
    assert "Undo" in told
    assert str(newer.pk) in told[told.index("Undo") - 600 :]
    back = client.post(
        "/review/decide", {"images": str(newer.pk), "decision": "undecided", "shows": "one"}, headers=HX
    ).text
    assert f'name="image" value="{newer.pk}"' in back
    assert not Review.objects.filter(current=True).exists()


def test_all_that_wait_are_approved_at_once_and_nothing_else(provider, client):
    made = [image(provider) for _ in range(3)]
    client.post("/review/decide", {"image": str(made[0].pk), "decision": "rejected", "reason": "cropped"})
    told = client.post(
        "/review/decide", {"all": "1", "decision": "approved", "shows": "grid"}, headers=HX
    ).text
    assert "2 images approved" in told
    assert told.count('hx-swap="delete"') == 2
    assert Review.objects.get(image=made[0], current=True).decision == "rejected"


@pytest.mark.parametrize(
    "view", ["/review", "/review?view=grid", "/review?shelf=rejected", "/review/reasons"]
)
def test_every_view_costs_as_many_queries_for_one_image_as_for_many(provider, client, rita, view):
    counted = []
    for _ in range(2):
        for _ in range(3):
            image(provider)
        review.decide(reviewing.ids(Shelf(), limit=1), "rejected", "cropped", of_user(rita))
        client.get(view, headers=PAGE)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(view, headers=PAGE).status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12


def test_a_viewer_sees_the_images_and_decides_nothing(provider):
    image(provider)
    client = Client()
    client.force_login(story.person("viewer", "vic"))
    page = client.get("/review", headers=PAGE).text
    assert "review-stage" in page
    assert "review_decide" not in page
    assert 'name="decision"' not in page


def test_the_view_of_providers_spreads_the_cost_over_approved_images(provider, rita):
    made = [image(provider) for _ in range(4)]
    review.decide([made[0].pk, made[1].pk], "approved", "", of_user(rita))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cost_per_approved, total_cost FROM provider_performance_stats WHERE provider = %s",
            [provider.name],
        )
        each, total = cursor.fetchone()
    assert each == total / 2
    assert reports.providers()
