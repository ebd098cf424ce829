"""Files that are an image and something else besides: an archive, a document, a page with a script.

What we serve is encoded anew, so nothing of it would ever leave. But no camera writes such a file: whoever
brings one is told so. A phone's photo may well have a film or a second picture behind it: that is none.
"""

import re
import struct

_PAGE = re.compile(rb"<(?:!doctype|html|script|svg|iframe|\?php)[\s>/]", re.IGNORECASE)
_PDF_WITHIN = 1024  # bytes; where readers look for its header
_ARCHIVE_END = b"PK\x05\x06"
_ARCHIVE_END_BYTES = 22
_COMMENT_BYTES = 65_535


def also(content: bytes) -> str | None:
    """What these bytes are besides an image, with its article; None: nothing that we know."""
    if b"%PDF-" in content[:_PDF_WITHIN]:
        return "a PDF"
    if _ends_as_archive(content):
        return "a ZIP archive"
    return "a web page or a script" if _PAGE.search(content) else None


def _ends_as_archive(content: bytes) -> bool:
    """By the record at the end of a ZIP, whose comment must reach to the last byte."""
    tail = content[-(_ARCHIVE_END_BYTES + _COMMENT_BYTES) :]
    at = tail.rfind(_ARCHIVE_END)
    if at < 0 or len(tail) < at + _ARCHIVE_END_BYTES:
        return False
    (comment,) = struct.unpack_from("<H", tail, at + 20)
    return at + _ARCHIVE_END_BYTES + int(comment) == len(tail)
