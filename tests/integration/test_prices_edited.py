"""Prices that the site says itself: where they are quoted, admitted, sent, settled, and taken back."""

import asyncio
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
import pyvips
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot import catalogue, events, generations, ledger
from packshot.accounts.models import AuditEntry
from packshot.flows import admit, by_hand, generate, prices
from packshot.flows.desk import quoting
from packshot.flows.run import delivered, failed
from packshot.generations.models import Generation
from packshot.kernel.errors import BadAnswer, BadInput, OverBudget, Refused
from packshot.kernel.money import Micros, micros
from packshot.ledger.models import PriceEdit
from packshot.providers.contract import Delivery, GeneratedImage, ImageRequest
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site() -> None:
    """Providers on the simulator, and a template that fits every product."""
    for name in ("openai", "flux", "stability", "sandbox"):
        build.provider_row(name)
    catalogue.save_template(catalogue.GENERAL, "A photograph of {{name}}")


def row(product) -> catalogue.ProductRow:
    (found,) = catalogue.by_id([product.id])
    return found


def asking(provider: str, **more: object) -> generate.Ask:
    return generate.Ask(products=[row(build.product())], provider=provider, **more)


def offered(provider: str = "flux", **more: object) -> generate.Offer:
    return generate.offer(asking(provider, **more), build.EDITOR)


def requested(provider: str = "flux", **more: object) -> Generation:
    ask = asking(provider, **more)
    agreed = generate.offer(ask, build.EDITOR).expected_micros
    asked = generate.request(ask, build.EDITOR, request_key=uuid4().hex, agreed_micros=agreed)
    return Generation.objects.get(pk=asked.generation_ids[0])


def admitted(provider: str = "flux") -> list[generations.Claim]:
    return admit.admit(quoting()[provider], process_id=build.process().id, most=10)


def edit(
    amount: str | None,
    provider: str = "flux",
    model: str = "flux-2-pro",
    *,
    kind: ledger.PriceKind = "price",
    **more: object,
) -> ledger.Price:
    given = {"source": "invoice of 22 November", **more}
    return prices.set_price(
        provider,
        model,
        build.ADMIN,
        kind=kind,
        amount_micros=None if amount is None else micros(amount),
        **given,
    )


# -- where it is quoted ----------------------------------------------------------------------------------


def test_an_offer_is_made_at_the_sites_own_price_and_says_so():
    published = offered()
    own = edit("0.05", most_micros=micros("0.07"))
    found = offered()
    assert (found.expected_micros, found.ceiling_micros) == (50_000, 70_000)
    assert found.expected_micros != published.expected_micros
    assert found.wanted[0].price_version == f"site-{own.id}"
    assert found.note == "The price is this site's own: invoice of 22 November."
    assert offered("flux", model="flux-2-max").expected_micros == 70_000, "another model is as published"


def test_several_images_cost_as_often_as_much():
    edit("0.05", "openai", "gpt-image-2", most_micros=micros("0.06"))
    found = offered("openai", images=3)
    assert (found.expected_micros, found.ceiling_micros) == (150_000, 180_000)


def test_the_price_that_names_most_of_what_was_chosen_holds():
    request = ImageRequest("gpt-image-2", "a bottle", "1:1", options={"quality": "high"})
    openai = quoting()["openai"]

    def price(shape: str = "1:1", quality: str = "high") -> int | None:
        edition = generations.provider_switch("openai").price_edition
        wanted = ImageRequest(request.model, request.prompt, shape, options={"quality": quality})
        return prices.quote(openai, wanted, edition).expected

    published_low = price(quality="low")
    edit("0.10", "openai", "gpt-image-2")
    edit("0.20", "openai", "gpt-image-2", choices={"quality": "high"})
    edit("0.15", "openai", "gpt-image-2", choices={"shape": "3:2"})
    edit("0.30", "openai", "gpt-image-2", choices={"shape": "3:2", "quality": "high"})
    assert price() == 200_000
    assert price("3:2") == 300_000
    assert price("3:2", "low") == 150_000
    assert price(quality="low") == 100_000
    # What is not chosen is the model's default: medium.
    edit("0.12", "openai", "gpt-image-2", choices={"quality": "medium"})
    plain = ImageRequest(request.model, request.prompt)
    edition = generations.provider_switch("openai").price_edition
    assert prices.quote(openai, plain, edition).expected == 120_000
    # Taken back, the next that fits holds; all taken back, the table's own.
    edit(None, "openai", "gpt-image-2", kind="withdrawn", choices={"quality": "high", "shape": "3:2"})
    assert price("3:2") == 150_000, "of two that name one choice each, the newer"
    for choices in ({"quality": "high"}, {"shape": "3:2"}, {"quality": "medium"}, {}):
        edit(None, "openai", "gpt-image-2", kind="withdrawn", choices=choices)
    assert price(quality="low") == published_low


def test_the_last_word_that_is_valid_holds():
    edit("0.05")
    edit("0.09", valid_from=timezone.now() + timedelta(days=1))
    assert offered().expected_micros == 50_000, "tomorrow's price is not today's"
    edit("0.06")
    assert offered().expected_micros == 60_000
    edit("0.07", valid_from=timezone.now() - timedelta(days=30))
    assert offered().expected_micros == 70_000, "since when it is so says nothing about when it was said"


def test_a_later_price_begins_by_itself_for_whoever_has_read_the_ones_before():
    before = requested()
    edit("0.05")
    assert offered().expected_micros == 50_000
    in_a_moment = timezone.now() + timedelta(seconds=3)
    edit("0.08", valid_from=in_a_moment)
    first = generations.provider_switch("flux").price_edition
    assert offered().expected_micros == 50_000
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(extract(epoch FROM %s - clock_timestamp()) + 0.05)", [in_a_moment])
    assert generations.provider_switch("flux").price_edition > first
    assert offered().expected_micros == 80_000
    (claim,) = admitted()
    assert claim.generation.id == before.id
    assert claim.generation.expected_micros == 80_000


def test_without_an_edit_nothing_is_read_and_with_one_it_is_read_once():
    def reads() -> int:
        with CaptureQueriesContext(connection) as captured:
            offered()
        # Of those that go in one trip Django knows no text.
        return sum("FROM packshot_price WHERE" in (each["sql"] or "") for each in captured.captured_queries)

    assert reads() == 0
    edit("0.05")
    assert reads() == 1
    assert reads() == 0
    edit("0.06")
    assert reads() == 1


# -- where it is admitted --------------------------------------------------------------------------------


def test_what_waits_is_priced_anew_before_it_is_sent_and_as_much_is_held():
    build.budget("1")
    waits = requested()
    assert waits.price_version.startswith("flux-")
    own = edit("0.05", most_micros=micros("0.07"))
    (claim,) = admitted()
    again = Generation.objects.get(pk=waits.id)
    assert (again.expected_micros, again.ceiling_micros) == (50_000, 70_000)
    assert again.price_version == f"site-{own.id}"
    assert build.attempt(claim).price_version == f"site-{own.id}"
    assert build.balances() == (0, 70_000)
    # Taken back while the next one waits.
    second = requested()
    assert second.expected_micros == 50_000
    edit(None, kind="withdrawn")
    (claim,) = admitted()
    assert claim.generation.price_version.startswith("flux-")
    assert claim.generation.expected_micros == waits.expected_micros


def test_an_admission_asks_no_more_questions_than_before():
    def questions() -> int:
        requested()
        with CaptureQueriesContext(connection) as captured:
            assert len(admitted()) == 1
        return len(captured)

    plain = questions()
    edit("0.05")
    read = questions()
    assert questions() == plain, "an edition that is known costs nothing"
    assert read <= plain + 2, "a new one is read once, and what was asked at the old price is priced anew"


def test_an_unknown_price_is_not_spent_and_a_known_one_wakes_what_waits():
    build.budget("1")
    waits = requested()
    own = edit(None, kind="unknown", source="they changed it, and we do not know to what")
    assert offered().expected_micros is None
    assert "set to unknown here" in offered().note
    assert admitted() == []
    waits.refresh_from_db()
    assert (waits.status, waits.wait_reason) == ("pending", "price")
    assert build.balances() == (0, 0)
    edit("0.05")
    waits.refresh_from_db()
    assert waits.wait_reason is None
    (claim,) = admitted()
    assert claim.generation.expected_micros == 50_000
    assert claim.generation.price_version != f"site-{own.id}"


def test_a_price_for_a_model_whose_price_nobody_knew_lets_it_be_made():
    line = next(each for each in prices.price_lines("openai", 0) if each.now.low is None)
    choices = prices.choices_of(line.key)
    chosen = {"model": line.model, "options": choices}
    assert offered("openai", **chosen).expected_micros is None
    edit("0.11", "openai", line.model, choices=choices)
    assert offered("openai", **chosen).expected_micros == 110_000
    requested("openai", **chosen)
    (claim,) = admitted("openai")
    assert claim.generation.ceiling_micros == 110_000


def test_a_person_who_agreed_to_less_is_asked_again():
    ask = asking("flux")
    agreed = generate.offer(ask, build.EDITOR).expected_micros
    edit("0.05")
    with pytest.raises(generate.PriceRose) as raised:
        generate.request(ask, build.EDITOR, request_key=uuid4().hex, agreed_micros=agreed)
    assert (raised.value.agreed, raised.value.now) == (agreed, 50_000)


@pytest.mark.django_db(transaction=True)
def test_an_admission_that_waited_for_the_edit_is_made_at_the_new_price():
    """The provider's row is locked by both: there is no moment in between."""
    waits = requested()
    claims: list[generations.Claim] = []
    me = build.process().id

    def admit_meanwhile() -> None:
        try:
            claims.extend(admit.admit(quoting()["flux"], process_id=me, most=1))
        finally:
            connection.close()

    thread = threading.Thread(target=admit_meanwhile)
    with transaction.atomic():
        edit("0.05")
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits for the provider's row"
    thread.join(60)
    (claim,) = claims
    assert (claim.generation.id, claim.generation.expected_micros) == (waits.id, 50_000)


# -- what it is settled at -------------------------------------------------------------------------------


class Shelf:
    async def put(self, content: bytes) -> str:
        return "a" * 64


class Lines:
    def store_trouble(self, problem: str | None) -> None:
        pass


class Around:
    shelf = Shelf()
    lines = Lines()
    timer_scale = 1.0


def settled(claim: generations.Claim, provider: str, cost: str | None) -> int | None:
    image = GeneratedImage(build.PNG, "image/png", 1, 1)
    delivery = Delivery([image], None if cost is None else micros(cost))
    return asyncio.run(delivered(claim, quoting()[provider], delivery, Around())).cost_micros


@pytest.mark.parametrize(
    ("provider", "model", "own", "stated", "booked"),
    [
        # Stability never says what a call cost: its table is the bill, and so is the site's price.
        ("stability", "sd3.5-large", "0.09", "0.065", 90_000),
        ("stability", "sd3.5-large", "0.09", None, 90_000),
        ("stability", "sd3.5-large", None, "0.065", 65_000),
        # FLUX says it: whatever anybody believes, this is what was charged.
        ("flux", "flux-2-pro", "0.09", "0.04", 40_000),
        ("flux", "flux-2-pro", "0.09", None, None),
    ],
)
def test_what_answers_say_is_booked_and_where_they_say_nothing_the_sites_price(
    provider, model, own, stated, booked
):
    requested(provider, model=model)
    if own is not None:
        edit(own, provider, model)
    (claim,) = admitted(provider)
    assert settled(claim, provider, stated) == booked
    charged = BadAnswer("no image", kind="bad_answer", cost=None if stated is None else micros(stated))
    assert failed(claim, quoting()[provider], charged).error.cost == booked
    free = Refused("moderated", kind="refused", charge="free")
    assert failed(claim, quoting()[provider], free).error.cost is None


# -- who may say it, and what is kept ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"provider": "nobody"}, "provider", "there is no provider"),
        ({"provider": "sandbox", "model": "studio"}, "provider", "never costs anything"),
        ({"model": "flux-9"}, "model", "has no model 'flux-9'"),
        ({"amount": "0"}, "amount", "more than nothing"),
        ({"amount": None}, "amount", "the price of one image"),
        ({"kind": "unknown"}, "amount", "belongs to a price that is known"),
        ({"most_micros": micros("0.01")}, "most", "not less than what it costs"),
        ({"choices": {"quality": "high"}}, "key", "may be for shape"),
        ({"choices": {"shape": "7:1"}}, "key", "shape of FLUX.2 pro is one of"),
        ({"source": " . "}, "source", "where the price is from"),
        ({"source": "x" * 501}, "source", "3 to 500 characters"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(change, field, said):
    given = {"amount": "0.05", "provider": "flux", "model": "flux-2-pro"} | change
    amount = given.pop("amount")
    with pytest.raises(BadInput, match=said) as raised:
        edit(amount, **given)
    assert raised.value.field == field
    assert not PriceEdit.objects.exists()
    assert not AuditEntry.objects.exists()


def test_only_an_administrator_sets_a_price():
    with pytest.raises(BadInput, match="only an administrator"):
        prices.set_price("flux", "flux-2-pro", build.EDITOR, amount_micros=Micros(1), source="a contract")


def test_who_set_what_and_why_is_audited_and_told():
    before = events.newest_id()
    own = edit("0.05", choices={"shape": "1:1"})
    (entry,) = AuditEntry.objects.all()
    assert (entry.actor_name, entry.action, entry.subject) == ("ada", "set price", "flux flux-2-pro")
    assert entry.detail["key"] == "shape=1:1"
    assert (entry.detail["amount_micros"], entry.detail["most_micros"]) == (50_000, 50_000)
    assert entry.detail["source"] == "invoice of 22 November"
    (told,) = events.since(before)
    assert (told.topic, told.kind, told.subject) == ("provider", "priced", "flux")
    assert ledger.price_history("flux") == [own]
    assert own.by_name == "ada"


def test_no_client_changes_a_price_that_was_written_down():
    edit("0.05")
    for statement in ("UPDATE packshot_price SET amount_micros = 1", "DELETE FROM packshot_price"):
        refused = pytest.raises(IntegrityError, match="only grows")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


# -- what is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "flux", "stability", "midjourney"])
def test_every_model_that_can_be_asked_for_stands_in_the_table(provider):
    lines = prices.price_lines(provider, 0)
    able = [card.id for card in quoting()[provider].models() if not card.retired]
    assert list(dict.fromkeys(line.model for line in lines)) == able
    assert all(line.now == line.published and line.own is None for line in lines)
    known = [line for line in lines if line.now.low is not None]
    assert known
    assert all(0 < line.now.low <= line.now.high <= line.now.most for line in known)


def test_a_table_has_a_line_for_each_choice_that_makes_a_difference():
    lines = [line for line in prices.price_lines("openai", 0) if line.model == "gpt-image-2"]
    assert [line.key for line in lines] == [
        f"delivery={when}, quality={each}"
        for each in ("low", "medium", "high", "auto")
        for when in ("now", "tomorrow")
    ]
    low, by_tomorrow, _, _, high, *_ = lines
    assert high.now.low > low.now.high
    assert by_tomorrow.now.high < low.now.high
    (plain,) = [line for line in prices.price_lines("stability", 0) if line.model == "sd3.5-large"]
    assert (plain.key, plain.now.low, plain.now.high) == ("", 65_000, 65_000)


def test_the_table_shows_the_sites_price_beside_the_published_one():
    own = edit("0.5", "openai", "gpt-image-2", choices={"quality": "high"})
    single = edit("0.7", "openai", "gpt-image-2", choices={"quality": "low", "shape": "3:2"})
    edition = generations.provider_switch("openai").price_edition
    lines = {line.key: line for line in prices.price_lines("openai", edition) if line.model == "gpt-image-2"}
    high = lines["quality=high"]
    assert (high.own, high.now.low, high.now.high) == (own, 500_000, 500_000)
    assert high.published.high < 500_000
    assert lines["delivery=now, quality=medium"].own is None
    low = lines["delivery=now, quality=low"]
    assert (low.own, low.now.high) == (single, 700_000), "one of its shapes"
    assert low.now.low == low.published.low
    of_its_own = lines["quality=low, shape=3:2"]
    assert (of_its_own.now.low, of_its_own.now.high) == (700_000, 700_000)


# -- what nobody bills -------------------------------------------------------------------------------------


def test_an_image_made_by_hand_costs_what_the_site_says():
    build.provider_row("by-hand", simulated=False)
    build.budget("1", simulated=False)
    assert offered("by-hand").expected_micros == 0
    (card, *_) = quoting()["by-hand"].models()
    waits = requested("by-hand")
    edit("0.06", "by-hand", card.id, source="a plan of 60 dollars for 1,000 images")
    assert offered("by-hand").expected_micros == 60_000
    picture = pyvips.Image.black(64, 64).write_to_buffer(".png")
    assert by_hand.bring(waits.id, [picture], build.EDITOR) == 1
    waits.refresh_from_db()
    assert (waits.status, waits.actual_micros) == ("completed", 60_000)
    assert build.balances(simulated=False) == (60_000, 0)


def test_what_costs_something_needs_a_limit_though_nobody_bills_it():
    build.provider_row("by-hand", simulated=False)
    (card, *_) = quoting()["by-hand"].models()
    requested("by-hand")
    edit("0.06", "by-hand", card.id)
    with pytest.raises(OverBudget, match="no spending limit"):
        requested("by-hand")
