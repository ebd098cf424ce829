"""Files that browsers send: onto the disk in pieces, up to a limit, and never into memory whole."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest

# What a form holds beside its file: fields, their names, the boundaries between them.
_FRAME_BYTES = 1024 * 1024
_CUT = "packshot.cut"
# By the beginning of a path: what needs no more takes no more. Callbacks come from outside, from anybody.
_SHORTER = {"/callbacks/": 64 * 1024}

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class UpToLimit(FileUploadHandler):
    """Passes a file on until it is larger than the limit; then the form arrives without it."""

    def new_file(self, *arguments: Any, **more: Any) -> None:
        super().new_file(*arguments, **more)
        self._taken = 0
        if was_cut(self.request):
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._taken += len(raw_data)
        if self._taken > settings.UPLOAD_BYTES:
            _note(self.request)
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return


def was_cut(request: HttpRequest | None) -> bool:
    """Whether this request brought more than is taken."""
    return bool(getattr(request, "scope", {}).get(_CUT) or getattr(request, "upload_was_cut", False))


def up_to_limit(scope: _Scope, receive: _Receive) -> _Receive:
    """`receive`, of which nothing beyond the limit reaches the disk, whoever sends it and wherever to.

    The rest is read and dropped: a browser that is still sending shows no answer.
    """
    taken = 0
    path = str(scope.get("path", ""))
    most = next((most for start, most in _SHORTER.items() if path.startswith(start)), None)
    most = settings.UPLOAD_BYTES + _FRAME_BYTES if most is None else most

    async def limited() -> Mapping[str, Any]:
        nonlocal taken
        message = await receive()
        if message["type"] != "http.request":
            return message
        taken += len(message.get("body", b""))
        if taken <= most:
            return message
        scope[_CUT] = True
        return {**message, "body": b""}

    return limited


def _note(request: HttpRequest | None) -> None:
    setattr(request, "upload_was_cut", True)  # noqa: B010 - a fact about this one request
