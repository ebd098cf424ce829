"""The site's own files, read once at start and served from memory under an address that changes with them.

There is nothing to collect, build or keep in step: the address holds a hash of the whole tree, so a browser
may keep every file for ever, and a new version of Packshot can never be painted with an old style sheet.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    zipped: bytes | None  # None: it does not get smaller
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """Every file by its path, such as `fonts/geist.woff2`, and the hash of them all."""

    version: str
    by_path: dict[str, Asset]


@cache
def assets() -> Assets:
    """The files of `web/static` whose kind a browser is given."""
    digest = hashlib.sha256()
    by_path = {}
    for path, file in sorted(_walk(files(__package__).joinpath("static"), "")):
        media_type = MEDIA_TYPES.get(path[path.rfind(".") :])
        if media_type is None:
            continue
        content = file.read_bytes()
        digest.update(path.encode() + b"\0" + content)
        zipped = gzip.compress(content, 9, mtime=0)
        by_path[path] = Asset(content, zipped if len(zipped) < len(content) * 0.9 else None, media_type)
    return Assets(digest.hexdigest()[:16], by_path)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        found += _walk(entry, f"{path}/") if entry.is_dir() else [(path, entry)]
    return found


def static(path: str) -> str:
    """The address of one of our files; a name that does not exist is a mistake in a template."""
    if path not in assets().by_path:
        raise LookupError(f"web/static has no {path}")
    return reverse("static", args=[assets().version, path])


@require_safe
def serve(request: HttpRequest, version: str, path: str) -> HttpResponse:
    """One file. A page from before an upgrade asks for an old version and gets today's file, uncached."""
    asset = assets().by_path.get(path)
    if asset is None:
        raise Http404
    zipped = asset.zipped if "gzip" in request.headers.get("Accept-Encoding", "") else None
    response = HttpResponse(zipped or asset.content, content_type=asset.media_type)
    if zipped:
        response["Content-Encoding"] = "gzip"
    if asset.zipped:
        patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = FOR_EVER if version == assets().version else "no-cache"
    return response
