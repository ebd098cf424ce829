"""Keeps secrets out of logs and stored errors: by value for the secrets we hold, by shape for the rest."""

import logging
import os
import re

# Names of environment variables whose values must never be written anywhere.
SECRET_VARIABLES = (
    "OPENAI_API_KEY",
    "MIDJOURNEY_API_KEY",
    "STABILITY_API_KEY",
    "FLUX_API_KEY",
    "PACKSHOT_SECRET_KEY",
    "DATABASE_URL",
    "BLOB_URL",
)
_SHAPES = (
    (
        re.compile(
            r"(?i)\b(authorization|x-key|mj-api-secret|cookie|set-cookie)(\W{1,4})(bearer\s+)?[^\s\"',}]+"
        ),
        r"\1\2***",
    ),
    # Where a provider may report one attempt: whoever has the whole address may, too.
    (re.compile(r"(/callbacks/[0-9a-fA-F-]{36}/)[0-9a-zA-Z_-]+"), r"\1***"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), "sk-***"),
    # The query of a link is where clouds put the signature.
    (re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]+"), r"\1?***"),
    (re.compile(r"(postgres(?:ql)?://[^:@/\s]+):[^@\s]+@"), r"\1:***@"),
)


def redact(text: str) -> str:
    """`text` without the secrets of this process's environment and without anything shaped like one."""
    for name in SECRET_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= 6:
            text = text.replace(value, f"<{name}>")
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


class Redact(logging.Filter):
    """Rewrites each record's finished message, and its traceback, before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
