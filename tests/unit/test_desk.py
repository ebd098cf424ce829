"""Which providers an environment makes available, and whether each is real, the simulator, or not there."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import LazySettings

from packshot.flows import desk as desks
from packshot.flows.desk import Desk
from packshot.kernel.errors import BadInput
from packshot.providers import registry
from packshot.providers.contract import ModelCard, Quote
from packshot.providers.openai import OpenAI
from packshot.providers.sandbox import Sandbox

Here = Callable[..., Desk]


class Proxy(Sandbox):
    """A provider without a public address, which charges."""

    name = "proxy"
    label = "Proxy"
    key_variable: str | None = "PROXY_SECRET"
    variables = ("PROXY_URL", "PROXY_PRICE")
    needs_url = True
    on_simulator = True
    free = False

    def __init__(self, account, client):
        self.account, self.client = account, client
        if not account.values.get("PROXY_PRICE", "0").isdigit():
            raise BadInput("PROXY_PRICE is not a number.", field="PROXY_PRICE")

    def models(self):
        return (ModelCard(self.account.values.get("PROXY_PRICE", "plain"), "M", "proxy", "direct", 60),)

    def quote(self, request):
        return Quote(None, None, "proxy-1", "unknown")


class Box(Proxy):
    """One that has no counterpart on the simulator, and needs no key."""

    name = "box"
    key_variable = None
    on_simulator = False
    free = True


class Stranger(Sandbox):
    """Somebody else's, with a public address and a key of its own."""

    name = "stranger"
    label = "Stranger"
    key_variable: str | None = "STRANGER_API_KEY"
    default_base_url = "https://api.stranger.example"
    variables = ("STRANGER_REGION",)
    free = False

    def __init__(self, account, client):
        self.account, self.client = account, client


@pytest.fixture
def here(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """The desk of an environment that holds just these variables."""
    known = {each.name: each for each in (OpenAI, Sandbox, Proxy, Box, Stranger)}
    monkeypatch.setattr(registry, "adapters", lambda: known)

    def make(*, simulator: str = "auto", keys: dict[str, str] | None = None, **variables: str) -> Desk:
        settings.SIMULATOR, settings.SIMULATOR_URL = simulator, "http://127.0.0.1:9"
        settings.PROVIDER_KEYS, settings.PROVIDER_URLS = keys or {}, {}
        settings.PROVIDER_VALUE = variables.get
        desks.desk.cache_clear()
        desks.quoting.cache_clear()
        return desks.desk()

    yield make
    desks.desk.cache_clear()
    desks.quoting.cache_clear()


def test_without_an_address_it_is_not_there_and_the_sentence_says_what_to_set(here):
    made = here(keys={"openai": "sk-1"}, PROXY_SECRET="s", PROXY_PRICE="7")
    assert made.unavailable["proxy"] == "set PROXY_URL in the environment and restart"
    with pytest.raises(BadInput, match="set PROXY_URL"):
        made["proxy"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:7860", "http://gpu:7860", "https://relay.example/mj"])
def test_with_its_address_it_is_real_wherever_it_runs_and_needs_no_key(here, url):
    made = here(PROXY_URL=f" {url} ", PROXY_PRICE="7")
    proxy = made.providers["proxy"]
    assert (made.simulated["proxy"], proxy.account.simulated, proxy.account.key) == (False, False, "")
    assert proxy.client.base_url == url
    assert proxy.account.values == {"PROXY_URL": url, "PROXY_PRICE": "7"}
    assert here(PROXY_URL=url, PROXY_SECRET="s").providers["proxy"].account.key == "s"


def test_an_address_set_makes_the_site_real_and_a_key_alone_of_such_a_provider_does_not(here):
    here(PROXY_URL="http://gpu:7860")
    assert not desks.uses_simulator()
    here(PROXY_SECRET="s")
    assert desks.uses_simulator()
    here(keys={"proxy": "s"})
    assert desks.uses_simulator()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://169.254.169.254", "not on a local network"),
        ("http://8.8.8.8:7860", "not on a local network"),
        ("ftp://gpu", "not a web address"),
        ("http://user:word@gpu", "user name"),
    ],
)
def test_an_address_that_must_not_be_called_closes_this_provider_alone(here, url, says):
    made = here(keys={"openai": "sk-1"}, PROXY_URL=url)
    assert says in made.unavailable["proxy"]
    assert "word" not in made.unavailable["proxy"]
    assert {"openai", "sandbox"} <= made.providers.keys()


def test_a_value_that_cannot_be_used_closes_this_provider_alone_and_breaks_no_page(here):
    made = here(PROXY_URL="http://gpu:7860", PROXY_PRICE="a lot")
    assert made.unavailable["proxy"] == "PROXY_PRICE is not a number."
    assert desks.quoting()["proxy"].models()[0].id == "plain"


def test_models_and_prices_that_the_environment_decides_are_the_same_for_quotes_and_for_calls(here):
    made = here(PROXY_URL="http://gpu:7860", PROXY_PRICE="7")
    assert made.providers["proxy"].models() == desks.quoting()["proxy"].models()
    assert not desks.quoting()["proxy"].account.simulated


def test_on_the_simulator_it_is_simulated_with_the_same_values(here):
    made = here(simulator="on", PROXY_URL="http://gpu:7860", PROXY_PRICE="7")
    proxy = made.providers["proxy"]
    assert (made.simulated["proxy"], proxy.client.base_url) == (True, "http://127.0.0.1:9/proxy")
    assert proxy.account.values["PROXY_PRICE"] == "7"
    assert desks.quoting()["proxy"].account.simulated


def test_what_the_simulator_does_not_speak_for_is_not_there_while_the_site_runs_on_it(here):
    made = here()
    assert "PROXY_URL" in made.unavailable["box"]
    assert made.simulated["proxy"]
    assert here(PROXY_URL="http://gpu:7860").simulated["box"] is False


def test_only_the_machine_of_the_team_may_be_on_the_local_network(here):
    made = here(PROXY_URL="http://gpu:7860", STRANGER_API_KEY="k")
    assert made.providers["stranger"].client.base_url == "https://api.stranger.example"
    assert not made.providers["stranger"].client.allows("http://gpu:7860/x")
    assert made.providers["proxy"].client.allows("http://gpu:7860/x")


def test_a_strangers_adapter_gets_its_key_and_its_values(here):
    made = here(STRANGER_API_KEY="k", STRANGER_REGION="eu", OTHER="x")
    account = made.providers["stranger"].account
    assert (account.key, account.simulated, account.values) == ("k", False, {"STRANGER_REGION": "eu"})
    assert here(keys={"openai": "sk-1"}).unavailable["stranger"] == (
        "set STRANGER_API_KEY in the environment and restart"
    )


def test_what_is_set_up_and_still_cannot_be_asked_is_told_with_the_reason(here):
    here(PROXY_URL="http://169.254.169.254", STRANGER_API_KEY="k")
    assert desks.unusable().keys() == {"proxy", "box"}
    assert "local network" in desks.unusable()["proxy"]
    here(PROXY_URL="http://gpu:7860", PROXY_PRICE="a lot")
    assert set(desks.unusable().values()) == {"PROXY_PRICE is not a number."}
    here(PROXY_URL="http://gpu:7860")
    assert desks.unusable() == {}
    here(simulator="on", PROXY_URL="http://169.254.169.254")
    assert desks.unusable() == {}
