"""By tomorrow, in the form, on the Queue's pages and in a shell: the price, the reasons, where it stands."""

import re
import sys
from html import unescape

import pytest
from django.test import Client

from packshot import generations
from packshot.accounts.models import User
from packshot.catalogue.models import Product
from packshot.cli import main
from packshot.flows import admit
from packshot.flows.desk import quoting
from packshot.generations.models import Generation
from packshot.providers.contract import BY_TOMORROW, DELIVERY, Progress, Ticket
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_product import fields
from tests.integration.test_web_products import HX
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    story.three_providers("A packshot of {{name}}.")
    return build.product()


@pytest.fixture
def me(product) -> User:
    return story.person("publisher", "pat")


@pytest.fixture
def client(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


def quoted(client: Client, product: Product, **changes: object) -> tuple[dict[str, object], str]:
    """The form with these choices, and what it would say now."""
    page = client.get(f"/products/{product.sku}", headers=PAGE).text
    form = {**fields(page), "provider": "openai", "images": "1", "shape": "1:1", **changes}
    text = str(client.post("/generate/quote", form, headers=HX).text)
    assert breaches(text) == []
    return form | dict(re.findall(r'name="(agreed-[^"]+)" value="(\d+)"', text)), text


def delivery(text: str) -> str:
    return unescape(re.search(r'<fieldset id="ask-delivery">.*?</fieldset>', text, re.DOTALL)[0])


def rested(client: Client, product: Product) -> Generation:
    """One that was asked for in the form, ordered, and looked at once."""
    form, _ = quoted(client, product, delivery="tomorrow")
    assert client.post("/generate", form, headers=HX).status_code == 200
    me = generations.enrol("pay")
    (claim,) = admit.admit(quoting()["openai"], process_id=me.id, most=10, tomorrow=True)
    admit.start_sending([claim], process_id=me.id)
    ticket = Ticket({"batch": "batch_1", "model": "gpt-image-2"})
    admit.accept({claim.attempt_id: (ticket.state, "", None)})
    admit.note_progress(
        claim.batch_id, Progress("in_progress", done=2, failed=0, total=9, ended=False, due_at=1_795_800_000)
    )
    return Generation.objects.get()


def test_the_form_offers_it_at_half_the_price_and_asks_for_it(client, product):
    now, _ = quoted(client, product)
    then, text = quoted(client, product, delivery="tomorrow")
    assert "1 image, by tomorrow" in text
    price, half = int(now["agreed-openai"]), int(then["agreed-openai"])
    assert price / 2 <= half <= price / 2 + 1
    assert client.post("/generate", then, headers=HX).status_code == 200
    made = Generation.objects.get()
    assert (made.options, made.expected_micros) == ({DELIVERY: BY_TOMORROW}, half)
    assert "option-openai-delivery" not in text, "it is asked once, not as an option of each model too"


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"provider": "flux"}, "is not sold for less by tomorrow"),
        ({"model-openai": "gpt-image-2.6-flare"}, "GPT Image 2.6 Flare is not sold for less by tomorrow"),
        ({"provider": ["openai", "flux"]}, "FLUX.2 pro is not sold for less by tomorrow"),
        (
            {"provider": ["openai", "flux"], "how": "cheapest"},
            "One that is chosen among several makes it now",
        ),
    ],
)
def test_where_it_cannot_be_had_it_is_grey_with_the_reason_and_made_now(client, product, choices, reason):
    form, text = quoted(client, product, delivery="tomorrow", **choices)
    shown = delivery(text)
    assert re.search(r'<input[^>]*value="tomorrow"[^>]* disabled', shown)
    assert reason in shown
    assert "by tomorrow</span>" not in text
    assert client.post("/generate", form, headers=HX).status_code == 200
    assert all(DELIVERY not in each.options for each in Generation.objects.all())


def test_list_and_page_say_with_whom_it_is_and_until_when(client, product):
    made = rested(client, product)
    row = client.get("/admin/queue", headers=PAGE).text
    assert re.search(r'<span class="why">by tomorrow, \s*<time', row)
    page = unescape(client.get(f"/admin/queue/{made.id}", headers=PAGE).text)
    note = re.sub(r"<[^>]+>", "", page[page.index("With OpenAI’s batch") :])[:300]
    assert "by tomorrow" in note
    assert "2 of 9 made (in progress), asked" in " ".join(note.split())


@pytest.fixture
def shell(monkeypatch, capsys):
    """The program, run in this process: how it ended, and what it said."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["packshot", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as end:
            main()
            sys.exit(0)
        return int(end.value.code or 0), " ".join("".join(capsys.readouterr()).split())

    return run


def test_a_shell_says_it_too(client, product, shell):
    made = rested(client, product)
    code, said = shell("queue", "show", made.id)
    assert code == 0
    assert "with the provider's batch, by tomorrow" in said
    assert "2 of 9 made" in said


def test_a_cancel_says_when_the_batch_is_called_off(client, product):
    made = rested(client, product)
    client.post("/admin/queue/cancel", {"generation": str(made.id)}, headers=HX)
    page = client.get(f"/admin/queue/{made.id}", headers=PAGE).text
    assert "the batch is called off once nobody wants any of it" in page


def test_a_shell_asks_for_it_and_is_told_where_it_cannot_be_had(product, shell):
    words = ["generate", "--sku", product.sku, "--by-tomorrow", "--yes", "--provider"]
    assert shell(*words, "openai")[0] == 0
    assert Generation.objects.get().options == {DELIVERY: BY_TOMORROW}
    code, said = shell(*words, "flux")
    assert code != 0
    assert "not sold for less by tomorrow" in said
