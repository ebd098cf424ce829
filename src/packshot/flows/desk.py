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
from packshot.providers.http import Blocked


@dataclass(frozen=True, slots=True)
class Desk:
    """The providers that can be asked, by name."""

    providers: Mapping[str, Provider]
    simulated: Mapping[str, bool]
    unavailable: Mapping[str, str]  # installed, and why it cannot be asked
    by_hand: frozenset[str] = frozenset()  # nobody is called: people bring their images

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
    real = any(is_set_up(adapter) for adapter in registry.adapters().values())
    return settings.SIMULATOR == "on" or (settings.SIMULATOR == "auto" and not real)


def is_set_up(adapter: type[Provider]) -> bool:
    """Whether the environment holds what the provider cannot be asked without: its key, or its address."""
    if registry.url_variable(adapter):
        return bool(_values(adapter).get(registry.needed_variable(adapter) or ""))
    return bool(_key(adapter))


def _key(adapter: type[Provider]) -> str:
    """The provider's key, or nothing."""
    named = settings.PROVIDER_VALUE(adapter.key_variable or "")
    return str(settings.PROVIDER_KEYS.get(adapter.name) or named or "")


def _values(adapter: type[Provider]) -> dict[str, str]:
    """What the environment tells the adapter besides its key."""
    given = {name: settings.PROVIDER_VALUE(name) for name in registry.variables(adapter)}
    return {name: value.strip() for name, value in given.items() if value and value.strip()}


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
    return {name: _quoting(name, adapter) for name, adapter in registry.adapters().items()}


def _quoting(name: str, adapter: type[Provider]) -> Provider:
    # What the environment tells may decide the models and the prices.
    values = _values(adapter)
    try:
        return registry.build(name, Account("", "", simulated=not values or uses_simulator(), values=values))
    except BadInput:
        # `desk` says what is wrong with it.
        return registry.build(name, Account("", "", simulated=True))


@cache
def desk() -> Desk:
    """The providers that this process can call. Built once, from the adapters and the environment."""
    return _made()


def unusable() -> dict[str, str]:
    """Why those that are set up cannot be asked all the same: an address or a value that is wrong."""
    if uses_simulator():
        return {}
    adapters = registry.adapters()
    return {name: why for name, why in _made().unavailable.items() if is_set_up(adapters[name])}


def _made() -> Desk:
    providers: dict[str, Provider] = {}
    simulated: dict[str, bool] = {}
    unavailable: dict[str, str] = {}
    by_hand: set[str] = set()
    for name, adapter in registry.adapters().items():
        if registry.is_by_hand(adapter):
            by_hand.add(name)
            continue
        account = _account(name, adapter)
        if isinstance(account, str):
            unavailable[name] = account
            continue
        try:
            providers[name] = registry.build(name, account)
        except (BadInput, Blocked) as problem:
            unavailable[name] = str(problem)
            continue
        simulated[name] = account.simulated
    return Desk(providers, simulated, unavailable, frozenset(by_hand))


def _account(name: str, adapter: type[Provider]) -> Account | str:
    """How to reach this provider, or why it cannot be reached."""
    needed, values = registry.needed_variable(adapter), _values(adapter)
    if needed is None:
        return Account(key="", base_url="", simulated=True, values=values)
    if uses_simulator():
        if not registry.is_simulated_too(adapter):
            return f"the simulator does not speak for it; it is asked with {needed} set and the simulator off"
        url = simulator_url()
        if url is None:
            return "the simulator is not running; start it with `packshot simulate`"
        return Account(
            # The simulator takes any key; this one cannot be mistaken for a real one.
            key="sk-simulated",
            base_url=f"{url}/{name}",
            simulated=True,
            values=values,
        )
    if not is_set_up(adapter):
        return f"set {needed} in the environment and restart"
    if registry.url_variable(adapter):
        return Account(key=_key(adapter), base_url=values[needed], simulated=False, values=values)
    base_url = settings.PROVIDER_URLS.get(name, adapter.default_base_url)
    host = urlsplit(base_url).hostname or ""
    return Account(
        key=_key(adapter),
        base_url=base_url,
        # A key that is sent to this machine itself talks to a simulator, whatever it is called.
        simulated=host in ("127.0.0.1", "localhost", "::1"),
        values=values,
    )


def enrol_desk() -> None:
    """Bring the provider table in line with what is installed here."""
    here = desk()
    facts = [
        generations.ProviderFacts(
            name=name,
            label=adapter.label,
            simulated=name not in here.by_hand and here.simulated.get(name, True),
            available=name in here.providers or name in here.by_hand,
            max_in_flight=adapter.limits.in_flight,
            per_minute=adapter.limits.per_minute,
        )
        for name, adapter in registry.adapters().items()
    ]
    with transaction.atomic():
        generations.enrol_providers(facts)
