"""Images that people make elsewhere: copied out, brought back, held and booked in one go."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from packshot import ledger
from packshot.accounts import Actor
from packshot.blobs import open_store
from packshot.catalogue.models import Image, Product
from packshot.catalogue.products import by_id
from packshot.flows import by_hand, generate, look
from packshot.flows.check import check
from packshot.flows.desk import enrol_desk, quoting
from packshot.flows.generate import Ask
from packshot.generations.models import Attempt, Generation, Process, ProviderRecord
from packshot.kernel.errors import BadInput, OverBudget
from packshot.kernel.money import micros
from packshot.ledger.models import BudgetWindow
from packshot.providers.contract import Quote
from tests import build
from tests.beside import Beside
from tests.browser import story

pytestmark = pytest.mark.django_db(transaction=True)

ADA = Actor(None, "ada", "administrator")
VERA = Actor(None, "vera", "viewer")


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    kept = open_store(f"file://{tmp_path}")
    monkeypatch.setattr(look, "store", lambda: kept)
    return kept


@pytest.fixture
def waiting() -> Generation:
    """A generation that waits for somebody to bring its image."""
    enrol_desk()
    ProviderRecord.objects.filter(pk="by-hand").update(switched_on=True)
    rows = by_id([build.product().id])
    wanted = Ask(rows, "by-hand", prompt="{{name}} on slate", shape="4:5", negative_prompt="text, hands")
    asked = generate.request(wanted, ADA, request_key="by-hand-1", agreed_micros=0)
    return Generation.objects.get(pk=asked.generation_ids[0])


def priced(monkeypatch, dollars: str) -> None:
    """The site says what an image costs."""
    adapter = type(quoting()["by-hand"])
    price = micros(dollars)
    monkeypatch.setattr(adapter, "quote", lambda self, request: Quote(price, price, "of the site"))


def test_it_is_off_until_somebody_switches_it_on_and_needs_no_key():
    enrol_desk()
    row = ProviderRecord.objects.get(pk="by-hand")
    assert (row.available, row.simulated, row.switched_on) == (True, False, False)
    rows = by_id([build.product().id])
    with pytest.raises(BadInput, match="is off"):
        generate.offer(Ask(rows, "by-hand", prompt="{{name}}"), ADA)


def test_no_worker_ever_takes_it(waiting):
    from packshot.flows.desk import desk

    assert "by-hand" not in desk().providers
    assert waiting.status == "pending"


def test_the_prompt_is_copied_with_its_parameters(waiting, client):
    page = signed_in(client).get(f"/admin/queue/{waiting.pk}").content.decode()
    assert "on slate --ar 4:5 --v 8.1 --no text, hands" in page
    assert 'enctype="multipart/form-data"' in page


def test_what_is_brought_is_kept_and_booked_at_the_site_s_price(waiting, monkeypatch):
    priced(monkeypatch, "0.08")
    ledger.add_budget(ledger.Limit(micros("10")))
    assert by_hand.bring(waiting.pk, [build.PNG], ADA) == 1
    waiting.refresh_from_db()
    image, attempt = Image.objects.get(), Attempt.objects.get()
    assert (waiting.status, waiting.actual_micros) == ("completed", 80_000)
    assert (image.generation_id, image.provider, image.simulated) == (waiting.pk, "by-hand", False)
    assert attempt.state == "succeeded"
    assert Process.objects.get(pk=attempt.process_id).ended_at is not None
    assert build.balances(simulated=False) == (80_000, 0)
    assert check(strict=True).problems == ()


def test_whoever_brings_waits_for_the_product_before_it_holds_a_budget(waiting, monkeypatch):
    priced(monkeypatch, "0.08")
    ledger.add_budget(ledger.Limit(micros("10")))
    with transaction.atomic():
        # As a close of another generation of this product does: the product, then the budgets.
        Product.objects.select_for_update(no_key=True).get(pk=waiting.product_id)
        bringing = Beside(lambda: by_hand.bring(waiting.pk, [build.PNG], ADA))
        bringing.wait_until_blocked()
        BudgetWindow.objects.select_for_update(nowait=True).get()
    assert bringing.result() == 1


def test_without_a_price_it_is_covered_by_the_plan_and_needs_no_budget(waiting):
    assert by_hand.bring(waiting.pk, [build.PNG, build.PNG], ADA) == 2
    waiting.refresh_from_db()
    assert (waiting.status, waiting.actual_micros) == ("completed", 0)


def test_where_no_budget_has_room_nothing_is_written(waiting, monkeypatch):
    priced(monkeypatch, "0.08")
    ledger.add_budget(ledger.Limit(micros("0.05")))
    with pytest.raises(OverBudget, match=r"\$0\.08"):
        by_hand.bring(waiting.pk, [build.PNG], ADA)
    waiting.refresh_from_db()
    assert (waiting.status, Attempt.objects.count(), Image.objects.count()) == ("pending", 0, 0)
    assert not Process.objects.filter(ended_at=None, kind="web").exists()


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([], "bring 1 to 4"),
        ([build.PNG] * 5, "bring 1 to 4"),
        ([build.PNG, b"<svg/>"], "picture 2 cannot be used"),
        ([b""], "picture 1 cannot be used"),
    ],
)
def test_pictures_that_are_none_are_refused_before_anything_is_written(waiting, pictures, words):
    with pytest.raises(BadInput, match=words):
        by_hand.bring(waiting.pk, pictures, ADA)
    assert Generation.objects.get().status == "pending"


def test_it_is_brought_once_and_not_after_a_cancel(waiting):
    by_hand.bring(waiting.pk, [build.PNG], ADA)
    with pytest.raises(BadInput, match="waits for nobody"):
        by_hand.bring(waiting.pk, [build.PNG], ADA)


def test_a_cancelled_one_takes_nothing(waiting):
    generate.cancel([waiting.pk], ADA)
    with pytest.raises(BadInput, match="waits for nobody"):
        by_hand.bring(waiting.pk, [build.PNG], ADA)


def test_a_stopped_site_takes_nothing_that_costs(waiting):
    with transaction.atomic():
        ledger.stop_spending(by_name="ada")
    with pytest.raises(BadInput, match="spending is stopped"):
        by_hand.bring(waiting.pk, [build.PNG], ADA)
    assert Generation.objects.get().status == "pending"


def test_another_provider_s_generation_is_no_place_to_bring_an_image():
    build.provider_row()
    build.budget("10")
    (other,) = build.asked(build.StandIn())
    with pytest.raises(BadInput, match="waits for nobody"):
        by_hand.bring(other, [build.PNG], ADA)


def test_a_viewer_brings_nothing(waiting):
    with pytest.raises(BadInput, match="your role"):
        by_hand.bring(waiting.pk, [build.PNG], VERA)


def signed_in(client: Client) -> Client:
    client.force_login(story.person())
    return client


def test_the_page_takes_several_files_at_once(waiting, client):
    files = [SimpleUploadedFile(f"{number}.png", build.PNG, "image/png") for number in range(2)]
    answer = signed_in(client).post(
        "/admin/queue/bring", {"generation": str(waiting.pk), "pictures": files}, follow=True
    )
    assert answer.status_code == 200
    assert Image.objects.filter(generation=waiting).count() == 2
    assert Generation.objects.get().status == "completed"


def test_the_page_says_what_is_wrong_with_a_file(waiting, client):
    sent = SimpleUploadedFile("a.png", b"no picture", "image/png")
    answer = signed_in(client).post("/admin/queue/bring", {"generation": str(waiting.pk), "pictures": [sent]})
    assert answer.status_code in (303, 302, 422, 400)
    assert Image.objects.count() == 0
