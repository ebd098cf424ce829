"""Finding adapters: ours and strangers' alike stand in the entry-point group `packshot.providers`."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from packshot.kernel.errors import BadInput
from packshot.providers.contract import Account, Provider
from packshot.providers.http import GuardedClient

GROUP = "packshot.providers"
_OURS = "packshot.providers."
# What a class must carry before anything is built from it; the rest of the contract is methods.
_FACTS = ("name", "label", "key_variable", "default_base_url", "hosts", "limits", "free")
_METHODS = ("models", "quote", "submit", "collect")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The adapters that can be used, and why each of the others cannot."""

    adapters: dict[str, type[Provider]]
    broken: dict[str, str]


@cache
def found() -> Found:
    """Every installed adapter, looked up once per process."""
    result = load(entry_points(group=GROUP))
    for name, reason in result.broken.items():
        _log.error("The provider adapter %s cannot be used: %s", name, reason)
    return result


def adapters() -> dict[str, type[Provider]]:
    """The usable adapters by name, our own first."""
    return found().adapters


def build(name: str, account: Account) -> Provider:
    """The adapter `name` with its own guarded client. Raises BadInput for a name that is not usable."""
    adapter = adapters().get(name)
    if adapter is None:
        reason = found().broken.get(name, "no such adapter is installed")
        raise BadInput(f"There is no provider {name!r}: {reason}.", field="provider")
    base_url = account.base_url or adapter.default_base_url
    # An address that an administrator set for a provider without a public one may be on the local network.
    own = bool(account.base_url) and not account.simulated and url_variable(adapter) is not None
    return adapter(account, GuardedClient(base_url, hosts=adapter.hosts, own=own))


def variables(adapter: type[Provider]) -> tuple[str, ...]:
    """The environment variables that the adapter wants to know besides its key."""
    return tuple(getattr(adapter, "variables", ()))


def url_variable(adapter: type[Provider]) -> str | None:
    """The variable that says where the provider is, for one without a public address."""
    return variables(adapter)[0] if getattr(adapter, "needs_url", False) else None


def needed_variable(adapter: type[Provider]) -> str | None:
    """The variable without which the provider cannot be asked: its address's, else its key's; None: none."""
    return url_variable(adapter) or adapter.key_variable


def is_simulated_too(adapter: type[Provider]) -> bool:
    """Whether the simulator can stand in for the provider."""
    return bool(getattr(adapter, "on_simulator", True))


def is_by_hand(adapter: type[Provider]) -> bool:
    """Whether nobody is called: people make its images elsewhere and bring them."""
    return bool(getattr(adapter, "by_hand", False))


def billed_by_list(adapter: type[Provider]) -> bool:
    """Whether no answer of the provider says what a call cost: what it is quoted at is what is booked."""
    return bool(getattr(adapter, "billed_by_list", False))


def load(points: Iterable[EntryPoint]) -> Found:
    """The adapters behind `points`. A broken one is reported and harms nobody else."""
    result = Found({}, {})
    # Ours first: a stranger's adapter cannot take the place, and the key, of a built-in one.
    for point in sorted(points, key=lambda point: (not point.value.startswith(_OURS), point.name)):
        try:
            adapter = point.load()
        except Exception as error:  # noqa: BLE001 # a stranger's module may raise anything on import
            result.broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        reason = _unfit(point, adapter)
        if point.name in result.adapters:
            reason = f"{result.adapters[point.name].__module__} already has this name"
        if reason:
            result.broken[point.name] = reason
        else:
            result.adapters[point.name] = adapter
    return result


def _unfit(point: EntryPoint, adapter: object) -> str | None:
    missing = [name for name in (*_FACTS, *_METHODS) if not hasattr(adapter, name)]
    if not isinstance(adapter, type):
        return f"{point.value} is not a class"
    if missing:
        return f"it lacks {', '.join(missing)}"
    if adapter.name != point.name:  # type: ignore[attr-defined] # it was found just above
        return f"it calls itself {adapter.name!r}"  # type: ignore[attr-defined] # as above
    return None
