"""Where providers report by themselves. Verifies, stores, answers; a worker looks into it.

No session, no form token: the address itself is the right, one for each paid call and beyond guessing.
"""

import logging
import threading
import time
from collections import Counter
from uuid import UUID

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from packshot.flows import callbacks
from packshot.web.security import needs
from packshot.web.uploads import was_cut

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0


class Refusals:
    """Counts what is turned away and says so at most once a minute: whoever knocks often fills no log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._said_at = float("-inf")

    def note(self, why: str) -> None:
        with self._lock:
            self._counts[why] += 1
            now = time.monotonic()
            if now - self._said_at < SAY_EVERY_S:
                return
            self._said_at = now
            counts, self._counts = self._counts, Counter()
        log.warning("callbacks refused: %s", ", ".join(f"{count} {each}" for each, count in counts.items()))


refusals = Refusals()


@csrf_exempt
@needs("public")
@require_POST
def receive(request: HttpRequest, attempt_id: UUID, token: str) -> HttpResponse:
    """204 when it is stored, now or before. Anything else changed nothing."""
    body = _body(request)
    if body is None:
        return _refused("too large", 413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        outcome = callbacks.receive(attempt_id, token, body, headers)
    except DatabaseError as trouble:
        log.warning("a callback could not be stored, the provider will try again: %s", type(trouble).__name__)
        return _quietly(503)
    match outcome:
        case "stored":
            return HttpResponse(status=204)
        case "token":
            return _refused("with a wrong address", 404)
        case "signature":
            return _refused("with a wrong signature", 401)
        case "unknown":
            return _refused("of an unknown attempt", 404)


def _body(request: HttpRequest) -> bytes | None:
    """The raw body; None when it is larger than is taken, whatever its header says."""
    if was_cut(request):
        return None
    body: bytes = request.read(callbacks.BODY_BYTES + 1)
    return body if len(body) <= callbacks.BODY_BYTES else None


def _refused(why: str, status: int) -> HttpResponse:
    refusals.note(why)
    return _quietly(status)


def _quietly(status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    # Django would write the path, and with it a token, into the log at each refusal.
    setattr(response, "_has_been_logged", True)  # noqa: B010 - as django.utils.log asks for it
    return response
