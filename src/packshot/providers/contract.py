"""What an adapter is: the one seam between Packshot and a service that makes images.

An adapter is built from an account (key, base URL, a few values) and an injected client, and nothing else.
It never retries: a paid request leaves at most once per attempt, and what to do next is decided by the
error's class (`packshot.kernel.errors`). `conformance.py` holds the checks that any adapter's author can run.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol, runtime_checkable
from uuid import UUID

from packshot.kernel.errors import ProviderError
from packshot.kernel.money import Micros
from packshot.providers.http import GuardedClient

MediaType = Literal["image/png", "image/webp", "image/jpeg"]
# The shape of what an edit gives back when it keeps that of the picture it was given.
AS_INPUT = "input"
JsonValue = Any  # one JSON document: what a ticket or an option may hold
# The option of models that can also be asked to take their time for less (`Batches`), and its two values.
DELIVERY, NOW, BY_TOMORROW = "delivery", "now", "tomorrow"


@dataclass(frozen=True, slots=True)
class Option:
    """One private option of a model, as data: the form, the API schema and validation come from it."""

    name: str
    label: str
    kind: Literal["choice", "integer", "boolean", "text"]
    default: str | int | bool | None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None  # of a text: characters
    required: bool = False  # without it there is nothing to ask for
    help: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model of a provider, described as data."""

    id: str  # as on the wire
    label: str
    provider: str
    # direct: the answer carries the image; ticket: submit, then collect.
    delivery: Literal["direct", "ticket"]
    deadline_s: int  # the whole call, from first byte sent to delivery, in seconds
    shapes: tuple[str, ...] = ("1:1",)  # width:height ratios it can be asked for, or AS_INPUT
    max_images: int = 1  # per call
    takes_seed: bool = False  # otherwise a request's seed is not sent
    options: tuple[Option, ...] = ()
    retires_on: date | None = None  # the provider stops answering for it on that day
    retired: bool = False  # already gone: shown greyed, never asked
    successor: str | None = None
    typical_s: float = 15.0  # for an estimate on a button, never for a decision
    note: str = ""
    # generate: from words, perhaps with pictures to go by. edit: changes the picture it is given.
    # follow_up: goes on from a picture that this provider made before, by its handle.
    kind: Literal["generate", "edit", "follow_up"] = "generate"
    needs_prompt: bool = True
    prompt_limit: int = 32_000  # characters; 0: it takes no prompt
    takes_negative_prompt: bool = False
    min_inputs: int = 0  # pictures of the role `image`
    max_inputs: int = 0
    takes_mask: bool = False
    mask_marks: Literal["white", "transparent"] = "white"  # what in a mask is to be changed
    takes_style: bool = False  # one picture whose style is followed


Role = Literal["image", "mask", "style"]


@dataclass(frozen=True, slots=True)
class InputImage:
    """A picture that goes with a request. A quote needs its size only; its bytes are there for `submit`."""

    role: Role
    media_type: MediaType
    width_px: int
    height_px: int
    size_bytes: int
    content: bytes = b""
    # What the provider gave with a picture of its own (`GeneratedImage.handle`): how to go on from it.
    handle: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What to make: provider-neutral, complete, and the same for each attempt of a generation."""

    model: str
    prompt: str
    shape: str = "1:1"
    images: int = 1
    seed: int | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    negative_prompt: str = ""
    inputs: tuple[InputImage, ...] = ()  # in the order in which the prompt may speak of them

    def input(self, role: Role) -> InputImage | None:
        """The first picture of this role."""
        return next((each for each in self.inputs if each.role == role), None)


@dataclass(frozen=True, slots=True)
class CallbackAddress:
    """Where the provider may say by itself how one attempt goes, and what it signs with.

    Both are of this attempt only: whoever knows the URL of one knows nothing of another's.
    """

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """Which paid call this is: what an adapter may tell the provider, and how long it has."""

    id: UUID
    number: int
    deadline_s: float
    # None: this site has no address that the provider can reach, or the adapter asked for none.
    callback: CallbackAddress | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What one attempt is expected to cost and the most it can cost, in micro-dollars.

    `ceiling` is what admission reserves. Both are None when the price is unknown, which is never 0.
    """

    expected: Micros | None
    ceiling: Micros | None
    price_version: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """Bytes as the provider sent them, unopened but for the header."""

    content: bytes
    media_type: MediaType
    width_px: int
    height_px: int
    # How to go on from it at this provider: the number of a task, what its buttons ask for. No secret.
    handle: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A receipt that lets any later process collect the result without paying again.

    `state` is JSON that the same adapter understands after a restart. `cost` is what the provider said
    at submission, when it says so then.
    """

    state: Mapping[str, JsonValue]
    request_id: str | None = None
    cost: Micros | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The images of one attempt and what they cost. `cost` None means unknown, not free."""

    images: Sequence[GeneratedImage]
    cost: Micros | None
    request_id: str | None = None
    raw: str = ""  # the answer, redacted and without image bytes, at most RAW_LIMIT characters
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Not ready. Ask again after `after_s` seconds."""

    after_s: float
    progress: float | None = None  # 0 to 1, when the provider says


RAW_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a provider may run at once, from its published limits. None: no such limit."""

    in_flight: int
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach a provider: built once at start from the environment."""

    key: str
    base_url: str
    simulated: bool
    # The values of the adapter's `variables` that are set in the environment.
    values: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Provider(Protocol):
    """One service. Instances are shared by all attempts in flight, so they hold no per-call state."""

    name: str  # as in tables and URLs: openai, flux, sandbox
    label: str  # for people: OpenAI, FLUX
    key_variable: str | None  # the environment variable of its key; None: needs none
    default_base_url: str
    # Hosts that the adapter may talk to besides its base URL's, as exact names or `*.suffix`.
    hosts: tuple[str, ...]
    limits: Limits
    free: bool  # never charges anything

    def __init__(self, account: Account, client: GuardedClient) -> None: ...

    def models(self) -> tuple[ModelCard, ...]:
        """Every model, retired ones included; the first current one is the default."""
        ...

    def quote(self, request: ImageRequest) -> Quote:
        """The price of one attempt, computed locally. Raises BadInput for a request no attempt could make."""
        ...

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        """Send the one paid request. Raises a ProviderError whose class says what happened."""
        ...

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        """Look once; download when ready. Free, repeatable, and callable by any process."""
        ...


@runtime_checkable
class CallsBack(Protocol):
    """What an adapter has besides, when its service reports the end of a task by itself.

    Its `submit` passes `AttemptRef.callback` on where the model takes one. A callback is a hint and never a
    result: what the three methods say decides only that, and with which ticket, the provider is asked. They
    are pure: no call, no clock that matters, no memory of other callbacks.
    """

    def vouches(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool | None:
        """Whether the signature over the raw `body` is right, compared in constant time; None: it has none.

        Header names are in lower case. `secret` is the attempt's own, as in `CallbackAddress`.
        """
        ...

    def task_of(self, body: bytes) -> str | None:
        """The provider's own number of the task, at most 200 printable characters; None: it has none."""
        ...

    def ticket_of(self, task: str) -> Ticket:
        """A ticket that `collect` can look with, although the answer to the submission never came.

        Its cost is unknown. A look that does not find the task says nothing about a charge: raise Unsure.
        """
        ...


@runtime_checkable
class Configured(Protocol):
    """What an adapter has besides, when the environment tells it more than a key."""

    # Environment variables besides that of the key. Those that are set arrive in `Account.values`, by name.
    # A value that cannot be used: raise BadInput when built, with the name of the variable in the sentence.
    variables: tuple[str, ...]
    # There is no public address: the first of `variables` says where it is. Such a provider may run on a
    # machine of the team's, this one included, and is real there; its key is optional.
    needs_url: bool
    # Whether the simulator speaks for it; otherwise it is not there while the site runs on the simulator.
    on_simulator: bool


@runtime_checkable
class BilledByList(Protocol):
    """What an adapter has besides, when no answer of its service says what a call cost.

    What it states as a cost is then what it quotes; where the site has a price of its own, that is booked.
    """

    billed_by_list: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a provider says of an account for nothing."""

    key_works: bool | None  # None: it cannot be told without buying
    detail: str  # a sentence for a person, the key never in it
    balance: Micros | None = None
    # Models that are known by name here, and the day on which the provider says they stop.
    stops: Mapping[str, date] = field(default_factory=dict)


@runtime_checkable
class Inspectable(Protocol):
    """What an adapter has besides, when a key can be proved, or a balance read, without buying an image."""

    async def inspect(self) -> Inspection:
        """Look at the account. Free. Raises nothing that a network can cause: it says so instead."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch, and the attempt that it is made for: what the service knows it by."""

    request: ImageRequest
    attempt: AttemptRef


@dataclass(frozen=True, slots=True)
class Progress:
    """How a batch stands, as its service says."""

    state: str  # in the service's own word
    done: int
    failed: int
    total: int
    ended: bool  # what has no result now never gets one
    due_at: float | None = None  # Unix seconds: when the service gives up what it has not made


@runtime_checkable
class Batches(Protocol):
    """What an adapter has besides, when its service makes many images together, within a day, for less.

    Models that can be asked so have the option DELIVERY on their cards. An order is one paid request for all
    its lines: `order` sends it at most once, and whoever cannot know whether it arrived asks `find`.
    """

    most_lines: int  # in one order

    async def order(self, lines: Sequence[Line], batch: UUID) -> Ticket:
        """Send the one paid request, of one model, under the name `batch`; each line has its ticket."""
        ...

    async def find(self, batch: UUID) -> Ticket | None:
        """The ticket of the order of that name; None: there is none. Free. Raises what a look may raise."""
        ...

    async def revoke(self, batch: UUID) -> None:
        """See to it that an order of that name that `find` does not find cannot arrive any more. Free."""
        ...

    async def progress(self, ticket: Ticket) -> Progress:
        """Look once. Free. Raises BadAnswer where the service has it no more."""
        ...

    def results(self, ticket: Ticket) -> AsyncGenerator[tuple[UUID, Delivery | ProviderError], None]:
        """What came of each line that has a result, by its attempt, once the order has ended. One at a time:
        all together may be larger than any memory. Free, and repeatable."""
        ...

    async def unmade(self, ticket: Ticket) -> ProviderError:
        """Why a line of an order that has ended has no result."""
        ...

    async def call_off(self, ticket: Ticket) -> None:
        """Ask the service to stop. What is made by then comes all the same, and is charged."""
        ...


def by_tomorrow(options: Mapping[str, JsonValue]) -> bool:
    """Whether a request with these options may take its time, for less."""
    return options.get(DELIVERY) == BY_TOMORROW


def model_card(provider: Provider, model: str) -> ModelCard | None:
    """The card of `model`, or None when the provider does not have it."""
    return next((card for card in provider.models() if card.id == model), None)


def default_model(provider: Provider) -> ModelCard:
    """The model used when none is named: the first that is not retired."""
    return next(card for card in provider.models() if not card.retired)
