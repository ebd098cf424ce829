"""Stability AI (Stable Image v2beta): forms in, a picture back; two of the edits are collected later."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote as url_quote

from packshot.imaging.header import BadImage
from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.kernel.faults import fault_point
from packshot.kernel.money import Micros
from packshot.providers.answers import (
    members,
    paid,
    read_image,
    request_id,
    told_at,
    told_by,
    usable_key,
    wait_s,
    words,
)
from packshot.providers.cards import refusal
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    Inspection,
    Limits,
    ModelCard,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import Answer, CallFailed, GuardedClient, NotJson, TooLarge
from packshot.providers.multipart import form
from packshot.providers.prices import stability_prices
from packshot.providers.redact import redacted, scrubbed
from packshot.providers.stability_cards import CARDS, wire_request

_DEADLINE_S = 300
_LOOK_DEADLINE_S = 120  # of one look, which brings the picture with it
_BALANCE_DEADLINE_S = 20
_PICTURE_BYTES = 30 * 1024 * 1024
_ANSWER_BYTES = _PICTURE_BYTES * 4 // 3 + 64 * 1024
_JSON_BYTES = 1024 * 1024
_LOOK_AGAIN_S = 10.0  # asked for: no look at a result sooner than this after another
_LOCK_OUT_S = 60.0  # after too many requests; no Retry-After is documented
_ERROR_WAIT_S = 10.0
_KEPT_S = 24 * 3600.0
# A result that is not known yet, just after its start.
_GRACE_S = 30.0
_TASK = re.compile(r"[A-Za-z0-9_-]{1,200}")
_PICTURE_FIELDS = re.compile(r"(?:\w*image|mask|background_reference)\b", re.ASCII)
_MODERATED = re.compile(r"moderation|flagged", re.IGNORECASE)


class Stability:
    """Stable Image and Stable Diffusion 3.5 over the Stability API, with its edits."""

    name = "stability"
    label = "Stability"
    key_variable = "STABILITY_API_KEY"
    default_base_url = "https://api.stability.ai"
    hosts = ("api.stability.ai",)
    # 150 requests in any ten seconds, looks at results included; one more locks the account out for a minute.
    # Ten a second, ten of them at once, and a look at each of thirty in ten seconds make at most 140.
    limits = Limits(in_flight=30, per_minute=600)
    free = False
    billed_by_list = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        wire_request(request)
        return stability_prices().quote(request.model)

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            wire = wire_request(request)
        except BadInput as error:
            raise refusal(error) from error
        if not all(picture.content for picture in request.inputs):
            raise Refused("A picture of the request has no bytes.", kind="bad_input_image")
        content, media_type = form(wire.parts)
        answer = await paid(
            self._client.post_bytes(
                wire.path,
                content=content,
                media_type=media_type,
                headers=self._headers(),
                deadline_s=min(attempt.deadline_s, _DEADLINE_S),
                max_bytes=_ANSWER_BYTES,
            )
        )
        if not 200 <= answer.status < 300:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        cost = _price(request.model)
        finished = _finished(answer)
        if finished is None and wire.card.delivery == "ticket":
            return self._ticket(answer, cost)
        return self._delivery(answer, finished, cost)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        """Look once. Only the key that started it sees it, for 24 hours."""
        task = words(ticket.state.get("id"))
        try:
            answer = await self._client.get(
                f"/v2beta/results/{url_quote(task, safe='')}",
                headers=self._headers(),
                deadline_s=min(attempt.deadline_s, _LOOK_DEADLINE_S),
                max_bytes=_ANSWER_BYTES,
            )
        except TooLarge as error:
            raise BadAnswer(
                str(error), kind="bad_answer", cost=ticket.cost, request_id=ticket.request_id
            ) from error
        except CallFailed:
            return Pending(after_s=_LOOK_AGAIN_S)  # looking is free and the order stands
        if answer.status == 202:
            return Pending(after_s=_LOOK_AGAIN_S)
        finished = _finished(answer) if answer.status == 200 else None
        if finished is not None:
            fault_point("ticket.ready")
            return self._delivery(answer, finished, ticket.cost, named=ticket.request_id)
        # Both by the provider's clock: ours may be wrong, or have jumped since.
        age_s = told_at(answer) - ticket.state.get("started_at", 0)
        trouble = _end_of_task(answer, age_s, ticket.cost, self._key)
        trouble.request_id = ticket.request_id
        raise told_by(answer, trouble, key=self._key)

    async def inspect(self) -> Inspection:
        """The balance, which also proves the key."""
        try:
            answer = await self._client.get(
                "/v1/user/balance",
                headers=self._headers(),
                deadline_s=_BALANCE_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except Misconfigured as error:
            return Inspection(False, error.reason)
        except CallFailed as error:
            return Inspection(
                None, f"Stability could not be asked: {scrubbed(str(error), secrets=[self._key])}"
            )
        if answer.status == 200:
            credits_left = _document(answer).get("credits")
            balance = stability_prices().bill(credits_left)
            if balance is None:
                return Inspection(True, "The key works; the balance could not be read.")
            return Inspection(True, "The key works.", balance)
        # The old API's 401 repeats the key.
        told = _told(answer, self._key) or f"Stability answered {answer.status} without saying why."
        return Inspection(False if answer.status in (401, 403) else None, told)

    def _headers(self) -> dict[str, str]:
        # JSON, not the bare bytes: so the picture cannot be had without the verdict on it, which otherwise
        # stands in a header alone, where anything in between may drop it. It costs a third more on the wire.
        key = usable_key(self._key, self.key_variable)
        return {"authorization": f"Bearer {key}", "accept": "application/json"}

    def _ticket(self, answer: Answer, cost: Micros | None) -> Ticket:
        task = words(_document(answer).get("id"))
        if not _TASK.fullmatch(task):
            trouble = BadAnswer("The work was taken and has no number.", kind="bad_answer", cost=cost)
            raise told_by(answer, trouble, key=self._key)
        return Ticket({"id": task, "started_at": told_at(answer)}, request_id=task, cost=cost)

    def _delivery(
        self, answer: Answer, finished: "_Finished | None", cost: Micros | None, named: str | None = None
    ) -> Delivery:
        """The picture, when Stability vouches for it.

        What is charged, 2026-11-22: failed generations are not (API reference). Whether a filtered one
        counts as failed is not said: unknown.
        """
        trouble: ProviderError
        if finished is None:
            trouble = BadAnswer("The answer holds no picture.", kind="bad_answer", cost=cost)
        elif finished.verdict == "CONTENT_FILTERED":
            # A 200, with the picture blurred.
            reason = "The picture was made and then filtered (CONTENT_FILTERED)."
            trouble = Refused(reason, kind="refused", charge="unknown", cost=cost)
        elif finished.verdict != "SUCCESS":
            reason = "Stability does not say that the picture is good: its finish reason is not SUCCESS."
            trouble = BadAnswer(reason, kind="bad_answer", charge="unknown", cost=cost)
        else:
            try:
                image = read_image(finished.content())
            except (binascii.Error, ValueError) as error:
                problem = str(error) if isinstance(error, BadImage) else "The picture is not valid base64."
                trouble = BadAnswer(problem, kind="bad_answer", cost=cost)
            else:
                raw = redacted(finished.kept, secrets=[self._key])
                return Delivery([image], cost, named or request_id(answer, key=self._key), raw, finished.seed)
        trouble.request_id = named
        raise told_by(finished.kept if finished else answer, trouble, key=self._key)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A picture as answered, and what Stability says of it."""

    picture: str | bytes  # base64, or the bytes themselves
    verdict: str  # SUCCESS, CONTENT_FILTERED, or whatever it says; nothing when it says nothing
    seed: int | None
    kept: Answer  # without the picture

    def content(self) -> bytes:
        if isinstance(self.picture, bytes):
            return self.picture
        return base64.b64decode(self.picture, validate=True)


def _finished(answer: Answer) -> _Finished | None:
    """The finished work in either form that an answer may have; None when it is none.

    Asked for JSON it answers JSON, with the picture in `image`, at results also seen in `result`. Bytes
    come with verdict and seed in headers.
    """
    heading = _verdict(answer.headers.get("finish-reason"))
    try:
        document = members(answer.json())
    except NotJson:
        if not heading and not answer.headers.get("content-type", "").startswith("image/"):
            return None
        said_so = {name: answer.headers.get(name, "") for name in ("finish-reason", "seed")}
        kept = _keeping(answer, {"image": f"[{len(answer.body):,} bytes]", **said_so})
        return _Finished(answer.body, heading, _seed(said_so["seed"]), kept)
    field = "result" if "result" in document and "image" not in document else "image"
    if field not in document and "finish_reason" not in document:
        return None
    picture, said = words(document.get(field)), _verdict(document.get("finish_reason"))
    plain = {name: value for name, value in document.items() if not isinstance(value, dict | list)}
    kept = _keeping(answer, {**plain, field: f"[{len(picture):,} characters of base64]"})
    verdict = "CONTENT_FILTERED" if "CONTENT_FILTERED" in (said, heading) else said
    return _Finished(picture, verdict, _seed(document.get("seed")), kept)


def _keeping(answer: Answer, facts: Mapping[str, object]) -> Answer:
    return replace(answer, body=json.dumps(facts, default=str).encode())


def _verdict(value: object) -> str:
    return words(value).strip().upper()


def _end_of_task(answer: Answer, age_s: float, cost: Micros | None, key: str) -> ProviderError:
    """What an answer to a look means that is neither a picture nor `202`, so many seconds after the start.

    Nothing of it ends what was paid, except that the result is gone, or its own refusal.
    """
    told = _told(answer, key)
    status = answer.status
    reason = told or f"A look at the result was answered with {status} and no picture."
    if status == 404 and age_s >= _KEPT_S:
        return BadAnswer("The result was kept for 24 hours, and they are over.", kind="expired", cost=cost)
    if status == 404 and age_s >= _GRACE_S:
        reason = "The result is not known: it is gone, or another key started it."
        return BadAnswer(reason, kind="expired", charge="unknown", cost=cost)
    if status == 403 and _is_moderation(answer, told):
        return Refused(reason, kind="refused", charge="free")
    if status in (400, 422) and told and age_s >= _GRACE_S:
        return Refused(reason, kind="bad_request", charge="unknown", cost=cost)
    wait = wait_s(answer, default=_LOCK_OUT_S if status == 429 else _LOOK_AGAIN_S)
    return TryLater(reason, after_s=max(wait, _LOOK_AGAIN_S), kind="overloaded")


def _trouble(answer: Answer, key: str) -> ProviderError:
    """What a complete answer without a picture means.

    Charge table, 2026-11-22. Failed generations are not charged (API reference; rate-limit page), so its
    own error bodies are free, the 403 of its moderation by its own words. A 5xx that is not its own came
    from something in between, and the call behind it may have gone through: unsure.
    """
    told = _told(answer, key)
    reason = told or f"Stability answered {answer.status} without saying why."
    status = answer.status
    # Every error of its own has a name; a gateway in front of it may say `message`, too.
    name = words(_document(answer).get("name"))
    if status == 429:
        return TryLater(reason, after_s=wait_s(answer, default=_LOCK_OUT_S))
    if status == 503 and name:
        return TryLater(reason, after_s=wait_s(answer, default=_ERROR_WAIT_S), kind="overloaded")
    if status >= 500 and name:
        return TryLater(reason, after_s=wait_s(answer, default=_ERROR_WAIT_S), kind="server_error")
    # 408: whoever gave up waiting may not be the one who does the work.
    if status >= 500 or status == 408 or status < 400:
        return Unsure(reason, kind="server_error")
    if status == 402:
        return Misconfigured(reason, kind="no_credit")
    if status == 403 and _is_moderation(answer, told):
        return Refused(reason, kind="refused")
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if status == 404:
        return Refused(reason, kind="retired_model")
    if name == "invalid_language":
        return Refused(reason, kind="refused")
    if status == 413 or _PICTURE_FIELDS.match(told):
        return Refused(reason, kind="bad_input_image")
    return Refused(reason, kind="bad_request")


def _is_moderation(answer: Answer, told: str) -> bool:
    """Whether a 403 is about the words or the picture, and not about the key."""
    return _document(answer).get("name") == "content_moderation" or bool(_MODERATED.search(told))


def _told(answer: Answer, key: str) -> str:
    """What an error body says: `errors` of v2beta, or `message` of v1."""
    document = _document(answer)
    errors = document.get("errors")
    said = (
        [words(each) for each in errors[:5]] if isinstance(errors, list) else [words(document.get("message"))]
    )
    text = "; ".join(filter(None, said)) or words(document.get("name"))
    return scrubbed(text[:2_000], secrets=[key])[:500]


def _document(answer: Answer) -> Mapping[str, object]:
    try:
        return members(answer.json())
    except NotJson:
        return {}


def _price(model: str) -> Micros | None:
    """What a call costs: no answer says so, the table does."""
    return stability_prices().quote(model).expected


def _seed(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**32 else None
