"""An endpoint of the team's own that speaks OpenAI's Images API: only what all of them understand is sent.

LocalAI, vLLM, SGLang, stable-diffusion.cpp and many gateways take `model`, `prompt`, `n` and `size`, and
answer with base64 or with links. Whatever else OpenAI itself takes, some of them refuse.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from packshot.imaging.header import BadImage
from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Charge,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.kernel.money import LARGEST, Micros, dollars, parse_dollars
from packshot.providers.answers import (
    members,
    paid,
    read_image,
    request_id,
    told_by,
    usable_key,
    wait_s,
    words,
)
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    Inspection,
    JsonValue,
    Limits,
    ModelCard,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import Answer, CallFailed, GuardedClient, NotJson
from packshot.providers.own import (
    FREE_QUOTE,
    RESOLUTION,
    SHAPES,
    TOO_SMALL,
    answered,
    is_out_of_memory,
    size_of,
)
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 300  # the longest that a worker waits for one answer
_DOWNLOAD_DEADLINE_S = 60
_LOOK_DEADLINE_S = 20
_BYTES_PER_IMAGE = 40 * 1024 * 1024  # the largest picture that is kept, in base64
_JSON_BYTES = 2 * 1024 * 1024
_MOST_IMAGES = 4
_MOST_MODELS = 50
_BUSY_WAIT_S = 10.0
_ERROR_WAIT_S = 10.0
# The one model of an endpoint that was told of none: no name is sent.
_UNNAMED = "default"
_MODEL = re.compile(r"[!-~]{1,100}")
_MODERATED = re.compile(r"moderation|content_policy|safety", re.IGNORECASE)
_NO_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)


class Compatible:
    """Whatever the team runs behind OpenAI's words."""

    name = "compatible"
    label = "Own endpoint"
    key_variable = "OWN_OPENAI_KEY"
    variables = ("OWN_OPENAI_URL", "OWN_OPENAI_MODELS", "OWN_OPENAI_RESPONSE_FORMAT", "OWN_PRICE")
    needs_url = True
    on_simulator = False
    default_base_url = "http://localhost:8000/v1"
    hosts = ()
    limits = Limits(in_flight=2)  # one at work, and one that waits behind it
    free = True
    billed_by_list = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client
        self._setup = _Setup.of(account)
        self._models = tuple(_card(model) for model in self._setup.models)
        self.free = self._setup.price == 0
        # As OpenAI's own clients have it, the address ends in /v1; one that names the machine alone is taken.
        self._prefix = "" if urlsplit(client.base_url).path.strip("/") else "/v1"

    def models(self) -> tuple[ModelCard, ...]:
        return self._models

    def quote(self, request: ImageRequest) -> Quote:
        self._body(request)
        if self.free:
            return FREE_QUOTE
        cost = Micros(self._setup.price * request.images)
        return Quote(cost, cost, f"own-{dollars(self._setup.price).normalize():f}")

    def size(self, request: ImageRequest) -> tuple[int, int] | None:
        _, options = accept(request, self._models)
        return size_of(request, options["resolution"])

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            body = self._body(request)
        except BadInput as error:
            raise refusal(error) from error
        call = self._client.post(
            f"{self._prefix}/images/generations",
            json_body=body,
            headers=self._with_key(),
            deadline_s=min(attempt.deadline_s, _DEADLINE_S),
            max_bytes=request.images * _BYTES_PER_IMAGE,
        )
        answer = await (answered(call) if self.free else paid(call))
        if not 200 <= answer.status < 300:
            raise told_by(answer, self._trouble(answer), key=self._key)
        return await self._delivery(answer, request)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        # No ticket of ours exists: the one call that pays is the one that delivers.
        raise BadAnswer("The endpoint keeps no result to collect.", kind="bad_answer", charge="unknown")

    async def inspect(self) -> Inspection:
        """Ask for the list of models, which costs nothing anywhere."""
        try:
            answer = await self._client.get(
                f"{self._prefix}/models",
                headers=self._with_key(),
                deadline_s=_LOOK_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except (CallFailed, Misconfigured) as trouble:
            return Inspection(
                None, f"The endpoint cannot be asked: {scrubbed(str(trouble), secrets=[self._key])}"
            )
        if answer.status in (401, 403):
            return Inspection(False, f"The endpoint refuses the key ({self.key_variable}).")
        if answer.status != 200:
            return Inspection(None, f"The endpoint answers, and lists no models ({answer.status}).")
        return Inspection(True if self._key else None, "The endpoint answers.")

    def _body(self, request: ImageRequest) -> dict[str, JsonValue]:
        card, options = accept(request, self._models)
        width_px, height_px = size_of(request, options["resolution"])
        body: dict[str, JsonValue] = {"model": card.id} if self._setup.named else {}
        body |= {"prompt": request.prompt, "n": request.images, "size": f"{width_px}x{height_px}"}
        if self._setup.response_format:
            body["response_format"] = self._setup.response_format
        return body

    async def _delivery(self, answer: Answer, request: ImageRequest) -> Delivery:
        try:
            entries = members(answer.json()).get("data")
        except NotJson as error:
            raise self._unusable(answer, str(error), request.images) from error
        images: list[GeneratedImage] = []
        problem = "The answer holds no image."
        for entry in (entries if isinstance(entries, list) else [])[: request.images]:
            try:
                images.append(read_image(await self._content(members(entry))))
            except (CallFailed, BadImage, binascii.Error, ValueError) as error:
                problem = f"The picture cannot be used: {scrubbed(str(error), secrets=[self._key])}"
        if not images:
            raise self._unusable(answer, problem, request.images)
        cost = Micros(self._setup.price * len(images))
        raw = redacted(answer, secrets=[self._key])
        return Delivery(images, cost, request_id(answer, key=self._key), raw)

    async def _content(self, entry: Mapping[str, object]) -> bytes:
        encoded = words(entry.get("b64_json"))
        if encoded:
            return base64.b64decode(encoded.partition("base64,")[2] or encoded, validate=True)
        link = words(entry.get("url"))
        if not link:
            raise BadImage("it is neither sent nor linked.")
        picture = await self._client.download(
            urljoin(self._client.base_url, link),
            deadline_s=_DOWNLOAD_DEADLINE_S,
            max_bytes=_BYTES_PER_IMAGE,
        )
        if picture.status != 200:
            raise BadImage(f"its link answered {picture.status}.")
        return picture.body

    def _unusable(self, answer: Answer, problem: str, images: int) -> ProviderError:
        charge: Charge = "free" if self.free else "charged"
        cost = Micros(self._setup.price * images)
        trouble = BadAnswer(problem, kind="bad_answer", charge=charge, cost=cost)
        return told_by(answer, trouble, key=self._key)

    def _trouble(self, answer: Answer) -> ProviderError:
        """What a complete answer without a picture means.

        Refusals before work cost nothing anywhere. A 5xx that is in nobody's words may hide work that was
        done: that matters only where work costs something.
        """
        try:
            document = members(answer.json())
        except NotJson:
            document = {}
        error = members(document.get("error")) or document
        told = words(error.get("message")) or words(document.get("error")) or words(document.get("detail"))
        message = scrubbed(told, secrets=[self._key])[:500]
        reason = message or f"The endpoint answered {answer.status} without saying why."
        status = answer.status
        if status == 402:
            return Misconfigured(reason, kind="no_credit")
        if status == 429:
            return TryLater(reason, after_s=wait_s(answer, default=_BUSY_WAIT_S, message=message))
        if is_out_of_memory(message):
            return Refused(f"{TOO_SMALL} ({message})"[:500], kind="bad_request")
        if status >= 500 and (message or self.free):
            kind_wait = wait_s(answer, default=_ERROR_WAIT_S)
            return TryLater(reason, after_s=kind_wait, kind="overloaded" if status == 503 else "server_error")
        if (status >= 500 or status == 408 or status < 400) and not self.free:
            return Unsure(reason, kind="server_error")
        if status < 400 or status == 408:
            return TryLater(reason, after_s=_ERROR_WAIT_S, kind="server_error")
        if status in (401, 403):
            return Misconfigured(reason, kind="bad_key")
        codes = f"{words(error.get('code'))} {words(error.get('type'))}"
        if _MODERATED.search(codes):
            return Refused(reason, kind="refused")
        if status == 404 and not _NO_MODEL.search(message):
            return Misconfigured(f"{reason} Check OWN_OPENAI_URL.", kind="unreachable")
        return Refused(reason, kind="retired_model" if status == 404 else "bad_request")

    def _with_key(self) -> dict[str, str]:
        if not self._key:
            return {}
        return {"authorization": f"Bearer {usable_key(self._key, self.key_variable)}"}


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the environment says of the endpoint."""

    models: tuple[str, ...]
    named: bool
    response_format: str
    price: Micros  # of one picture

    @classmethod
    def of(cls, account: Account) -> Self:
        """Raises BadInput for a value that cannot be used."""
        listed = account.values.get("OWN_OPENAI_MODELS", "").split(",")
        models = tuple(dict.fromkeys(name for each in listed if (name := each.strip())))
        if len(models) > _MOST_MODELS or not all(map(_MODEL.fullmatch, models)):
            raise BadInput(
                f"OWN_OPENAI_MODELS is a list of at most {_MOST_MODELS} names without spaces, with commas.",
                field="OWN_OPENAI_MODELS",
            )
        response_format = account.values.get("OWN_OPENAI_RESPONSE_FORMAT", "").lower()
        if response_format not in ("", "b64_json", "url"):
            raise BadInput(
                "OWN_OPENAI_RESPONSE_FORMAT is b64_json or url, or not set: then it is not sent.",
                field="OWN_OPENAI_RESPONSE_FORMAT",
            )
        try:
            price = parse_dollars(account.values.get("OWN_PRICE", "0"))
        except ValueError as problem:
            raise BadInput(f"OWN_PRICE: {problem}.", field="OWN_PRICE") from None
        if price * _MOST_IMAGES > LARGEST:
            raise BadInput("OWN_PRICE is more than any picture costs.", field="OWN_PRICE")
        return cls(models or (_UNNAMED,), bool(models), response_format, price)


def _card(model: str) -> ModelCard:
    return ModelCard(
        id=model,
        label=model if model != _UNNAMED else "Its own model",
        provider="compatible",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        shapes=SHAPES,
        max_images=_MOST_IMAGES,
        options=(RESOLUTION,),
        typical_s=20,
        note="Made by an endpoint of your own.",
    )
