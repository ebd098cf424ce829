"""Answers that no client should trust: each variant takes a good answer and spoils it in one way."""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from packshot.simulator.faults import Rule
from packshot.simulator.protocol import Answer

_MB = 1024 * 1024
_ZEROS = bytes(_MB)


def spoiled(answer: Answer, fault: Rule) -> Answer:
    """`answer` as the rule's garbage variant would have it; one that has nothing to spoil stays as it is."""
    if fault.variant == "huge_json":
        return replace(answer, body=b"", stream=_huge_json(fault.size_mb))
    if fault.variant == "gzip_bomb":
        packed = _gzip_of_zeros(fault.size_mb)
        return replace(answer, body=packed, headers=(*answer.headers, ("content-encoding", "gzip")))
    return _VARIANTS[str(fault.variant)](answer)


def _on_json(change: Callable[[dict[str, Any]], Any]) -> Callable[[Answer], Answer]:
    def spoil(answer: Answer) -> Answer:
        if answer.media_type.partition(";")[0] != "application/json":
            return answer
        return replace(answer, body=json.dumps(change(json.loads(answer.body))).encode())

    return spoil


def _on_images(image: Callable[[], str], content: Callable[[], bytes]) -> Callable[[Answer], Answer]:
    """Spoil every base64 image of a JSON answer, or the whole body of a delivery."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        if "image" in document:  # Stability's
            return {**document, "image": image()}
        return {**document, "data": [{**entry, "b64_json": image()} for entry in document.get("data", [])]}

    def spoil(answer: Answer) -> Answer:
        if answer.media_type.startswith("image/"):
            return replace(answer, body=content())
        return _on_json(change)(answer)

    return spoil


def _cost(value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(document: dict[str, Any]) -> dict[str, Any]:
        if "usage" in document:
            return {**document, "usage": {**document["usage"], "output_tokens": value, "total_tokens": value}}
        return {**document, "cost": value}

    return change


def _wrong_types(document: dict[str, Any]) -> dict[str, Any]:
    return {name: 7 if isinstance(value, str) else "seven" for name, value in document.items()}


def _missing_id(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("id", "data", "image")}


def _two_ids(answer: Answer) -> Answer:
    other = b'{"id": "00000000-0000-4000-8000-000000000000", "created": 0, '
    return replace(answer, body=other + answer.body[1:])


def _pixel_bomb() -> bytes:
    """A PNG of a hundred bytes whose header declares 60,000 x 60,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


_PAGE = b"<!doctype html><html><head><title>Just a moment...</title></head><body>Checking</body></html>"
_DEEP = b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

_VARIANTS: dict[str, Callable[[Answer], Answer]] = {
    "not_json": lambda answer: replace(answer, body=b"\x00\xff upstream connect error or disconnect"),
    "html": lambda answer: replace(answer, body=_PAGE, media_type="text/html"),
    "half_json": lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]),
    "deep_json": lambda answer: replace(answer, body=_DEEP),
    "wrong_types": _on_json(_wrong_types),
    "wrong_content_type": lambda answer: replace(answer, media_type="text/plain"),
    "missing_id": _on_json(_missing_id),
    "two_ids": _two_ids,
    "nan_cost": _on_json(_cost(float("nan"))),
    "negative_cost": _on_json(_cost(-4.0)),
    "huge_cost": _on_json(_cost(1e300)),
    "bad_base64": _on_images(lambda: "*not base64*", lambda: b"*not an image*"),
    "empty_image": _on_images(lambda: "", lambda: b""),
    "not_an_image": _on_images(lambda: base64.b64encode(_PAGE).decode(), lambda: _PAGE),
    "pixel_bomb": _on_images(lambda: base64.b64encode(_pixel_bomb()).decode(), _pixel_bomb),
}


def _huge_json(size_mb: int) -> Iterator[bytes]:
    yield b'{"created": 1, "data": [{"b64_json": "'
    for _ in range(size_mb):
        yield b"A" * _MB
    yield b'"}]}'


@lru_cache(maxsize=2)
def _gzip_of_zeros(size_mb: int) -> bytes:
    packer = zlib.compressobj(level=1, wbits=31)
    return b"".join([*(packer.compress(_ZEROS) for _ in range(size_mb)), packer.flush()])
