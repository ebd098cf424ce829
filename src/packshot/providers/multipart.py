"""Forms (multipart/form-data), for providers that take pictures as files. Same parts, same bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Upload:
    """A part that is a file."""

    filename: str
    media_type: str
    content: bytes


Part = tuple[str, str | Upload]  # the field's name, and its text or its file


def form(parts: Sequence[Part]) -> tuple[bytes, str]:
    """A body of these parts, in order, and the content type that goes with it.

    It is a form also when no part is a file. httpx writes it; only the boundary is ours: made of the content,
    so that a request can be recorded and compared, and so that no content can hold its own boundary.
    """
    files = [(name, _file(value)) for name, value in parts]
    digest = hashlib.sha256()
    for name, (_, content, _) in files:
        digest.update(f"{name} {len(content)} ".encode())
        digest.update(content)
    media_type = f"multipart/form-data; boundary={digest.hexdigest()[:40]}"
    request = httpx.Request("POST", "https://form", files=files, headers={"content-type": media_type})
    return request.read(), media_type


def _file(value: str | Upload) -> tuple[str | None, bytes, str | None]:
    if isinstance(value, Upload):
        return value.filename, value.content, value.media_type
    return None, value.encode(), None
