"""The provider of benchmarks/pipeline.py: it answers in this process, at once or after so many seconds.

It stands in for the network and for nothing of ours. Its request id is the instant of the call, by which the
benchmark knows how long a generation waited to be picked up.
"""

import asyncio
import os
import time

from packshot.kernel.errors import BadAnswer
from packshot.kernel.money import micros
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    Limits,
    ModelCard,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import GuardedClient

PRICE = micros("0.04")
SECONDS = float(os.environ.get("INSTANT_SECONDS", "0"))
# 0: one and the same picture of one pixel, so that nothing is stored after the first.
BYTES = int(os.environ.get("INSTANT_BYTES", "0"))
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
_REST = os.urandom(max(0, BYTES - len(PIXEL) - 16))


class Instant:
    """Pictures without a network, for money."""

    name = "instant"
    label = "Instant"
    key_variable = None
    default_base_url = "http://localhost"  # nothing is ever called
    hosts = ()
    limits = Limits(in_flight=10_000)
    free = False

    def __init__(self, account: Account, client: GuardedClient) -> None:
        pass

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        return Quote(PRICE, PRICE, "instant-1")

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        called = time.time_ns()
        if SECONDS:
            await asyncio.sleep(SECONDS)
        # Unlike any other's, as pictures are; nothing here looks behind the header.
        content = PIXEL + attempt.id.bytes + _REST if BYTES else PIXEL
        return Delivery([GeneratedImage(content, "image/png", 1, 1)], PRICE, str(called))

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        raise BadAnswer("it gives no tickets", kind="bad_answer", charge="free")


CARDS = (ModelCard("instant", "Instant", "instant", "direct", deadline_s=60),)
