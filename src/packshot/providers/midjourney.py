"""Midjourney through a proxy of the team's own that speaks the /mj protocol: submit, poll, fetch the grid.

Midjourney has no API and its terms forbid automated access, so this is off until an administrator decides
otherwise, and whoever has an account to lose hands the prompts over by hand instead. The protocol is that of
midjourney-proxy (Java, C#, Plus) and of relays such as new-api. A job makes one picture, a 2x2 grid; one of
the four alone is a second job, which goes on from the grid by its handle.
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote as url_quote
from urllib.parse import urljoin

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
from packshot.kernel.faults import fault_point
from packshot.kernel.money import Micros, dollars, parse_dollars
from packshot.providers.answers import (
    members,
    paid,
    read_image,
    told_at,
    told_by,
    usable_key,
    wait_s,
    words,
)
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    InputImage,
    Inspection,
    JsonValue,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import Answer, Blocked, CallFailed, GuardedClient, NotJson, Redirected, TooLarge
from packshot.providers.midjourney_words import plain, written
from packshot.providers.prices import midjourney_examples
from packshot.providers.redact import redacted, scrubbed

_PREFIXES: Mapping[str, str] = {"default": "", "fast": "/mj-fast", "turbo": "/mj-turbo", "relax": "/mj-relax"}

_SUBMIT_DEADLINE_S = 60  # the proxy takes the order; with pictures it uploads them first
_POLL_DEADLINE_S = 30
_DOWNLOAD_DEADLINE_S = 60
_JSON_BYTES = 2 * 1024 * 1024
_IMAGE_BYTES = 48 * 1024 * 1024
# A task that nobody knows any more may be one that nobody knows yet, or a proxy that is just starting.
_LOST_AFTER_S = 60.0
# Some proxies answer a button of an account in remix mode by themselves, after a moment as MODAL.
_MODAL_AFTER_S = 60.0
_QUEUE_WAIT_S = 20.0
_NO_ACCOUNT_WAIT_S = 60.0
_ERROR_WAIT_S = 10.0
_HOOK_MOST = 2000
# What Discord takes as one command, and what is left of it for words.
_PROMPT_MOST = 6000
_WORDS_MOST = 5000
_SEEDS = 2**32
_TASK = re.compile(r"[!-~]{1,200}")
_BUTTON = re.compile(r"MJ::JOB::(upsample|variation)::([1-4])::[!-~]{1,200}")
_PROGRESS = re.compile(r"(\d{1,3})%")
_MODERATED = re.compile(
    r"banned|sensitive|moderat|prohibited|policy|nsfw|filter|action needed|敏感|违规|违禁", re.IGNORECASE
)
_BAD_PARAMETER = re.compile(r"invalid (?:parameter|link|request)|参数", re.IGNORECASE)
_QUOTA = re.compile(r"quota|insufficient (?:balance|credit|funds)|额度|余额", re.IGNORECASE)
_NO_ACCOUNT = re.compile(r"account|instance|账号|实例", re.IGNORECASE)

_RISK = (
    "Through a proxy of your own: Midjourney's terms forbid automated access, and it bans accounts for it."
)
_SHAPES = ("1:1", "4:5", "3:4", "2:3", "9:16", "5:4", "4:3", "3:2", "16:9", "21:9", "9:21", "2:1", "1:2")
_OPTIONS = (
    Option("stylize", "Stylize", "integer", None, minimum=0, maximum=1000, help="How freely it paints."),
    Option("chaos", "Chaos", "integer", None, minimum=0, maximum=100, help="How much the four differ."),
    Option("exp", "Experimental", "integer", None, minimum=0, maximum=100),
    Option("raw", "Raw", "boolean", None, help="Without Midjourney's own taste."),
)
_QUADRANT = Option(
    "quadrant",
    "Which of the four",
    "integer",
    None,
    minimum=1,
    maximum=4,
    required=True,
    help="1 is top left, 2 top right, 3 bottom left, 4 bottom right.",
)
_VERSIONS = {"midjourney-8.1": "8.1"}
# What each follow-up is called: on a button, in an id of a button, in the older protocol.
_FOLLOW_UPS = {
    "midjourney-upscale": ("U", "upsample", "UPSCALE"),
    "midjourney-variation": ("V", "variation", "VARIATION"),
}
_LETTERS = {job: letter for letter, job, _ in _FOLLOW_UPS.values()}


def _cards(speed: str) -> tuple[ModelCard, ...]:
    # Relaxed jobs wait for a free machine, up to half an hour.
    patience_s = 1800 if speed == "relax" else 900
    common: dict[str, JsonValue] = {"provider": "midjourney", "delivery": "ticket", "deadline_s": patience_s}
    follow_up: dict[str, JsonValue] = {
        **common,
        "kind": "follow_up",
        "shapes": (AS_INPUT,),
        "needs_prompt": False,
        "prompt_limit": 0,
        "min_inputs": 1,
        "max_inputs": 1,
        "options": (_QUADRANT,),
    }
    return (
        ModelCard(
            id="midjourney-8.1",
            label="Midjourney 8.1",
            shapes=_SHAPES,
            takes_seed=True,
            options=_OPTIONS,
            typical_s=60,
            note=f"Makes a grid of four; one of them alone is a second, paid step. {_RISK}",
            prompt_limit=_WORDS_MOST,
            takes_negative_prompt=True,
            max_inputs=4,
            **common,
        ),
        ModelCard(
            id="midjourney-upscale",
            label="Midjourney, one of the four",
            typical_s=20,
            note=f"Goes on from a grid that was made here. {_RISK}",
            **follow_up,
        ),
        ModelCard(
            id="midjourney-variation",
            label="Midjourney, four like one of the four",
            typical_s=60,
            note=f"Goes on from a grid that was made here, and makes a grid. {_RISK}",
            **follow_up,
        ),
    )


class Midjourney:
    """Midjourney over a proxy that the team runs or rents."""

    name = "midjourney"
    label = "Midjourney"
    key_variable = "MIDJOURNEY_PROXY_SECRET"
    variables = (
        "MIDJOURNEY_PROXY_URL",
        "MIDJOURNEY_PROXY_AUTH",
        "MIDJOURNEY_PROXY_SPEED",
        "MIDJOURNEY_PROXY_FOLLOW_UP",
        "MIDJOURNEY_PRICE",
        "MIDJOURNEY_FOLLOW_UP_PRICE",
        "MIDJOURNEY_FAILED_TASKS",
    )
    needs_url = True
    on_simulator = True
    default_base_url = "http://localhost:8080"
    hosts = ("cdn.discordapp.com", "media.discordapp.net")
    # Jobs that a plan runs at once: three, twelve from Pro. What is more waits in the proxy, where our
    # deadline runs.
    limits = Limits(in_flight=3)
    free = False
    billed_by_list = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client
        self._setup = _Setup.of(account)
        self._models = _cards(self._setup.speed)
        self.free = self._setup.price == self._setup.follow_up_price == 0

    def models(self) -> tuple[ModelCard, ...]:
        return self._models

    def quote(self, request: ImageRequest) -> Quote:
        self._order(request)
        return self._setup.quote(request.model)

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            order = self._order(request, attempt)
        except BadInput as error:
            raise refusal(error) from error
        answer = await paid(
            self._client.post(
                f"{_PREFIXES[self._setup.speed]}{order.path}",
                json_body=order.body,
                headers=self._with_secret(),
                deadline_s=min(attempt.deadline_s, _SUBMIT_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        )
        return self._ticket(answer, request.model)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        """Look once. A finished task is fetched in the same breath: its link is signed, and dies."""
        found = await self._look(ticket, attempt)
        if isinstance(found, _DeadLink):
            found = await self._look(ticket, attempt)
        if isinstance(found, _DeadLink):
            raise BadAnswer(found.why, kind="expired", cost=found.cost, request_id=ticket.request_id)
        return found

    async def inspect(self) -> Inspection:
        """Ask for a task that does not exist: whoever may ask is told so."""
        try:
            answer = await self._client.get(
                _asking_for("0"),
                headers=self._with_secret(),
                deadline_s=_POLL_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except (CallFailed, Misconfigured) as trouble:
            return Inspection(
                None, f"The proxy cannot be asked: {scrubbed(str(trouble), secrets=[self._key])}"
            )
        if answer.status in (401, 403):
            return Inspection(False, f"The proxy refuses the secret ({self.key_variable}).")
        if answer.status >= 500 or answer.status == 429:
            return Inspection(None, f"The proxy answers {answer.status}.")
        said = (
            "The proxy answers, and takes the secret." if self._key else "The proxy answers without a secret."
        )
        return Inspection(True if self._key else None, said)

    # -- ordering -------------------------------------------------------------------------------

    def _order(self, request: ImageRequest, attempt: AttemptRef | None = None) -> "_Order":
        """What is sent for `request`. Without an attempt it is only checked, and carries no picture."""
        card, options = accept(request, self._models)
        body: dict[str, JsonValue] = {}
        if card.kind == "follow_up":
            picture = request.inputs[0]
            # Without a handle there is nothing to press, but a quote is told of a picture's size only.
            if attempt is not None or picture.handle is not None:
                self._check_handle(card, options["quadrant"], picture)
            path = self._follow_up(card, options["quadrant"], picture, body)
        else:
            path = "/mj/submit/imagine"
            body["prompt"] = _prompt(request, options)
            pictures = [each for each in request.inputs if each.role == "image"]
            if pictures and attempt is not None:
                body["base64Array"] = [_data_url(each) for each in pictures]
        if attempt is not None:
            body["state"] = str(attempt.id)
            if attempt.callback is not None and len(attempt.callback.url) <= _HOOK_MOST:
                body["notifyHook"] = attempt.callback.url
        return _Order(path, body)

    def _check_handle(self, card: ModelCard, quadrant: int, picture: InputImage) -> None:
        handle = members(picture.handle)
        if not _TASK.fullmatch(words(handle.get("task"))) or handle.get("grid") is not True:
            raise BadInput("This picture is not a grid of four that Midjourney made here.", field="inputs")
        if self._setup.follow_up == "action" and not _button(card, quadrant, handle):
            raise BadInput(
                "The proxy named no button for this. With MIDJOURNEY_PROXY_FOLLOW_UP=change it needs none.",
                field="inputs",
            )

    def _follow_up(
        self, card: ModelCard, quadrant: int, picture: InputImage, body: dict[str, JsonValue]
    ) -> str:
        """Fill `body` with what presses the button of that quadrant; returns the path."""
        handle = members(picture.handle)
        button = _button(card, quadrant, handle)
        _, _, action = _FOLLOW_UPS[card.id]
        body["taskId"] = words(handle.get("task"))
        if button and self._setup.follow_up != "change":
            body["customId"] = button
            return "/mj/submit/action"
        body["action"], body["index"] = action, quadrant
        return "/mj/submit/change"

    def _ticket(self, answer: Answer, model: str) -> Ticket:
        """The receipt for an order that was taken. Raises what every other answer means."""
        document = _document(answer)
        if answer.status != 200 or document.get("code") not in _TAKEN:
            follow_up = model in _FOLLOW_UPS
            raise told_by(answer, _trouble(answer, document, self._key, follow_up=follow_up), key=self._key)
        task = words(document.get("result"))
        if not _TASK.fullmatch(task):
            # A report of the task may still come and name it.
            trouble = Unsure("The order was taken and has no number.", kind="bad_answer")
            raise told_by(answer, trouble, key=self._key)
        state = {"task": task, "model": model, "submitted_at": told_at(answer)}
        return Ticket(state, request_id=task, cost=self._setup.price_of(model))

    # -- reports --------------------------------------------------------------------------------

    def vouches(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool | None:
        """Nothing is signed: only the address itself is secret."""
        return None

    def task_of(self, body: bytes) -> str | None:
        try:
            task = words(members(json.loads(body)).get("id"))
        except (ValueError, RecursionError):
            return None
        return task if _TASK.fullmatch(task) else None

    def ticket_of(self, task: str) -> Ticket:
        return Ticket({"task": task, "submitted_at": time.time(), "told": True}, request_id=task)

    # -- looking --------------------------------------------------------------------------------

    async def _look(self, ticket: Ticket, attempt: AttemptRef) -> "Delivery | Pending | _DeadLink":
        try:
            answer = await self._client.get(
                _asking_for(words(ticket.state.get("task"))),
                headers=self._with_secret(),
                deadline_s=min(attempt.deadline_s, _POLL_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        except CallFailed:
            return Pending(after_s=2.0)  # asking is free and the order stands
        # Both by the proxy's clock: ours may be wrong, or have jumped since.
        age_s = told_at(answer) - ticket.state.get("submitted_at", 0)
        not_yet = Pending(after_s=min(max(age_s / 10, 1.0), 5.0))
        document = _document(answer)
        if answer.status in (401, 403):
            raise told_by(
                answer, Misconfigured("The proxy refuses the secret.", kind="bad_key"), key=self._key
            )
        if _is_unknown(answer):
            if age_s < _LOST_AFTER_S:
                return not_yet
            raise self._lost(answer, ticket)
        if answer.status != 200:
            return not_yet
        if ticket.state.get("told") and words(document.get("state")) not in ("", str(attempt.id)):
            # Nothing of a report is signed. What it named was ordered by another attempt.
            raise Unsure("The task that was reported is another attempt's.", kind="expired")
        cost = self._cost(ticket, document)
        status = words(document.get("status"))
        if status == "SUCCESS":
            fault_point("ticket.ready")
            return await self._fetch(ticket, answer, document, attempt, cost)
        trouble = self._end_of_task(status, document, cost, age_s=age_s)
        if trouble is not None:
            trouble.request_id = ticket.request_id
            raise told_by(_kept(answer, document), trouble, key=self._key)
        # An address of a picture comes with every status: until SUCCESS it is a preview.
        return Pending(not_yet.after_s, _progress(document.get("progress")))

    def _lost(self, answer: Answer, ticket: Ticket) -> ProviderError:
        reason = "The proxy no longer knows the task."
        trouble: ProviderError = BadAnswer(reason, kind="expired", cost=ticket.cost)
        if ticket.state.get("told"):
            # Only a report named it. That nobody here knows it says nothing about what was charged.
            trouble = Unsure(reason, kind="expired")
        trouble.request_id = ticket.request_id
        return told_by(answer, trouble, key=self._key)

    def _cost(self, ticket: Ticket, document: Mapping[str, object]) -> Micros | None:
        if ticket.cost is not None or not ticket.state.get("told"):
            return ticket.cost
        # Known by a report alone: the task says what it is.
        action = words(document.get("action"))
        ours = {followed: model for model, (_, _, followed) in _FOLLOW_UPS.items()}
        model = "midjourney-8.1" if action == "IMAGINE" else ours.get(action)
        return self._setup.price_of(model) if model else None

    def _end_of_task(
        self, status: str, document: Mapping[str, object], cost: Micros | None, *, age_s: float
    ) -> ProviderError | None:
        """How the task ended without a picture; None while it may still make one.

        Charge table, 2026-11-22. A proxy that runs on the team's own plan bills nothing per call. Of relays
        some refund failed tasks (APIMart's price list; new-api's code) and most do not say: unknown, unless
        the team said it with MIDJOURNEY_FAILED_TASKS, or the price is nothing.
        """
        charge: Charge = "free" if cost == 0 else self._setup.failed
        reason = scrubbed(words(document.get("failReason")), secrets=[self._key])[:500]
        if status == "FAILURE" and _MODERATED.search(reason):
            return Refused(reason, kind="refused", charge=charge, cost=cost)
        if status == "FAILURE" and _BAD_PARAMETER.search(reason):
            return Refused(reason, kind="bad_request", charge=charge, cost=cost)
        if status == "FAILURE":
            return BadAnswer(reason or "The task failed.", kind="server_error", charge=charge, cost=cost)
        if status == "CANCEL":
            reason = "The task was cancelled at the proxy."
            return BadAnswer(reason, kind="server_error", charge=charge, cost=cost)
        if status == "MODAL" and age_s >= _MODAL_AFTER_S:
            reason = "The proxy waits for words to a button. Turn the account's remix mode off."
            return Refused(reason, kind="bad_request", charge=charge, cost=cost)
        return None

    async def _fetch(
        self,
        ticket: Ticket,
        answer: Answer,
        document: Mapping[str, object],
        attempt: AttemptRef,
        cost: Micros | None,
    ) -> "Delivery | Pending | _DeadLink":
        raw = redacted(_kept(answer, document), secrets=[self._key])
        try:
            picture = await self._client.download(
                self._address_of_picture(document),
                deadline_s=min(attempt.deadline_s, _DOWNLOAD_DEADLINE_S),
                max_bytes=_IMAGE_BYTES,
            )
            if picture.status in (401, 403, 404, 410):
                return _DeadLink(f"The link to the picture answered {picture.status}.", cost)
            if picture.status != 200:
                return Pending(after_s=2.0)
            image = read_image(picture.body)
        except (Blocked, TooLarge, Redirected, BadImage) as error:
            raise BadAnswer(
                f"The picture cannot be used: {error}",
                kind="bad_answer",
                cost=cost,
                request_id=ticket.request_id,
                raw=raw,
            ) from error
        except CallFailed:
            return Pending(after_s=2.0)  # the proxy keeps the task, and its link
        handle = _handle(ticket, document)
        image = GeneratedImage(image.content, image.media_type, image.width_px, image.height_px, handle)
        return Delivery([image], cost, ticket.request_id, raw)

    def _address_of_picture(self, document: Mapping[str, object]) -> str:
        """The address of the one picture. A proxy that keeps pictures itself may name a path only."""
        address = words(document.get("imageUrl"))
        several = document.get("imageUrls")
        if not address and isinstance(several, list) and several:
            address = words(members(several[0]).get("url"))
        return urljoin(self._client.base_url, address) if address.startswith("/") else address

    def _with_secret(self) -> dict[str, str]:
        """The secret as the proxy wants it; a proxy without one wants nothing."""
        if not self._key:
            return {}
        key = usable_key(self._key, self.key_variable)
        return {"authorization": f"Bearer {key}"} if self._setup.bearer else {"mj-api-secret": key}


@dataclass(frozen=True, slots=True)
class _Order:
    path: str
    body: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class _DeadLink:
    why: str
    cost: Micros | None


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the environment says of the proxy."""

    speed: str
    bearer: bool
    follow_up: str  # action, change, or nothing: by what the grid's task offers
    failed: Charge  # of tasks that were taken and failed
    price: Micros | None  # of one grid
    follow_up_price: Micros | None
    price_version: str

    @classmethod
    def of(cls, account: Account) -> Self:
        """Raises BadInput for a value that cannot be used."""
        speed = _choice(account, "MIDJOURNEY_PROXY_SPEED", *_PREFIXES)
        failed: Mapping[str, Charge] = {"": "unknown", "free": "free", "charged": "charged"}
        example = midjourney_examples()[speed] if account.simulated else None
        price = _dollars(account, "MIDJOURNEY_PRICE", example)
        follow_up_price = _dollars(account, "MIDJOURNEY_FOLLOW_UP_PRICE", example)
        return cls(
            speed=speed,
            bearer=_choice(account, "MIDJOURNEY_PROXY_AUTH", "secret", "bearer") == "bearer",
            follow_up=_choice(account, "MIDJOURNEY_PROXY_FOLLOW_UP", "", "action", "change"),
            failed=failed[_choice(account, "MIDJOURNEY_FAILED_TASKS", *failed)],
            price=price,
            follow_up_price=follow_up_price,
            # It names the amounts, so it changes with them, and what waits is quoted again.
            price_version=f"per-call-{_said(price)}-{_said(follow_up_price)}",
        )

    def price_of(self, model: str) -> Micros | None:
        return self.follow_up_price if model in _FOLLOW_UPS else self.price

    def quote(self, model: str) -> Quote:
        price = self.price_of(model)
        variable = "MIDJOURNEY_FOLLOW_UP_PRICE" if model in _FOLLOW_UPS else "MIDJOURNEY_PRICE"
        note = f"Only you know what your proxy charges: set {variable}, in dollars." if price is None else ""
        return Quote(price, price, self.price_version, note)


def _choice(account: Account, variable: str, *choices: str) -> str:
    """The value of a variable; the first choice where it is not set."""
    value = account.values.get(variable, choices[0]).lower()
    if value not in choices:
        allowed = ", ".join(filter(None, choices))
        raise BadInput(f"{variable} is one of {allowed}, not {value[:40]!r}.", field=variable)
    return value


def _dollars(account: Account, variable: str, otherwise: Micros | None) -> Micros | None:
    text = account.values.get(variable)
    try:
        return otherwise if text is None else parse_dollars(text)
    except ValueError as problem:
        raise BadInput(f"{variable}: {problem}.", field=variable) from None


def _said(price: Micros | None) -> str:
    return "none" if price is None else f"{dollars(price).normalize():f}"


def _prompt(request: ImageRequest, options: Mapping[str, JsonValue]) -> str:
    """The prompt as Midjourney reads it, parameters last. Raises BadInput."""
    said = plain(request.prompt, field="prompt")
    if not said:
        raise BadInput("The prompt is empty.", field="prompt")
    if request.seed is not None and not 0 <= request.seed < _SEEDS:
        raise BadInput(f"A seed is a whole number from 0 to {_SEEDS - 1:,}.", field="seed")
    whole = written(
        said,
        [
            ("ar", request.shape),
            ("v", _VERSIONS[request.model]),
            *((name, options[name]) for name in ("stylize", "chaos", "exp", "raw")),
            ("seed", request.seed),
            ("no", plain(request.negative_prompt, field="negative_prompt") or None),
        ],
    )
    if len(whole) > _PROMPT_MOST:
        raise BadInput(
            f"With its parameters the prompt is longer than {_PROMPT_MOST:,} characters.", field="prompt"
        )
    return whole


def _button(card: ModelCard, quadrant: int, handle: Mapping[str, object]) -> str:
    """What to press for that quadrant, where the grid's task offered it."""
    letter, _, _ = _FOLLOW_UPS[card.id]
    return words(members(handle.get("buttons")).get(f"{letter}{quadrant}"))


def _data_url(picture: InputImage) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode()}"


def _asking_for(task: str) -> str:
    return f"/mj/task/{url_quote(task, safe='')}/fetch"


# -- answers -----------------------------------------------------------------------------------------

# 1 done, 22 queued; 21 that it exists already: `result` names the task that does the work, and relays charge
# for the answer all the same (new-api), so the price stands.
_TAKEN = (1, 21, 22)


def _trouble(answer: Answer, document: Mapping[str, object], key: str, *, follow_up: bool) -> ProviderError:
    """What an answer without a task means. A proxy refuses with HTTP 200 and a code; a relay with a status.

    Charge table, 2026-11-22: of an order that was not taken nothing is charged (new-api consumes quota for
    the codes 1, 21 and 22 only; a self-hosted proxy bills nothing). An answer in nobody's words may hide an
    order that was taken: unsure.
    """
    told = scrubbed(words(document.get("description")), secrets=[key])[:500].strip()
    reason = told or f"The Midjourney proxy answered {answer.status} without saying why."
    status, code = answer.status, document.get("code")
    if status == 402 or (status < 500 and _QUOTA.search(told)):
        return Misconfigured(reason, kind="no_credit")
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if status == 429 or code in (23, 30):
        return TryLater(reason, after_s=wait_s(answer, default=_QUEUE_WAIT_S, message=told))
    if code == 24:
        word = scrubbed(words(members(document.get("properties")).get("bannedWord")), secrets=[key])[:100]
        return Refused(f"{reason}: {word}" if word else reason, kind="refused")
    if code == 3 and (_NO_ACCOUNT.search(told) or not follow_up):
        # The proxy has no Discord account online. Accounts come back by themselves after a moment.
        return TryLater(reason, after_s=_NO_ACCOUNT_WAIT_S, kind="overloaded")
    if "do_request_failed" in told or "read_response_body_failed" in told:
        # new-api's words for a call of its own that was cut: the proxy behind it may have taken the order.
        return Unsure(reason, kind="server_error")
    if told and (status >= 500 or (status == 200 and code == 9)):
        wait = wait_s(answer, default=_ERROR_WAIT_S)
        return TryLater(reason, after_s=wait, kind="overloaded" if status == 503 else "server_error")
    if status == 200 and code in (3, 4):
        return Refused(reason, kind="bad_request")
    if status >= 500 or status == 408 or status < 400:
        return Unsure(reason, kind="server_error" if status != 200 else "bad_answer")
    return Refused(reason, kind="bad_request")


def _is_unknown(answer: Answer) -> bool:
    """Whether the proxy says that there is no such task: with nothing, `null`, 204, 404; a relay with 400."""
    if answer.status == 200:
        return answer.body.strip() in (b"", b"null", b"{}")
    return answer.status in (204, 404) or (answer.status == 400 and "code" in _document(answer))


def _handle(ticket: Ticket, document: Mapping[str, object]) -> dict[str, JsonValue] | None:
    """How to go on from the picture: None for one that is not a grid of four."""
    buttons = _buttons(document.get("buttons"))
    model = words(ticket.state.get("model"))
    is_grid = model != "midjourney-upscale" if model else bool(buttons) or document.get("action") == "IMAGINE"
    if not is_grid:
        return None
    return {"task": words(ticket.state.get("task")), "buttons": buttons, "grid": True}


def _buttons(offered: object) -> dict[str, str]:
    """What to press for each of the four: U1 to U4 and V1 to V4, as far as they are offered."""
    found = {}
    for button in offered if isinstance(offered, list) else ():
        told = _BUTTON.fullmatch(words(members(button).get("customId")))
        if told:
            found[f"{_LETTERS[told[1]]}{told[2]}"] = told[0]
    return found


def _progress(value: object) -> float | None:
    told = _PROGRESS.fullmatch(words(value).strip())
    return min(int(told[1]), 100) / 100 if told else None


# What of a task is kept with the attempt. Not the whole: some proxies repeat the address of the report there,
# which nobody may know.
_FACTS = (
    "id", "action", "status", "prompt", "promptEn", "state", "submitTime", "startTime", "finishTime",
    "progress", "imageUrl", "failReason", "buttons",
)  # fmt: skip


def _kept(answer: Answer, document: Mapping[str, object]) -> Answer:
    facts = {name: document[name] for name in _FACTS if name in document}
    return Answer(answer.status, answer.headers, json.dumps(facts, default=str).encode())


def _document(answer: Answer) -> Mapping[str, object]:
    try:
        return members(answer.json())
    except NotJson:
        return {}
