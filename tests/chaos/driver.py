"""A client of one installation in a process of its own: one JSON order a line in, one JSON answer a line out.

It asks through the product's own flows. The tests' process cannot: its Django belongs to another database.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django

if TYPE_CHECKING:
    from packshot.generations import Given

# One grey pixel, as a picture to go by.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
PROMPT = "A packshot of {{name}}, article {{sku}}, on grey paper"


def prepare(*, catalogue: str, seats: dict[str, int]) -> int:
    """Tables, money, products, and as many seats at each provider as named. Returns how many products."""
    from packshot import accounts
    from packshot.cli.preparing import begin, migrate
    from packshot.flows import import_catalogue
    from packshot.flows.desk import enrol_desk
    from packshot.generations.models import ProviderRecord

    migrate()
    begin(demo=False)
    enrol_desk()
    for name, count in seats.items():
        # As an administrator with a higher tier would: what is edited stays over restarts.
        ProviderRecord.objects.filter(pk=name).update(max_in_flight=count, per_minute=None)
    return import_catalogue.apply(Path(catalogue), accounts.this_shell()).created


def ask(*, provider: str, key: str, skus: list[str], times: int = 1) -> list[dict[str, object]]:
    """Ask for one image of each product, `times` at once under one key. Returns what each was answered."""
    with ThreadPoolExecutor(times) as askers:
        return list(askers.map(lambda _: _ask(provider, key, skus), range(times)))


def collect() -> int:
    """As the chores do every five minutes: look for what was set aside. Returns how many images came."""
    from packshot.flows.collect import collect_due

    return collect_due()


def _ask(provider: str, key: str, skus: list[str]) -> dict[str, object]:
    from django.db import InterfaceError, OperationalError, connection

    from packshot import accounts
    from packshot.catalogue.products import by_sku
    from packshot.flows.generate import Ask, offer, request

    actor = accounts.this_shell()
    while True:
        try:
            wanted = Ask(
                products=by_sku(skus), provider=provider, prompt=PROMPT, inputs=_pictures(provider, key)
            )
            agreed = offer(wanted, actor).expected_micros
            asked = request(wanted, actor, request_key=key, agreed_micros=agreed)
        except (OperationalError, InterfaceError):
            connection.close()  # as a client does: the same key again, until somebody answers
            time.sleep(0.1)
        else:
            connection.close()  # the thread ends, and with it what would have closed it
            return {"ids": [str(each) for each in asked.generation_ids], "repeated": asked.repeated}


def _pictures(provider: str, key: str) -> "list[Given]":
    """Every other request goes by a picture, always the same one for its key."""
    from django.conf import settings

    from packshot import accounts
    from packshot.flows import inputs

    # A store that a test takes away would keep this client from asking at all.
    if (
        provider not in ("openai", "flux")
        or sum(key.encode()) % 2
        or not settings.BLOB_URL.startswith("file")
    ):
        return []
    return [inputs.of_file(PNG, accounts.this_shell())]


def stop() -> bool:
    """Press "stop spending"; returns when it is committed."""
    from packshot import accounts
    from packshot.flows import spending

    return spending.stop(accounts.this_shell()).stopped


def resume() -> bool:
    from packshot import accounts
    from packshot.flows import spending

    return not spending.resume(accounts.this_shell()).stopped


def cancel(*, ids: list[str]) -> None:
    """Cancel these generations, wherever each of them stands."""
    from packshot import accounts
    from packshot.flows import generate

    generate.cancel([UUID(each) for each in ids], accounts.this_shell())


def check() -> list[str]:
    """What `packshot ledger check --strict` finds."""
    from packshot.flows.check import check as shipped

    return [str(each) for each in shipped(strict=True).problems]


VERBS: dict[str, Callable[..., Any]] = {
    "check": check,
    "prepare": prepare,
    "ask": ask,
    "collect": collect,
    "stop": stop,
    "resume": resume,
    "cancel": cancel,
}


def main() -> None:
    django.setup()
    from django.db import connection

    for line in sys.stdin:
        order = json.loads(line)
        connection.close()  # whoever did harm meanwhile may have cut it
        answer = VERBS[order.pop("verb")](**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
