"""A machine of the team's from its address in the environment to a picture in the store: real, and free."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import LazySettings

from packshot.accounts import Actor
from packshot.catalogue import products
from packshot.flows import administer, desk, generate
from packshot.flows.check import check
from packshot.flows.generate import Ask
from packshot.generations.models import Attempt, Generation, ProviderRecord
from packshot.kernel.errors import BadInput
from packshot.ledger.models import Entry
from tests import build
from tests.integration.test_callbacks_worker import all_done, work
from tests.machines import Comfy, Machine, OpenAIEndpoint, WebUI, running

pytestmark = pytest.mark.django_db(transaction=True)

ADA = Actor(None, "ada", "administrator")
MACHINES: dict[str, Callable[[], Machine]] = {
    "compatible": OpenAIEndpoint,
    "automatic1111": WebUI,
    "comfyui": Comfy,
}


@pytest.fixture
def site(settings: LazySettings, tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Set the address of such a machine in the environment, and start the site's desk anew."""
    with ExitStack() as stack:

        def started(name: str) -> Machine:
            machine = stack.enter_context(running(MACHINES[name]()))
            variables = {
                {
                    "compatible": "OWN_OPENAI_URL",
                    "automatic1111": "AUTOMATIC1111_URL",
                    "comfyui": "COMFYUI_URL",
                }[name]: machine.url,
                "COMFYUI_CHECKPOINT": "sd_xl_base_1.0.safetensors",
            }
            settings.SIMULATOR, settings.PROVIDER_KEYS, settings.PROVIDER_VALUE = "auto", {}, variables.get
            settings.BLOB_URL = f"file://{tmp_path / 'blobs'}"
            forget()
            desk.enrol_desk()
            return machine

        yield started
    forget()


def forget() -> None:
    desk.desk.cache_clear()
    desk.quoting.cache_clear()


def ask(name: str, count: int = 1) -> Ask:
    made = [build.product() for _ in range(count)]
    rows = products.by_sku([each.sku for each in made])
    return Ask(rows, name, prompt="{{name}} on a wooden table", options={"resolution": "512"})


@pytest.mark.parametrize("name", MACHINES)
def test_it_is_off_until_an_administrator_switches_it_on_and_then_needs_no_limit(site, name, settings):
    site(name)
    row = ProviderRecord.objects.get(pk=name)
    assert (row.available, row.simulated, row.switched_on) == (True, False, False)
    with pytest.raises(BadInput, match="is off"):
        generate.offer(ask(name), ADA)
    assert administer.switch_on(name, ADA, limit_micros=None) is None
    offered = generate.offer(ask(name, 3), ADA)
    assert (offered.expected_micros, offered.ceiling_micros, offered.simulated) == (0, 0, False)
    assert "Your own machine" in offered.note


@pytest.mark.parametrize("name", MACHINES)
def test_a_picture_is_made_kept_and_booked_at_nothing(site, name, settings):
    machine = site(name)
    administer.switch_on(name, ADA, limit_micros=None)
    wanted = ask(name, 3)
    generate.request(wanted, ADA, request_key=f"a story of {name}", agreed_micros=0)
    work(desk.desk(), settings, all_done)
    assert set(Generation.objects.values_list("status", flat=True)) == {"completed"}
    assert set(Attempt.objects.values_list("state", "cost_micros")) == {("succeeded", 0)}
    assert not Entry.objects.exclude(amount_micros=0).exists()
    assert len([each for each in machine.seen if each.method == "POST"]) == 3
    assert check(strict=True).problems == ()


def test_a_job_whose_answer_got_lost_is_collected_and_not_queued_again(site, settings):
    machine = site("comfyui")
    administer.switch_on("comfyui", ADA, limit_micros=None)
    machine.cut_next = 1
    generate.request(ask("comfyui"), ADA, request_key="a lost answer", agreed_micros=0)
    work(desk.desk(), settings, all_done)
    assert Generation.objects.get().status == "completed"
    assert (len(machine.asked("/prompt")), Attempt.objects.count()) == (1, 1)


def test_a_machine_that_went_away_is_asked_again_by_the_queue(site, settings):
    machine = site("automatic1111")
    administer.switch_on("automatic1111", ADA, limit_micros=None)
    machine.cut_next = 1
    generate.request(ask("automatic1111"), ADA, request_key="a machine away", agreed_micros=0)
    work(desk.desk(), settings, all_done)
    assert Generation.objects.get().status == "completed"
    assert sorted(Attempt.objects.values_list("state", flat=True)) == ["failed_free", "succeeded"]
