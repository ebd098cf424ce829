"""Choosing between providers, and the next one when the first refused or is down: recorded, and never dearer
than what was agreed to."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import Result
from django.db import connection, transaction
from typer.testing import CliRunner

from packshot import catalogue, events, generations
from packshot.accounts import Actor
from packshot.catalogue.products import by_id
from packshot.cli import generating
from packshot.cli.commands import app
from packshot.events import Happening
from packshot.events.models import Event
from packshot.flows import admit, generate, routing
from packshot.flows.check import check
from packshot.flows.generate import Ask
from packshot.flows.routing import Among, Route
from packshot.generations.models import Generation, ProviderRecord
from packshot.generations.models import Route as RouteRow
from packshot.kernel.errors import BadInput, Refused, Unsure
from packshot.kernel.money import micros
from packshot.reports import choices
from tests import build
from tests.beside import Beside

pytestmark = pytest.mark.django_db(transaction=True)

ADA = Actor(None, "ada", "administrator")
PRICES = {"openai": "0.05", "flux": "0.03", "stability": "0.04"}


@pytest.fixture
def providers(monkeypatch):
    """Three providers with one model each, at three prices."""
    standing = {name: build.StandIn(name, price=price) for name, price in PRICES.items()}
    for name in standing:
        build.provider_row(name)
    build.budget("10")
    for module in (generate, routing):
        monkeypatch.setattr(module, "quoting", lambda: standing)
    return standing


def among(*names: str) -> tuple[Among, ...]:
    return tuple(Among(*name.split(":")) if ":" in name else Among(name) for name in names)


def ask(route: Route, *, products: int = 1, key: str = "route-key-1") -> list[Generation]:
    """What was queued for so many products, in the order of the products."""
    rows = by_id([build.product().id for _ in range(products)])
    wanted = Ask(rows, "openai", prompt="{{name}} on slate", route=route)
    offered = generate.offer(wanted, ADA)
    asked = generate.request(wanted, ADA, request_key=key, agreed_micros=offered.expected_micros)
    return list(Generation.objects.filter(pk__in=asked.generation_ids).order_by("product_id"))


def route_row(generation: Generation) -> RouteRow:
    return RouteRow.objects.get(pk=generation.pk)


def fail(generation: Generation, error: Exception, standing) -> None:
    """Run it at its provider, to this end."""
    with transaction.atomic():
        process = build.process()
    (claim,) = build.claimed(standing[generation.provider_id], process_id=process.id)
    assert claim.generation.id == generation.id
    admit.start_sending([claim], process_id=process.id)
    build.end(build.failed(claim, error))


def test_the_cheapest_is_asked_first_and_the_others_in_order_of_price(providers):
    (made,) = ask(Route("cheapest", among("openai", "flux", "stability")))
    row = route_row(made)
    assert (made.provider_id, row.by) == ("flux", "cheapest")
    assert row.because == "cheapest: $0.030; Stability $0.040, OpenAI $0.050".replace(
        "Stability", "Stand-in"
    ).replace("OpenAI", "Stand-in")
    assert [hop[0] for hop in row.then] == ["stability", "openai"]
    assert row.most_micros == micros("0.05")


def test_an_unknown_price_is_never_the_cheapest(providers):
    providers["flux"].price = providers["flux"].expected = None
    (made,) = ask(Route("cheapest", among("openai", "flux")))
    assert made.provider_id == "openai"


def test_without_fallback_nobody_follows(providers):
    (made,) = ask(Route("order", among("openai", "flux"), fallback=False))
    assert route_row(made).then == []
    fail(made, Refused("no", kind="refused"), providers)
    assert routing.follow() == 0


def test_the_fastest_is_measured_where_there_are_enough_and_else_as_its_card_says(providers, monkeypatch):
    monkeypatch.setattr(choices, "speeds", lambda *, simulated: {("stability", "stand-in"): 3.2})
    (made,) = ask(Route("fastest", among("openai", "stability")))
    assert made.provider_id == "stability"
    assert route_row(made).because.startswith("fastest: 3.2 s measured")


def test_the_best_is_whose_images_are_chosen_and_few_images_win_nothing(providers, monkeypatch):
    told = {("openai", "stand-in"): (100, 60, 0.50), ("flux", "stand-in"): (20, 15, 0.53)}
    monkeypatch.setattr(choices, "favourites", lambda *, simulated: told)
    (made,) = ask(Route("best", among("openai", "flux", "stability")))
    assert made.provider_id == "flux"
    assert "15 of 20 chosen" in route_row(made).because
    assert "too few to tell" in route_row(made).because


def test_weights_share_the_products_and_ask_the_same_again(providers):
    shared = Route("weighted", (Among("openai", weight=3), Among("flux", weight=1)))
    made = ask(shared, products=200)
    share = sum(each.provider_id == "openai" for each in made) / 200
    assert 0.6 < share < 0.9
    rows = by_id([each.product_id for each in made])
    again = generate.offer(Ask(rows, "openai", prompt="{{name}}", route=shared), ADA)
    assert {each.product_id: each.provider for each in again.wanted} == {
        each.product_id: each.provider_id for each in made
    }


def test_who_cannot_be_asked_is_left_out_and_nobody_at_all_is_said(providers):
    ProviderRecord.objects.filter(pk="flux").update(available=False)
    (made,) = ask(Route("cheapest", among("openai", "flux")))
    assert made.provider_id == "openai"
    ProviderRecord.objects.filter(pk="openai").update(available=False)
    with pytest.raises(BadInput, match="none of them can be asked"):
        ask(Route("cheapest", among("openai", "flux")), key="route-key-2")


def test_simulated_and_real_money_are_never_mixed(providers):
    ProviderRecord.objects.filter(pk="flux").update(simulated=False, switched_on=True)
    with pytest.raises(BadInput, match="one kind"):
        ask(Route("cheapest", among("openai", "flux")))


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Route("order", among("openai")), "from 2 to 8"),
        (Route("order", among("openai", "nobody")), "no provider 'nobody'"),
        (Route("order", among("openai", "openai")), "stand twice"),
        (Route("order", among("openai", "flux:gone")), "no model 'gone'"),
        (Route("luck", among("openai", "flux")), "no way to choose"),  # type: ignore[arg-type]
        (Route("weighted", (Among("openai", weight=0), Among("flux", weight=0))), "every weight is zero"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(providers, route, words):
    with pytest.raises(BadInput, match=words):
        ask(route)


def test_the_next_is_asked_when_the_first_refused_and_all_of_it_is_told(providers):
    (made,) = ask(Route("order", among("openai", "flux", "stability")))
    fail(made, Refused("moderated", kind="refused"), providers)
    assert routing.follow() == 1
    heir = Generation.objects.get(retry_of=made)
    row = route_row(heir)
    assert (heir.provider_id, heir.status, heir.prompt) == ("flux", "pending", made.prompt)
    assert (row.instead_of_id, row.because) == (made.pk, "Stand-in refused the prompt")
    assert [hop[0] for hop in row.then] == ["stability"]
    assert Event.objects.get(kind="switched").data["instead_of"] == str(made.pk)
    assert generations.route_of(made.pk)["then"] == heir.pk
    assert routing.follow() == 0, "it was followed once"
    fail(heir, Refused("moderated", kind="refused"), providers)
    assert routing.follow() == 1
    last = Generation.objects.get(retry_of=heir)
    fail(last, Refused("moderated", kind="refused"), providers)
    assert routing.follow() == 0, "there is nobody left"
    assert check().problems == ()


def test_what_waits_for_a_provider_that_is_down_goes_to_the_next_after_a_while(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    with transaction.atomic():
        generations.pause("openai", kind="bad_key", message="the key is wrong")
    assert routing.follow(patience_s=60) == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE packshot_generation SET updated_at = now() - interval '2 minutes'")
    assert routing.follow(patience_s=60) == 1
    made.refresh_from_db()
    assert (made.status, made.actual_micros) == ("cancelled", None)
    assert "handed to Stand-in" in made.error_message
    assert Generation.objects.get(retry_of=made).provider_id == "flux"
    assert check().problems == ()


def test_a_provider_that_only_has_much_to_do_is_waited_for(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE packshot_generation SET updated_at = now() - interval '1 hour'")
    assert routing.follow(patience_s=60) == 0
    assert Generation.objects.get().pk == made.pk


def test_nobody_follows_a_call_whose_outcome_is_not_known(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    fail(made, Unsure("cut", kind="cut_off"), providers)
    assert routing.follow() == 0


def test_no_more_is_spent_than_was_agreed_to_for_the_dearest(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    fail(
        made,
        Refused("moderated after drawing", kind="refused", charge="unknown", cost=micros("0.05")),
        providers,
    )
    assert routing.follow() == 0, "its own charge is open, and both would cost more than 0.05"
    assert Generation.objects.count() == 1


def test_a_price_that_rose_is_not_paid_in_silence(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    providers["flux"].price = providers["flux"].expected = micros("0.06")
    fail(made, Refused("moderated", kind="refused"), providers)
    assert routing.follow() == 0
    assert route_row(made).settled_at is not None


def test_two_workers_that_look_at_once_ask_the_next_once(providers):
    made = ask(Route("order", among("openai", "flux")), products=6)
    for each in made:
        fail_one(each, providers)

    def look(_: int) -> int:
        try:
            return routing.follow()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(look, range(4))) == 6
    assert Generation.objects.filter(retry_of__isnull=False).count() == 6


def test_news_of_one_that_is_handed_over_never_hold_up_the_next(providers):
    """Whoever holds a row of the second has to tell its own news before it lets go."""
    made = ask(Route("order", among("openai", "flux")), products=2)
    for each in made:
        fail_one(each, providers)
    with transaction.atomic():
        catalogue.record_outcomes([catalogue.Outcome(made[1].product_id, "failed")])
        following = Beside(routing.follow)
        following.wait_until_blocked()
        events.tell([Happening("generation", "failed", str(made[1].id))])
    assert following.result() == 2


def test_what_was_cancelled_is_settled_by_whoever_comes_first_and_nobody_waits_for_it(providers):
    made = ask(Route("order", among("openai", "flux")), products=2)
    generate.cancel([each.pk for each in made], ADA)
    with transaction.atomic():
        RouteRow.objects.select_for_update(no_key=True).get(pk=made[1].pk)
        assert Beside(routing.follow).result() == 0
        assert [route_row(each).settled_at is not None for each in made] == [True, False]
    assert routing.follow() == 0
    assert route_row(made[1]).settled_at is not None


def fail_one(generation: Generation, standing) -> None:
    Generation.objects.filter(pk=generation.pk).update(
        status="processing", error_kind="refused", started_at=generation.created_at
    )
    Generation.objects.filter(pk=generation.pk).update(status="failed", completed_at=generation.created_at)


def test_what_ended_well_is_looked_at_no_more(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    with transaction.atomic():
        process = build.process()
    (claim,) = build.claimed(providers["openai"], process_id=process.id)
    admit.start_sending([claim], process_id=process.id)
    build.end(build.delivered(claim, cost="0.05"))
    assert routing.follow() == 0
    assert route_row(made).settled_at is not None


def test_a_request_key_with_another_route_is_refused(providers):
    (made,) = ask(Route("order", among("openai", "flux")))
    rows = by_id([made.product_id])
    other = Ask(rows, "openai", prompt="{{name}} on slate", route=Route("cheapest", among("openai", "flux")))
    with pytest.raises(BadInput, match="used before"):
        generate.request(other, ADA, request_key="route-key-1", agreed_micros=10**9)


@pytest.fixture
def shell(providers, monkeypatch):
    """`packshot generate` with these words, for one product."""
    monkeypatch.setattr(generating, "quoting", lambda: providers)
    product = build.product()

    def run(*words: str) -> Result:
        return CliRunner().invoke(
            app, ["generate", "--sku", product.sku, "--prompt", "{{name}} on slate", "--yes", *words]
        )

    return run


def test_the_shell_chooses_and_says_why_and_what_it_may_cost_at_most(shell):
    told = shell("--among", "openai,flux", "--by", "cheapest")
    assert told.exit_code == 0, told.output
    assert "cheapest: $0.030" in told.output
    assert "If others take over" in told.output
    assert Generation.objects.get().provider_id == "flux"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "--provider NAME, or --among"),
        (("--provider", "openai", "--among", "openai,flux"), "--provider NAME, or --among"),
        (("--among", "openai"), "from 2 to 8"),
        (("--among", "openai,flux=much", "--by", "weighted"), "a weight is a whole number"),
        (("--among", "openai,flux", "--by", "luck"), "no way to choose"),
        (("--among", "openai,flux", "--seed", "7"), "belong to one model"),
    ],
)
def test_the_shell_says_what_is_wrong_with_a_choice(shell, words, problem):
    told = shell(*words)
    assert told.exit_code != 0
    assert problem in " ".join(str(told.exception or told.output).split())
    assert not Generation.objects.exists()
