"""OpenAI's batches: `/v1/files` (upload, list, content, delete), `/v1/batches` (create, get, list, cancel).

Files and orders lie in the state folder, so that a simulator that is started again goes on with them. Each
line is worked on and charged like a call of its own, at half the price, and its answer is in a file before
the order says that it has ended. The words of refusals follow the form of the other endpoints.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from packshot.simulator.faults import BATCHES_PATH, Rule
from packshot.simulator.forms import File, NotAForm, read_form
from packshot.simulator.protocol import Answer, Call, World, parsed

FILES_PATH = "/v1/files"
ENDPOINT = "/v1/images/generations"
_LINES_MOST = 50_000
_BYTES_MOST = 200_000_000
_AT_ONCE = 4
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_METADATA_MOST, _KEY_CHARS, _VALUE_CHARS = 16, 64, 512

Work = Callable[[Call], Awaitable[Answer]]


class BadRequest(Exception):
    """What the service would not take, in its words."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.status = param, status


@dataclass(slots=True)
class _Order:
    """One batch as it stands: the object that the service shows, and what we need to go on with it."""

    shown: dict[str, Any]
    ready_at: float
    fate: str | None = None  # a fault's action
    done: set[str] = field(default_factory=set)  # custom ids that have an answer
    called_off: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return str(self.shown["id"])

    @property
    def ended(self) -> bool:
        return self.shown["status"] in _ENDED


class Batches:
    """All files and orders of the one organisation."""

    def __init__(self, world: World, work: Work) -> None:
        self._world, self._work = world, work
        self._folder = world.config.state_dir / "openai"
        self._orders: dict[str, _Order] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def answers(self, call: Call) -> bool:
        """Whether this is one of its paths."""
        return any(
            call.path == path or call.path.startswith(f"{path}/") for path in (FILES_PATH, BATCHES_PATH)
        )

    async def answer(self, call: Call) -> Answer:
        """What is free. Raises BadRequest."""
        self.wake()
        _, _, noun, *rest = call.path.split("/")
        match call.method, noun, rest:
            case "POST", "files", []:
                return self._upload(call)
            case "GET", "files", []:
                return self._list_files(call.query)
            case "GET", "files", [file_id]:
                return Answer.of_json(200, self._file(file_id))
            case "GET", "files", [file_id, "content"]:
                self._file(file_id)
                content = await asyncio.to_thread(self._content(file_id).read_bytes)
                return Answer(200, content, media_type="application/octet-stream")
            case "DELETE", "files", [file_id]:
                self._file(file_id)
                self._meta(file_id).unlink()
                self._content(file_id).unlink()
                return Answer.of_json(200, {"id": file_id, "object": "file", "deleted": True})
            case "GET", "batches", []:
                return self._list(call.query)
            case "GET", "batches", [batch_id]:
                return Answer.of_json(200, self._order(batch_id).shown)
            case "POST", "batches", [batch_id, "cancel"]:
                return self._cancel(self._order(batch_id))
        raise BadRequest(f"Invalid URL ({call.method} {call.path})", status=404)

    def create(self, call: Call, fault: Rule | None) -> Answer:
        """Take an order; what it costs is charged as its lines are made. Raises BadRequest."""
        self.wake()
        asked = parsed(call.body)
        if not isinstance(asked, dict):
            raise BadRequest("We could not parse the JSON body of your request. Expected a JSON object.")
        unknown = asked.keys() - {
            "input_file_id",
            "endpoint",
            "completion_window",
            "metadata",
            "output_expires_after",
        }
        if unknown:
            raise BadRequest(f"Unknown parameter: '{min(unknown)}'.", param=min(unknown))
        if asked.get("endpoint") != ENDPOINT:
            raise BadRequest("This simulator batches image generations only.", param="endpoint")
        if asked.get("completion_window") != "24h":
            raise BadRequest("Invalid value: only '24h' is supported.", param="completion_window")
        metadata = asked.get("metadata")
        _check_metadata(metadata)
        file_id = asked.get("input_file_id")
        if not isinstance(file_id, str) or self._file(file_id)["purpose"] != "batch":
            raise BadRequest("The file of a batch must have the purpose 'batch'.", param="input_file_id")
        order = self._taken(call, file_id, metadata, fault)
        assert self._orders is not None, "woken above"
        self._orders[order.id] = order
        self._save(order)
        self._start(order)
        return Answer.of_json(200, order.shown)

    def _taken(self, call: Call, file_id: str, metadata: object, fault: Rule | None) -> _Order:
        now, config = time.time(), self._world.config
        window_s = config.openai_batch_window_s / config.speed
        return _Order(
            {
                "id": f"batch_{uuid4().hex}",
                "object": "batch",
                "endpoint": ENDPOINT,
                "errors": None,
                "input_file_id": file_id,
                "completion_window": "24h",
                "status": "validating",
                "output_file_id": None,
                "error_file_id": None,
                "created_at": int(now),
                "in_progress_at": None,
                "expires_at": int(now + window_s),
                "finalizing_at": None,
                "completed_at": None,
                "failed_at": None,
                "expired_at": None,
                "cancelling_at": None,
                "cancelled_at": None,
                "request_counts": {"total": 0, "completed": 0, "failed": 0},
                "metadata": metadata,
            },
            now + min(self._world.latency_s(config.openai_batch_latency_s), window_s),
            fault.action if fault else None,
        )

    # -- files ---------------------------------------------------------------------------------

    def _upload(self, call: Call) -> Answer:
        try:
            fields = read_form(call.headers.get("content-type", ""), call.body)
        except NotAForm as problem:
            raise BadRequest(f"We could not parse the form of your request: {problem}.") from None
        file, purpose = fields.get("file"), fields.get("purpose")
        if not isinstance(file, File):
            raise BadRequest("Missing required parameter: 'file'.", param="file")
        if purpose != "batch":
            raise BadRequest("This simulator keeps files for batches only.", param="purpose")
        if len(file.content) > _BYTES_MOST:
            raise BadRequest("The file is larger than 200 MB.", param="file")
        return Answer.of_json(200, self._keep_file(file.filename, file.content, "batch"))

    def _keep_file(self, name: str, content: bytes, purpose: str) -> dict[str, Any]:
        file_id = f"file-{uuid4().hex}"
        shown = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "expires_at": None,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        _write(self._content(file_id), content)
        _write(self._meta(file_id), json.dumps(shown).encode())
        return shown

    def _list_files(self, query: Mapping[str, str]) -> Answer:
        found = [json.loads(path.read_text()) for path in self._folder.glob("file-*.json")]
        purpose = query.get("purpose")
        found = [each for each in found if purpose is None or each["purpose"] == purpose]
        found.sort(key=lambda each: each["created_at"], reverse=query.get("order", "desc") == "desc")
        return Answer.of_json(200, {"object": "list", "data": found[:10_000], "has_more": False})

    def _file(self, file_id: str) -> dict[str, Any]:
        path = self._meta(file_id)
        if not file_id.replace("-", "").isalnum() or not path.is_file():
            raise BadRequest(f"No such File object: {file_id}", param="id", status=404)
        shown: dict[str, Any] = json.loads(path.read_text())
        return shown

    def _meta(self, file_id: str) -> Path:
        return self._folder / f"{file_id}.json"

    def _content(self, file_id: str) -> Path:
        return self._folder / f"{file_id}.jsonl"

    # -- orders --------------------------------------------------------------------------------

    def wake(self) -> None:
        """Read what was left, and go on with it. Cheap from the second time on."""
        if self._orders is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._orders = {}
        for path in self._folder.glob("batch_*.json"):
            kept = json.loads(path.read_text())
            order = _Order(kept["shown"], kept["ready_at"], kept["fate"])
            self._orders[order.id] = order
            if order.shown["status"] == "cancelling":
                order.called_off.set()
            if not order.ended:
                self._start(order)

    def _order(self, batch_id: str) -> _Order:
        assert self._orders is not None, "woken before"
        order = self._orders.get(batch_id)
        if order is None:
            raise BadRequest(f"No batch found with id '{batch_id}'.", status=404)
        return order

    def _list(self, query: Mapping[str, str]) -> Answer:
        assert self._orders is not None, "woken before"
        newest = sorted(
            self._orders.values(), key=lambda each: (each.shown["created_at"], each.id), reverse=True
        )
        ids = [each.id for each in newest]
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else 20
        begins = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
        page = newest[begins : begins + min(max(limit, 1), 100)]
        return Answer.of_json(
            200,
            {
                "object": "list",
                "data": [each.shown for each in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": begins + len(page) < len(newest),
            },
        )

    def _cancel(self, order: _Order) -> Answer:
        if order.ended:
            raise BadRequest(f"Cannot cancel a batch with status '{order.shown['status']}'.", status=409)
        self._moves(order, "cancelling")
        order.called_off.set()
        return Answer.of_json(200, order.shown)

    def _moves(self, order: _Order, status: str) -> None:
        order.shown |= {"status": status, f"{status}_at": int(time.time())}
        self._save(order)

    def _save(self, order: _Order) -> None:
        kept = {"shown": order.shown, "ready_at": order.ready_at, "fate": order.fate}
        _write(self._folder / f"{order.id}.json", json.dumps(kept).encode())

    # -- the work ------------------------------------------------------------------------------

    def _start(self, order: _Order) -> None:
        task = asyncio.get_running_loop().create_task(self._make(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, order: _Order) -> None:
        lines, errors = self._read(order)
        if order.fate == "task_error" and not errors:
            errors = [_error("server_error", "The batch could not be started.", None)]
        if errors:
            order.shown["errors"] = {"object": "list", "data": errors}
            self._moves(order, "failed")
            return
        order.shown["request_counts"]["total"] = len(lines)
        if order.shown["status"] == "validating":
            self._moves(order, "in_progress")
        await self._until(order, order.ready_at)
        # One that never gets ready has made half of its lines when its time is over.
        most = len(lines) // 2 if order.fate == "never_ready" else len(lines)
        good = self._folder / f"{order.id}.output"
        bad = self._folder / f"{order.id}.error"
        order.done |= _answered(good) | _answered(bad)
        begun = [each for each in lines[:most] if each["custom_id"] not in order.done]
        for at in range(0, len(begun), _AT_ONCE):
            if order.shown["status"] == "cancelling":
                break
            await asyncio.gather(*[self._line(order, each, good, bad) for each in begun[at : at + _AT_ONCE]])
        if order.fate == "never_ready":
            await self._until(order, float(order.shown["expires_at"]))
        self._end(order, lines, good, bad)

    @staticmethod
    async def _until(order: _Order, moment: float) -> None:
        """Wait for that moment, or until it is called off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, moment - time.time())):
                await order.called_off.wait()

    def _read(self, order: _Order) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The lines, or what is wrong with them: all is looked at before anything is made."""
        path = self._content(order.shown["input_file_id"])
        if not path.is_file():
            return [], [_error("invalid_file", "The input file was not found.", None)]
        lines: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        names: set[str] = set()
        models: set[object] = set()
        for number, text in enumerate(path.read_bytes().splitlines(), 1):
            line = parsed(text)
            if not isinstance(line, dict) or not isinstance(line.get("body"), dict):
                errors.append(
                    _error("invalid_json_line", "This line is not parseable as valid JSON.", number)
                )
                continue
            name = line.get("custom_id")
            if not isinstance(name, str) or not name or name in names:
                errors.append(
                    _error("duplicate_custom_id", "The custom_id is missing or not unique.", number)
                )
                continue
            if (line.get("method"), line.get("url")) != ("POST", ENDPOINT):
                errors.append(_error("invalid_url", "The URL does not match the batch's endpoint.", number))
            names.add(name)
            models.add(line["body"].get("model"))
            lines.append(line)
        if len(models) > 1:
            errors.append(_error("mismatched_model", "A file may hold requests to one model only.", None))
        if not lines or len(lines) > _LINES_MOST:
            errors.append(_error("invalid_file", f"A file holds 1 to {_LINES_MOST} requests.", None))
        return lines, errors[:20]

    async def _line(self, order: _Order, line: Mapping[str, Any], good: Path, bad: Path) -> None:
        call = Call(
            id=f"req_{uuid4().hex}",
            method="POST",
            path=ENDPOINT,
            query={},
            headers={"content-type": "application/json"},
            body=json.dumps(line["body"]).encode(),
            origin="",
            received_at=time.time(),
        )
        answer = await self._work(call)
        body = json.loads(answer.body) if answer.media_type == "application/json" else None
        result = {
            "id": f"batch_req_{uuid4().hex}",
            "custom_id": line["custom_id"],
            "response": {"status_code": answer.status, "request_id": call.id, "body": body},
            "error": None,
        }
        ok = 200 <= answer.status < 300
        _append(good if ok else bad, result)
        order.done.add(line["custom_id"])
        order.shown["request_counts"]["completed" if ok else "failed"] += 1

    def _end(self, order: _Order, lines: list[dict[str, Any]], good: Path, bad: Path) -> None:
        cancelled = order.shown["status"] == "cancelling"
        left = [each["custom_id"] for each in lines if each["custom_id"] not in order.done]
        if left and not cancelled:
            for name in left:
                message = "This request could not be executed before the completion window expired."
                error = {"code": "batch_expired", "message": message}
                entry = {
                    "id": f"batch_req_{uuid4().hex}",
                    "custom_id": name,
                    "response": None,
                    "error": error,
                }
                _append(bad, entry)
        for name, path in (("output_file_id", good), ("error_file_id", bad)):
            if path.is_file():
                kept = self._keep_file(
                    f"{order.id}_{path.suffix[1:]}.jsonl", path.read_bytes(), "batch_output"
                )
                order.shown[name] = kept["id"]
                path.unlink()
        if order.fate == "dead_link" and order.shown["output_file_id"]:
            gone = order.shown["output_file_id"]
            self._meta(gone).unlink()
            self._content(gone).unlink()
        self._moves(order, "cancelled" if cancelled else "expired" if left else "completed")


def refused(problem: BadRequest) -> Answer:
    error = {"message": str(problem), "type": "invalid_request_error", "param": problem.param, "code": None}
    return Answer.of_json(problem.status, {"error": error})


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    good = isinstance(metadata, dict) and len(metadata) <= _METADATA_MOST
    if not good or not isinstance(metadata, dict):
        raise BadRequest("Invalid 'metadata': an object of at most 16 pairs.", param="metadata")
    for name, value in metadata.items():
        if len(name) > _KEY_CHARS or not isinstance(value, str) or len(value) > _VALUE_CHARS:
            raise BadRequest(f"Invalid 'metadata.{name[:64]}'.", param="metadata")


def _error(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": line}


def _answered(path: Path) -> set[str]:
    """The custom ids in a file that was begun before this simulator was started again."""
    if not path.is_file():
        return set()
    found = (parsed(line) for line in path.read_bytes().splitlines())
    return {str(each["custom_id"]) for each in found if isinstance(each, dict)}


def _append(path: Path, document: Mapping[str, Any]) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(document).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_suffix(f"{path.suffix}.new")
    with made.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
