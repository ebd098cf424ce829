"""Which providers this installation has, and whether each spends real or simulated money."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from packshot import generations
from packshot.kernel.errors import BadInput
from packshot.providers import registry
from packshot.providers.contract import Account, Provider


@dataclass(frozen=True, slots=True)
class Desk:
    """The providers that can be asked, by name."""

    providers: Mapping[str, Provider]
    simulated: Mapping[str, bool]
    unavailable: Mapping[str, str]  # installed, and why it cannot be asked

    def __getitem__(self, name: str) -> Provider:
        if name in self.providers:
            return self.providers[name]
        if name in self.unavailable:
            raise BadInput(f"{name} cannot be used: {self.unavailable[name]}", field="provider")
        raise BadInput(
            f"there is no provider {name!r}; there are {', '.join(sorted(self.providers))}", field="provider"
        )


def uses_simulator() -> bool:
    """Whether providers run on the simulator: asked for, or because no key is set at all."""
    if settings.SIMULATOR not in ("auto", "on", "off"):
        raise BadInput(
            f"PACKSHOT_SIMULATOR={settings.SIMULATOR!r} is none of auto, on, off", field="PACKSHOT_SIMULATOR"
        )
    # A key of a provider that has no adapter here makes nothing real.
    keys = settings.PROVIDER_KEYS.keys() & registry.adapters().keys()
    return settings.SIMULATOR == "on" or (settings.SIMULATOR == "auto" and not keys)


def simulator_url() -> str | None:
    """Where the simulator of this installation listens: as set, or as it wrote down itself."""
    if settings.SIMULATOR_URL:
        return str(settings.SIMULATOR_URL).rstrip("/")
    try:
        return (Path(settings.DATA) / "simulator" / "url").read_text().strip() or None
    except FileNotFoundError:
        return None


@cache
def quoting() -> Mapping[str, Provider]:
    """Every installed adapter, for model cards and quotes: these need neither key nor address."""
    return {
        name: registry.build(name, Account(key="", base_url=adapter.default_base_url, simulated=True))
        for name, adapter in registry.adapters().items()
    }


@cache
def desk() -> Desk:
    """The providers that this process can call. Built once, from the adapters and the environment."""
    providers: dict[str, Provider] = {}
    simulated: dict[str, bool] = {}
    unavailable: dict[str, str] = {}
    for name, adapter in registry.adapters().items():
        account = _account(name, adapter)
        if isinstance(account, str):
            unavailable[name] = account
            continue
        providers[name] = registry.build(name, account)
        simulated[name] = account.simulated
    return Desk(providers, simulated, unavailable)


def _account(name: str, adapter: type[Provider]) -> Account | str:
    """How to reach this provider, or why it cannot be reached."""
    if adapter.key_variable is None:
        return Account(key="", base_url="", simulated=True)
    if uses_simulator():
        url = simulator_url()
        if url is None:
            return "the simulator is not running; start it with `packshot simulate`"
        return Account(
            # The simulator takes any key; this one cannot be mistaken for a real one.
            key="sk-simulated",
            base_url=f"{url}/{name}",
            simulated=True,
        )
    if name not in settings.PROVIDER_KEYS:
        return f"set {adapter.key_variable} in the environment and restart"
    base_url = settings.PROVIDER_URLS.get(name, adapter.default_base_url)
    host = urlsplit(base_url).hostname or ""
    return Account(
        key=settings.PROVIDER_KEYS[name],
        base_url=base_url,
        # A key that is sent to this machine itself talks to a simulator, whatever it is called.
        simulated=host in ("127.0.0.1", "localhost", "::1"),
    )


def enrol_desk() -> None:
    """Bring the provider table in line with what is installed here."""
    here = desk()
    facts = [
        generations.ProviderFacts(
            name=name,
            label=adapter.label,
            simulated=here.simulated.get(name, True),
            available=name in here.providers,
            max_in_flight=adapter.limits.in_flight,
            per_minute=adapter.limits.per_minute,
        )
        for name, adapter in registry.adapters().items()
    ]
    with transaction.atomic():
        generations.enrol_providers(facts)
