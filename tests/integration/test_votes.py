"""Votes on images without their providers: what is stored, what is refused, what it adds up to."""

import threading
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from packshot.accounts import Actor
from packshot.accounts.people import of_user
from packshot.catalogue.models import Image, Product
from packshot.flows import vote as flow
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput
from packshot.quality.models import Review, Vote
from packshot.reports import ratings, voting
from tests import build
from tests.browser import story

pytestmark = pytest.mark.django_db

PROVIDERS = ("flux", "midjourney", "openai", "stability")


@pytest.fixture
def rita() -> Actor:
    return of_user(story.person("reviewer", "rita"))


def made(product: Product, provider: str, number: int = 0, model: str = "") -> Image:
    """An image of this product by this provider."""
    image = story.land(build.sent(build.StandIn(provider)), number=number)
    Generation.objects.filter(pk=image.generation_id).update(product=product)
    Image.objects.filter(pk=image.pk).update(product=product, **({"model": model} if model else {}))
    Product.objects.filter(pk=product.pk).update(newest_image=image)
    return image


def lamp(*providers: str, name: str = "Lamp", category: str = "Light > Lamps") -> Product:
    """A product with an image of each of these."""
    if not Vote.objects.exists() and not Image.objects.exists():
        build.budget("100")
        for each in PROVIDERS:
            build.provider_row(each)
    product = build.product(name, category=category)
    for number, provider in enumerate(providers):
        made(product, provider, number)
    return product


def shown(product: Product, actor: Actor, size: int = 4) -> voting.Round:
    found = flow.round_of(product.id, actor, size=size)
    assert found is not None
    return found


def place_of(found: voting.Round, provider: str) -> int:
    return [each.provider for each in found.images].index(provider)


def choose(product: Product, actor: Actor, provider: str, size: int = 4) -> voting.Round:
    """Find this provider's image the best."""
    found = shown(product, actor, size)
    flow.vote(product.id, found.id, actor, size=size, best=place_of(found, provider))
    return found


def test_the_best_of_three_is_better_than_each_of_the_others(rita):
    product = lamp("flux", "midjourney", "openai")
    found = choose(product, rita, "openai")
    votes = list(Vote.objects.order_by("other_provider"))
    assert [(each.provider, each.other_provider, each.verdict) for each in votes] == [
        ("openai", "flux", "better"),
        ("openai", "midjourney", "better"),
    ]
    for each in votes:
        assert (each.round, each.product_id, each.person_id) == (found.id, product.id, rita.id)
        assert (each.category_path, each.model, each.other_model) == ("Light > Lamps", "stand-in", "stand-in")
        assert (each.blind, each.simulated, each.withdrawn_at) == (True, True, None)


@pytest.mark.parametrize("verdict", ["equal", "neither"])
def test_without_a_best_one_the_same_is_said_of_every_pair(rita, verdict):
    product = lamp("flux", "midjourney", "openai")
    found = shown(product, rita)
    flow.vote(product.id, found.id, rita, size=4, best=None, verdict=verdict)
    votes = Vote.objects.all()
    assert {each.verdict for each in votes} == {verdict}
    assert {frozenset((each.provider, each.other_provider)) for each in votes} == {
        frozenset(pair) for pair in (("flux", "midjourney"), ("flux", "openai"), ("midjourney", "openai"))
    }


def test_what_was_voted_on_is_not_shown_again_and_new_images_are(rita):
    product = lamp("flux", "openai")
    choose(product, rita, "flux")
    assert flow.round_of(product.id, rita, size=4) is None
    made(product, "flux", 5)
    assert flow.round_of(product.id, rita, size=4) is None, "one new image has nothing to stand beside"
    made(product, "midjourney", 6)
    assert {each.provider for each in shown(product, rita).images} == {"flux", "midjourney"}


def test_a_round_holds_one_image_of_each_provider_before_a_second_model_of_any(rita):
    product = lamp("flux", "openai")
    made(product, "flux", 3, model="another")
    assert len(shown(product, rita, size=2).images) == 2
    assert {each.provider for each in shown(product, rita, size=2).images} == {"flux", "openai"}
    assert sorted(each.model for each in shown(product, rita).images) == ["another", "stand-in", "stand-in"]


def test_photos_grids_and_pictures_that_nobody_could_decode_are_left_out(rita):
    product = lamp("flux", "openai")
    Image.objects.filter(product=product, provider="flux").update(attempt=None)
    assert flow.round_of(product.id, rita, size=4) is None
    for number, unfit in enumerate(({"state": "broken"}, {"handle": {"grid": True}})):
        image = made(product, "midjourney", 3 + number)
        Image.objects.filter(pk=image.pk).update(**unfit)
        assert flow.round_of(product.id, rita, size=4) is None
        assert next_of(rita) is None
    image = made(product, "midjourney", 8)
    Image.objects.filter(pk=image.pk).update(handle={"grid": False})
    assert len(shown(product, rita).images) == 2
    assert next_of(rita) == product.id


def test_the_order_is_the_same_at_each_look_and_another_for_another_person():
    people = [of_user(story.person("reviewer", f"person-{number}")) for number in range(12)]
    product = lamp(*PROVIDERS)
    orders = {tuple(each.provider for each in shown(product, person).images) for person in people}
    assert len(orders) > 4
    firsts = {order[0] for order in orders}
    assert len(firsts) > 1, "the place says nothing about the provider"
    for person in people:
        assert shown(product, person) == shown(product, person)


def test_an_answer_to_other_images_than_stand_there_is_refused(rita):
    product = lamp("flux", "openai")
    before = shown(product, rita)
    made(product, "openai", 4)
    with pytest.raises(BadInput, match="have changed since"):
        flow.vote(product.id, before.id, rita, size=4, best=0)
    with pytest.raises(BadInput, match="no such image"):
        flow.vote(product.id, shown(product, rita).id, rita, size=4, best=2)
    assert not Vote.objects.exists()


def test_a_second_click_changes_nothing(rita):
    product = lamp("flux", "openai")
    found = choose(product, rita, "flux")
    with pytest.raises(BadInput, match="voted on them"):
        flow.vote(product.id, found.id, rita, size=4, best=1)
    assert Vote.objects.count() == 1


def test_votes_are_taken_back_stay_on_record_and_can_be_given_anew(rita):
    product = lamp("flux", "midjourney", "openai")
    found = choose(product, rita, "flux")
    assert flow.take_back(found.id, rita) == 2
    assert flow.take_back(found.id, rita) == 0
    assert voting.answer(found.id, rita.id) is None
    assert choose(product, rita, "openai").id == found.id
    assert Vote.objects.count() == 4
    assert voting.answer(found.id, rita.id) == voting.Answer(
        "better", found.images[place_of(found, "openai")].image_id, True
    )


def test_nobody_takes_back_what_somebody_else_said(rita):
    found = choose(lamp("flux", "openai"), rita, "flux")
    other = of_user(story.person("administrator", "ada"))
    assert flow.take_back(found.id, other) == 0
    assert Vote.objects.filter(withdrawn_at=None).count() == 1


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_who_may_not_review_may_not_vote(role):
    product, actor = lamp("flux", "openai"), of_user(story.person(role))
    for ask in (
        lambda: flow.round_of(product.id, actor, size=2),
        lambda: flow.vote(product.id, uuid4(), actor, size=2, best=0),
        lambda: flow.take_back(uuid4(), actor),
        lambda: flow.next_product(actor, after=None),
    ):
        with pytest.raises(BadInput, match="may not vote"):
            ask()


def test_who_decided_about_an_image_had_its_provider_in_sight(rita):
    product = lamp("flux", "openai")
    image = Image.objects.get(product=product, provider="flux")
    Review.objects.create(image=image, decision="approved", decided_by_id=rita.id, decided_by_name=rita.name)
    choose(product, rita, "flux")
    assert [each.blind for each in Vote.objects.all()] == [False]
    assert ratings.ratings(simulated=True) == ratings.Ratings((), ())


# -- the table holds its rules by itself ---------------------------------------------------------------


def row(**facts: object) -> Vote:
    product = Product.objects.order_by("sku")[0]
    one, two = Image.objects.filter(product=product).order_by("provider")[:2]
    person = story.person("reviewer", f"p-{uuid4().hex[:8]}")
    given: dict[str, object] = {
        "round": uuid4(),
        "product": product,
        "image": one,
        "other": two,
        "provider": one.provider,
        "model": one.model,
        "other_provider": two.provider,
        "other_model": two.model,
        "simulated": True,
        "verdict": "better",
        "blind": True,
        "person": person,
    }
    return Vote(**given | facts)


def test_a_vote_is_about_two_images_of_its_product():
    lamp("flux", "openai")
    strange = lamp("flux", name="Other")
    row().save(force_insert=True)
    image = Image.objects.get(product=strange)
    for wrong in ({"other": row().image}, {"other": image}, {"product": strange}, {"verdict": "worse"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            row(**wrong).save(force_insert=True)


def test_one_person_votes_once_on_a_pair_whichever_image_comes_first():
    lamp("flux", "openai")
    first = row()
    first.save(force_insert=True)
    with pytest.raises(IntegrityError, match="packshot_vote_once"), transaction.atomic():
        row(person=first.person, image=first.other, other=first.image).save(force_insert=True)
    row(image=first.other, other=first.image).save(force_insert=True)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE packshot_vote SET verdict = 'equal'",
        "UPDATE packshot_vote SET blind = NOT blind",
        "UPDATE packshot_vote SET withdrawn_at = NULL",
        "DELETE FROM packshot_vote",
        "TRUNCATE packshot_vote",
    ],
)
def test_a_vote_is_withdrawn_and_never_changed(sql):
    lamp("flux", "openai")
    row().save(force_insert=True)
    withdrawn = row()
    withdrawn.save(force_insert=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE packshot_vote SET withdrawn_at = now() WHERE id = %s", [withdrawn.id])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(sql)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE packshot_vote SET withdrawn_at = now() WHERE id = %s", [withdrawn.id])


@pytest.mark.django_db(transaction=True)
def test_of_two_windows_that_answer_at_once_one_holds(rita):
    product = lamp("flux", "midjourney", "openai")
    found, together, ends = shown(product, rita), threading.Barrier(2), list[str]()

    def answer(best: int) -> None:
        together.wait()
        try:
            flow.vote(product.id, found.id, rita, size=4, best=best)
            ends.append("held")
        except BadInput:
            ends.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=answer, args=[best]) for best in (0, 1)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(ends) == ["held", "refused"]
    assert len({each.image_id for each in Vote.objects.all()}) == 1
    assert Vote.objects.count() == 2


# -- going on ------------------------------------------------------------------------------------------


def next_of(actor: Actor, after: UUID | None = None) -> UUID | None:
    return flow.next_product(actor, after=after).product_id


def test_the_next_product_is_the_next_by_name_that_has_two_providers_not_voted_on(rita):
    alone, first = lamp("flux", name="A"), lamp("flux", "openai", name="B")
    archived, second = lamp("flux", "openai", name="C"), lamp("openai", "midjourney", name="D")
    Product.objects.filter(pk=archived.pk).update(archived_at="2026-01-01T00:00Z")
    assert next_of(rita) == next_of(rita, alone.id) == first.id
    assert next_of(rita, first.id) == second.id
    assert next_of(rita, second.id) == first.id, "it begins anew"
    choose(second, rita, "openai")
    assert next_of(rita, first.id) == first.id, "the only one left"
    choose(first, rita, "openai")
    assert flow.next_product(rita, after=first.id) == voting.Next(None)
    assert next_of(of_user(story.person("reviewer", "bo")), first.id) == second.id


def test_a_long_look_ends_and_says_where(rita, monkeypatch):
    monkeypatch.setattr(voting, "LOOKED_THROUGH", 2)
    plain = [lamp("flux", name=f"A{number}") for number in range(2)]
    wanted = lamp("flux", "openai", name="B")
    assert flow.next_product(rita, after=None) == voting.Next(None, plain[1].id)
    assert next_of(rita, plain[1].id) == wanted.id


# -- what it adds up to --------------------------------------------------------------------------------


def test_ratings_are_of_the_votes_that_count_by_provider_model_and_category(monkeypatch):
    monkeypatch.setattr(ratings, "FEWEST", 2)
    people = [of_user(story.person("reviewer", f"p{number}")) for number in range(4)]
    product, mug = lamp("flux", "openai"), lamp("flux", "openai", name="Mug", category="Kitchen")
    for person in people:
        choose(product, person, "openai")
    choose(mug, people[0], "flux")
    found = flow.round_of(mug.id, people[1], size=2)
    assert found is not None
    flow.vote(mug.id, found.id, people[1], size=2, best=None, verdict="equal")
    found = flow.round_of(mug.id, people[2], size=2)
    assert found is not None
    flow.vote(mug.id, found.id, people[2], size=2, best=None, verdict="neither")

    whole = ratings.ratings(simulated=True)
    assert [(each.maker.provider, each.wins, each.ties, each.losses) for each in whole.providers] == [
        ("openai", 4, 1, 1),
        ("flux", 1, 1, 4),
    ]
    assert {(each.votes, each.neither) for each in whole.providers} == {(6, 1)}
    assert [each.maker.model for each in whole.models] == ["stand-in", "stand-in"]
    light = ratings.ratings(simulated=True, category="Light").providers
    assert [(each.maker.provider, each.wins, each.losses) for each in light] == [
        ("openai", 4, 0),
        ("flux", 0, 4),
    ]
    assert light[0].chance is not None and light[0].chance > 0.5
    assert ratings.ratings(simulated=True, category="Ligh").providers == ()
    assert ratings.ratings(simulated=False).providers == ()


def test_what_was_taken_back_does_not_count(monkeypatch, rita):
    found = choose(lamp("flux", "openai"), rita, "flux")
    assert [each.votes for each in ratings.ratings(simulated=True).providers] == [1, 1]
    flow.take_back(found.id, rita)
    assert ratings.ratings(simulated=True).providers == ()


def test_two_models_of_one_provider_rate_models_and_no_provider(rita):
    product = lamp("flux")
    made(product, "flux", 3, model="another")
    found = shown(product, rita)
    flow.vote(product.id, found.id, rita, size=4, best=0)
    rated = ratings.ratings(simulated=True)
    assert rated.providers == ()
    assert {each.maker.model for each in rated.models} == {"another", "stand-in"}
