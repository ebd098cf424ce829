"""What every adapter asks of a call: did it leave, how long to wait, is this an image."""

import re
import time
from collections.abc import Awaitable, Mapping
from email.utils import parsedate_to_datetime

from packshot.imaging.header import read_header
from packshot.kernel.errors import BadAnswer, Misconfigured, ProviderError, TryLater, Unsure
from packshot.providers.contract import GeneratedImage
from packshot.providers.http import Answer, Cut, Deadline, NotSent, Redirected, TooLarge
from packshot.providers.redact import redacted, scrubbed

LONGEST_WAIT_S = 900.0
_UNREACHABLE_WAIT_S = 30.0
_WAIT_IN_WORDS = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)", re.IGNORECASE)
_WAIT_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


async def paid(call: Awaitable[Answer]) -> Answer:
    """The complete answer to a paid request, or the ProviderError that says what is known without one."""
    try:
        return await call
    except NotSent as error:
        raise TryLater(str(error), after_s=_UNREACHABLE_WAIT_S, kind="unreachable") from error
    except Deadline as error:
        raise Unsure(str(error), kind="timeout") from error
    except Cut as error:
        raise Unsure(str(error), kind="cut_off") from error
    except TooLarge as error:
        if 200 <= error.status < 300:
            raise BadAnswer(str(error), kind="bad_answer") from error
        raise Unsure(str(error), kind="bad_answer") from error
    except Redirected as error:
        # 303 may mean "done, look there". The others say that this address did nothing with the request.
        if error.status == 303:
            raise Unsure(str(error), kind="bad_answer") from error
        raise TryLater(f"{error} Check the base URL.", after_s=LONGEST_WAIT_S, kind="unreachable") from error


def told_by(answer: Answer, trouble: ProviderError, *, key: str) -> ProviderError:
    """`trouble` with the answer it was read from, for keeping with the attempt."""
    trouble.request_id = trouble.request_id or request_id(answer, key=key)
    trouble.raw = redacted(answer, secrets=[key])
    return trouble


def request_id(answer: Answer, *, key: str) -> str | None:
    """The provider's own name for the call, for a question to its support."""
    # Whoever answers may write anything there, the key that it was sent included. Cut only after the key is
    # taken out: half of one would be found by nobody.
    named = scrubbed(answer.headers.get("x-request-id", "")[:4_000], secrets=[key])[:200]
    return named if named.isascii() and named else None


def told_at(answer: Answer) -> float:
    """When the provider answered, by its own clock, in Unix seconds; by ours where it does not say."""
    moment = _moment(answer.headers.get("date"))
    return time.time() if moment is None else moment


def usable_key(key: str, variable: str) -> str:
    """`key` as it can be sent in a header. Raises Misconfigured before anything leaves."""
    if not key:
        raise Misconfigured(f"{variable} is not set.", kind="bad_key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Misconfigured(f"{variable} holds characters that no key has.", kind="bad_key")
    return key


def wait_s(answer: Answer, *, default: float, message: str = "", asked: object = None) -> float:
    """How long the provider asks us to wait, in seconds, at most LONGEST_WAIT_S; else `default`.

    It may say so in a header, in `asked` (a field of its answer), or in the words of `message`.
    """
    hints = (
        _number(answer.headers.get("retry-after-ms"), scale=0.001),
        _number(answer.headers.get("retry-after")),
        _until(answer),
        _number(str(asked)),
        _in_words(message),
    )
    hint = next((hint for hint in hints if hint is not None), default)
    return min(max(hint, 0.0), LONGEST_WAIT_S)


def _number(text: str | None, *, scale: float = 1.0) -> float | None:
    if text is None or not re.fullmatch(r"\d+(?:\.\d+)?", text.strip(), re.ASCII):
        return None
    return float(text) * scale


def _until(answer: Answer) -> float | None:
    """Seconds from the answer's own date to the one it names: our clock may be wrong, and must not matter."""
    end = _moment(answer.headers.get("retry-after"))
    return None if end is None else end - told_at(answer)


def _moment(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _in_words(message: str) -> float | None:
    found = _WAIT_IN_WORDS.search(message)
    if found is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _WAIT_PART.findall(found[1]))


def read_image(content: bytes) -> GeneratedImage:
    """The image with the size and type that its own header states. Raises BadImage."""
    header = read_header(content)
    return GeneratedImage(content, header.media_type, header.width_px, header.height_px)


def members(value: object) -> Mapping[str, object]:
    """`value` when it is a JSON object, else nothing: a stranger's answer may be anything."""
    return value if isinstance(value, dict) else {}


def words(value: object) -> str:
    """`value` when it is text, else nothing."""
    return value if isinstance(value, str) else ""
