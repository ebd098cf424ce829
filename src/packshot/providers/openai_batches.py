"""OpenAI's Batch API: a file of requests goes up, one order is made of it, a file of answers comes back.

What costs is the order. Everything else here is free: the upload, every look, the download, calling it off.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from packshot.kernel.errors import BadAnswer, ProviderError, Refused, TryLater, Unsure
from packshot.providers.answers import members, paid, words
from packshot.providers.contract import JsonValue, ModelCard, Progress, Ticket
from packshot.providers.http import Answer, CallFailed, GuardedClient, NotJson, NotOk
from packshot.providers.multipart import Upload, form

ENDPOINT = "/v1/images/generations"
# Each line's answer holds a picture or more, and the whole file goes through one download.
MOST_LINES = 200
# A window is a day. A model that stops within it, or soon after, would leave lines without an image.
_WINDOW = timedelta(days=2)
_CALL_S = 60.0
_SILENCE_S = 60.0
_PAGES = 20  # of a hundred batches each: as far back as anybody looks for one
_DOCUMENT_BYTES = 8 * 1024 * 1024
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# In an order's metadata: our own name for it, and its model, without which its answers have no price.
_NAME, _MODEL = "packshot_batch", "packshot_model"


def body_of(file_id: str, batch: UUID, model: str) -> dict[str, JsonValue]:
    """What an order says."""
    return {
        "input_file_id": file_id,
        "endpoint": ENDPOINT,
        "completion_window": "24h",
        "metadata": {_NAME: str(batch), _MODEL: model},
    }


def line_of(attempt_id: UUID, body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """One line of the file that goes up: an ordinary request, and the name by which its answer is known."""
    return {"custom_id": str(attempt_id), "method": "POST", "url": ENDPOINT, "body": dict(body)}


def file_name(batch: UUID) -> str:
    return f"packshot-{batch}.jsonl"


def stops_too_soon(card: ModelCard, day: date) -> bool:
    """Whether the model may stop before the day that it has for an answer is over."""
    return card.retires_on is not None and card.retires_on < day + _WINDOW


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one line, as it would have come over HTTP; `error`: why there was none."""

    attempt_id: UUID
    answer: Answer | None
    error: Mapping[str, object]


class BatchApi:
    """The calls. `headers` carry the key; `trouble` says what an answer without a result means."""

    def __init__(
        self,
        client: GuardedClient,
        headers: Callable[[], dict[str, str]],
        trouble: Callable[[Answer], ProviderError],
        max_line_bytes: int,
    ) -> None:
        self._client, self._headers, self._trouble = client, headers, trouble
        self._max_line_bytes = max_line_bytes

    async def order(self, lines: Iterable[Mapping[str, JsonValue]], batch: UUID, model: str) -> Ticket:
        """Upload, then order. Only the second is paid, so trouble with the first has cost nothing."""
        file_id = await self._upload(lines, batch)
        answer = await paid(
            self._client.post(
                "/v1/batches",
                json_body=body_of(file_id, batch, model),
                headers=self._headers(),
                deadline_s=_CALL_S,
                max_bytes=_DOCUMENT_BYTES,
            )
        )
        if not 200 <= answer.status < 300:
            trouble = self._trouble(answer)
            if answer.status >= 500:
                # For a picture OpenAI's own 5xx counts as free, because nobody can look. An order can be
                # looked for: whether it was taken is found out before anything is ordered anew.
                raise Unsure(trouble.reason, kind="server_error")
            raise trouble
        try:
            return _ticket(members(answer.json()), model)
        except (NotJson, ValueError) as error:
            # It was taken, as it seems, and by which number is not known: `find` finds out.
            raise Unsure(f"OpenAI's answer to an order cannot be read: {error}", kind="bad_answer") from error

    async def _upload(self, lines: Iterable[Mapping[str, JsonValue]], batch: UUID) -> str:
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        upload = Upload(file_name(batch), "application/jsonl", content)
        body, media_type = form((("purpose", "batch"), ("file", upload)))
        try:
            answer = await self._client.post_bytes(
                "/v1/files",
                content=body,
                media_type=media_type,
                headers=self._headers(),
                deadline_s=_CALL_S,
                max_bytes=_DOCUMENT_BYTES,
            )
        except CallFailed as error:
            raise TryLater(f"the upload failed: {error}", after_s=30.0, kind="unreachable") from error
        if not 200 <= answer.status < 300:
            trouble = self._trouble(answer)
            if isinstance(trouble, Unsure):  # of an upload: whatever became of it, it cost nothing
                raise TryLater(trouble.reason, after_s=30.0, kind="server_error")
            raise trouble
        try:
            file_id = words(members(answer.json()).get("id"))
        except NotJson:
            file_id = ""
        if not _is_id(file_id):
            raise TryLater("OpenAI's answer to an upload cannot be read", after_s=30.0, kind="server_error")
        return file_id

    async def find(self, batch: UUID) -> Ticket | None:
        """By its name in the metadata, among the newest first."""
        after = ""
        for _ in range(_PAGES):
            page = await self._look(f"/v1/batches?limit=100{after and f'&after={after}'}")
            listed = page.get("data")
            if not isinstance(listed, list):
                raise Unsure("OpenAI's list of batches cannot be read", kind="bad_answer")
            for entry in map(members, listed):
                said = members(entry.get("metadata"))
                if words(said.get(_NAME)) == str(batch):
                    return _ticket(entry, words(said.get(_MODEL)))
            after = words(members(listed[-1]).get("id")) if listed else ""
            if not page.get("has_more") or not _is_id(after):
                return None
        raise Unsure("OpenAI lists more batches than are looked through", kind="bad_answer")

    async def revoke(self, batch: UUID) -> None:
        """Delete the file that the order would be made of: an order without its file is none."""
        page = await self._look("/v1/files?purpose=batch&limit=10000&order=desc")
        listed = page.get("data")
        if not isinstance(listed, list):
            raise Unsure("OpenAI's list of files cannot be read", kind="bad_answer")
        for entry in map(members, listed):
            file_id = words(entry.get("id"))
            if words(entry.get("filename")) == file_name(batch) and _is_id(file_id):
                await self._answered(
                    self._client.delete(
                        f"/v1/files/{file_id}",
                        headers=self._headers(),
                        deadline_s=_CALL_S,
                        max_bytes=_DOCUMENT_BYTES,
                    )
                )

    async def read(self, ticket: Ticket) -> Mapping[str, object]:
        """The order as it stands."""
        return await self._look(f"/v1/batches/{_number(ticket)}")

    async def call_off(self, ticket: Ticket) -> None:
        await self._answered(
            self._client.post(
                f"/v1/batches/{_number(ticket)}/cancel",
                json_body={},
                headers=self._headers(),
                deadline_s=_CALL_S,
                max_bytes=_DOCUMENT_BYTES,
            )
        )

    async def results(self, ticket: Ticket) -> AsyncGenerator[Result, None]:
        """Every line that has an answer, of the file of results and then of that of errors."""
        order = await self.read(ticket)
        for name in ("output_file_id", "error_file_id"):
            file_id = words(order.get(name))
            if not _is_id(file_id):
                continue
            try:
                async for line in self._client.lines(
                    f"/v1/files/{file_id}/content",
                    headers=self._headers(),
                    silence_s=_SILENCE_S,
                    max_line_bytes=self._max_line_bytes,
                ):
                    result = _result(line)
                    if result is not None:
                        yield result
            except NotOk as error:
                if error.answer.status == 404:
                    raise BadAnswer(
                        "OpenAI no longer has the file of this batch's results.", kind="expired"
                    ) from error
                raise _as_look(self._trouble(error.answer), error.answer) from error
            except CallFailed as error:
                raise TryLater(str(error), after_s=30.0, kind="unreachable") from error

    async def _look(self, path: str) -> Mapping[str, object]:
        answer = await self._answered(
            self._client.get(path, headers=self._headers(), deadline_s=_CALL_S, max_bytes=_DOCUMENT_BYTES)
        )
        try:
            return members(answer.json())
        except NotJson as error:
            raise Unsure(f"OpenAI's answer cannot be read: {error}", kind="bad_answer") from error

    async def _answered(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except CallFailed as error:
            raise TryLater(str(error), after_s=30.0, kind="unreachable") from error
        if not 200 <= answer.status < 300:
            raise _as_look(self._trouble(answer), answer)
        return answer


def progress_of(order: Mapping[str, object]) -> Progress:
    """How the order stands. Raises Unsure for what is no order."""
    state = words(order.get("status"))
    if not state:
        raise Unsure("OpenAI's batch has no status", kind="bad_answer")
    counts = members(order.get("request_counts"))
    due = order.get("expires_at")
    return Progress(
        state[:40],
        _count(counts.get("completed")),
        _count(counts.get("failed")),
        _count(counts.get("total")),
        ended=state in _ENDED,
        due_at=float(due) if type(due) is int and 0 < due < 1 << 40 else None,
    )


def unmade_of(
    order: Mapping[str, object], trouble: Callable[[str, str], ProviderError | None]
) -> ProviderError:
    """Why a line has no result in an order that has ended. Nothing that was not made is charged."""
    state = words(order.get("status"))
    if state == "expired":
        return Refused(
            "OpenAI's batch ran out of time before it made this one, which cost nothing.",
            kind="expired",
        )
    if state == "cancelled":
        # Free and repeatable: whoever wanted it cancelled has it cancelled, anybody else has it made anew.
        return BadAnswer(
            "OpenAI's batch was cancelled before it made this one, which cost nothing.",
            kind="server_error",
            charge="free",
        )
    if state == "failed":
        listed = members(order.get("errors")).get("data")
        first = members(listed[0]) if isinstance(listed, list) and listed else {}
        code, message = words(first.get("code")), words(first.get("message"))
        known = trouble(code, message)
        if known is not None:
            return known
        said = message[:400] or "without saying why"
        return Refused(f"OpenAI did not take the batch: {said}", kind="bad_request")
    # Completed, and nothing is said of this line: nobody knows whether it was made.
    return BadAnswer("OpenAI's batch ended without a word on this one.", kind="bad_answer", charge="unknown")


def _ticket(order: Mapping[str, object], model: str) -> Ticket:
    number = words(order.get("id"))
    if not _is_id(number):
        raise ValueError("it has no number")
    return Ticket({"batch": number, "model": model})


def _number(ticket: Ticket) -> str:
    number = words(ticket.state.get("batch"))
    if not _is_id(number):
        raise BadAnswer("this is no ticket of a batch", kind="bad_answer", charge="unknown")
    return number


def _is_id(text: str) -> bool:
    """What may stand in a path."""
    return 0 < len(text) <= 200 and text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def _result(line: bytes) -> Result | None:
    """None: it is no line of ours."""
    try:
        # As an answer is read: numbers exact, and nothing that is no JSON.
        document = members(Answer(200, {}, line).json())
        attempt_id = UUID(words(document.get("custom_id")))
    except (NotJson, ValueError):
        return None
    response = members(document.get("response"))
    status = response.get("status_code")
    if type(status) is not int or not 100 <= status <= 599:
        return Result(attempt_id, None, members(document.get("error")))
    named = words(response.get("request_id"))
    headers = {"x-request-id": named} if named else {}
    body = json.dumps(response.get("body"), default=str).encode()
    return Result(attempt_id, Answer(status, headers, body), members(document.get("error")))


def _as_look(trouble: ProviderError, answer: Answer) -> ProviderError:
    """What an unhappy look means: one looks again. Also after a 404, which a key of another project brings as
    well as a batch that is gone: only time tells them apart."""
    if isinstance(trouble, TryLater):
        return TryLater(trouble.reason, after_s=trouble.after_s, kind=trouble.kind)
    return TryLater(trouble.reason, after_s=60.0, kind="unreachable")


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1_000_000 else 0
