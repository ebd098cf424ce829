"""What may be kept of an answer: facts, without keys, signatures or image bytes."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from packshot.providers.contract import RAW_LIMIT
from packshot.providers.http import Answer, NotJson

_GONE: Final = "[removed]"
# Compared in lower case, `-` and `_` taken out.
_SECRET_NAME = re.compile(
    r"authorization|(?:set)?cookie|password|signature"
    r"|(?:x|api|access)?(?:key|token)|(?:webhook|mjapi)?secret"
)
_LONGEST_VALUE = 4_000
# A run this long without a space is bytes in letters (base64, hex), not words.
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
_QUERY = re.compile(r"(https?://[^\s\"'<>?#]*)[?#][^\s\"'<>]*")
_USER_NAME = re.compile(r"(https?://)[^\s/@\"'<>]+@")
# Keys by their looks, for a provider that repeats one in its message; `sk-...` is OpenAI and Stability.
_KEY = re.compile(r"\b(?:sk|rk|pk|bfl)[-_][A-Za-z0-9_*.-]{4,}|\bBearer\s+[^\s\"',]+")
_DEEPEST = 20


def redacted(answer: Answer, *, secrets: Sequence[str] = ()) -> str:
    """The answer's body for keeping with the attempt, at most RAW_LIMIT characters."""
    try:
        document = answer.json()
    except NotJson:
        return scrubbed(answer.body[: 4 * RAW_LIMIT].decode("utf-8", "replace"), secrets=secrets)[:RAW_LIMIT]
    kept = json.dumps(_without_secrets(document, secrets, 0), ensure_ascii=False, default=str)
    return _storable(kept)[:RAW_LIMIT]


def scrubbed(text: str, *, secrets: Sequence[str] = ()) -> str:
    """`text` without keys, link signatures and long runs of encoded bytes; also for messages to people."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, _GONE)
    text = _USER_NAME.sub(rf"\1{_GONE}@", text)
    text = _QUERY.sub(rf"\1?{_GONE}", text)
    text = _BLOB.sub(lambda run: f"[{len(run.group()):,} characters]", text)
    return _storable(_KEY.sub(_GONE, text))


def _storable(text: str) -> str:
    """`text` as PostgreSQL takes it: no NUL, no half characters (JSON may hold both)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _without_secrets(value: object, secrets: Sequence[str], depth: int) -> object:
    if depth > _DEEPEST:
        return "[deeper]"
    if isinstance(value, Mapping):
        return {
            scrubbed(str(name)[:200], secrets=secrets): _kept(str(name), inner, secrets, depth)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner, secrets, depth + 1) for inner in value[:50]]
    if isinstance(value, str):
        # Megabytes of base64 are cut before a pattern looks at them.
        if len(value) > _LONGEST_VALUE:
            return f"[{len(value):,} characters]"
        return scrubbed(value, secrets=secrets)
    return value


def _kept(name: str, value: object, secrets: Sequence[str], depth: int) -> object:
    plain = name.lower().replace("-", "").replace("_", "")
    if plain == "b64json" and isinstance(value, str):
        return f"[{len(value):,} characters of base64]"
    if _SECRET_NAME.fullmatch(plain) and value is not None:
        return _GONE
    return _without_secrets(value, secrets, depth + 1)
