"""Builds what a story needs, through the product's own verbs wherever they exist."""

import itertools
from uuid import UUID, uuid4

from django.db import transaction

from packshot import generations, ledger
from packshot.accounts import Actor
from packshot.catalogue.models import Category, Product
from packshot.flows import admit, close
from packshot.flows.close import Completion, Stored
from packshot.generations import Claim
from packshot.generations.models import Attempt, Generation
from packshot.kernel.errors import BadInput, ProviderError
from packshot.kernel.ids import uuid7
from packshot.kernel.money import Micros, micros
from packshot.providers.contract import (
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

ADMIN = Actor(None, "ada", "administrator")
EDITOR = Actor(None, "ed", "editor")
_numbers = itertools.count(1)

# The smallest PNG there is: one grey pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


class StandIn:
    """A provider with one model at a fixed price. It stands in for the network, and for nothing of ours."""

    label = "Stand-in"
    key_variable: str | None = None
    default_base_url = "https://example.com"
    hosts: tuple[str, ...] = ()
    limits = Limits(in_flight=1_000)

    def __init__(
        self, name: str = "openai", *, price: str | None = "0.04", expected: str | None = None
    ) -> None:
        self.name = name
        self.price = None if price is None else micros(price)
        self.expected = self.price if expected is None else micros(expected)
        self.price_version = "stand-in-1"
        self.free = False
        self.retired: str | None = None  # the model's successor, once it is gone

    def models(self) -> tuple[ModelCard, ...]:
        return (
            ModelCard(
                "stand-in",
                "Stand-in",
                self.name,
                "direct",
                deadline_s=30,
                retired=self.retired is not None,
                successor=self.retired,
            ),
        )

    def quote(self, request: ImageRequest) -> Quote:
        if request.model != "stand-in":
            raise BadInput(f"there is no model {request.model}", field="model")
        return Quote(self.expected, self.price, self.price_version)

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        return Delivery([GeneratedImage(PNG, "image/png", 1, 1)], self.price)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        raise AssertionError("a direct provider gives no ticket")


def product(name: str = "Hemp seed oil", *, category: str = "Food > Oils") -> Product:
    number = next(_numbers)
    place = None
    if category:
        place, _ = Category.objects.get_or_create(
            path=category, defaults={"name": category.rpartition(" > ")[2]}
        )
    return Product.objects.create(sku=f"sku-{number}", name=f"{name} {number}", category=place)


def provider_row(
    name: str = "openai",
    *,
    simulated: bool = True,
    on: bool = True,
    in_flight: int = 1_000,
    per_minute: int | None = None,
) -> None:
    """The provider as `packshot work` would enrol it."""
    with transaction.atomic():
        generations.enrol_providers(
            [
                generations.ProviderFacts(
                    name,
                    name.title(),
                    simulated=simulated,
                    available=True,
                    max_in_flight=in_flight,
                    per_minute=per_minute,
                )
            ]
        )
        if on:
            generations.switch(name, on=True)


def budget(limit: str, *, simulated: bool = True) -> ledger.BudgetState:
    return ledger.set_limit(micros(limit), simulated=simulated)


def wanted(provider: StandIn, *, simulated: bool = True, priority: int = 0) -> generations.Wanted:
    """One generation of a fresh product, priced by `provider`."""
    return generations.Wanted(
        id=uuid7(),
        product_id=product().id,
        provider=provider.name,
        model="stand-in",
        simulated=simulated,
        prompt="a bottle of hemp seed oil on slate",
        template_version_id=None,
        shape="1:1",
        images=1,
        seed=None,
        options={},
        priority=priority,
        expected_micros=provider.expected,
        ceiling_micros=provider.price,
        price_version=provider.price_version,
    )


def asked(
    provider: StandIn,
    count: int = 1,
    *,
    simulated: bool = True,
    key: str | None = None,
    person: str = "ed",
    priority: int = 0,
) -> list[UUID]:
    """`count` generations in the queue, asked for by one person in one request."""
    with transaction.atomic():
        answer = generations.request(
            [wanted(provider, simulated=simulated, priority=priority) for _ in range(count)],
            key=key or uuid4().hex,
            fingerprint="f" * 64,
            title="a story",
            person_id=None,
            person_name=person,
            quoted_micros=None,
        )
    return list(answer.generation_ids)


def process() -> generations.Enrolled:
    return generations.enrol("pay")


def claimed(provider: StandIn, *, process_id: UUID | None = None, most: int = 100) -> list[Claim]:
    return admit.admit(provider, process_id=process_id or process().id, most=most)


def sent(provider: StandIn, *, process_id: UUID | None = None) -> Claim:
    """One generation whose paid call has begun."""
    who = process_id or process().id
    asked(provider)
    (claim,) = admit.admit(provider, process_id=who, most=1)
    assert admit.start_sending([claim], process_id=who) == {claim.attempt_id}
    return claim


def delivered(claim: Claim, *, cost: str | None = "0.04", blob: str = "a" * 64) -> Completion:
    return Completion(
        claim.attempt_id,
        images=(Stored(blob, "image/png", 1, 1, 68),),
        cost_micros=None if cost is None else micros(cost),
        request_id="req-1",
    )


def failed(claim: Claim, error: ProviderError) -> Completion:
    return Completion(claim.attempt_id, error=error)


def end(*completions: Completion) -> None:
    close.close(completions, slot=0)


def generation(claim: Claim | UUID) -> Generation:
    return Generation.objects.get(pk=claim if isinstance(claim, UUID) else claim.generation.id)


def attempt(claim: Claim) -> Attempt:
    return Attempt.objects.get(pk=claim.attempt_id)


def balances(*, simulated: bool = True) -> tuple[Micros, Micros]:
    """(spent, reserved) of the site-wide budget."""
    state = next(
        each for each in ledger.budgets() if each.scope == "everything" and each.simulated is simulated
    )
    return Micros(state.spent_micros), Micros(state.reserved_micros)
