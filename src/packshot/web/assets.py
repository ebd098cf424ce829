"""The site's own files, read once at start and served from memory under an address that changes with them.

There is nothing to collect, build or keep in step: the address holds a hash of the whole tree, so a browser
may keep every file for ever, and a new version of Packshot can never be painted with an old style sheet.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import brotli
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from packshot.web.addresses import address_of

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"

# The style sheet is written in parts, by subject, and served as one file in this order. Layers decide what
# wins, so a page's part need not know of the others.
STYLES = (
    "base",
    "shell",
    "parts",
    "controls",
    "charts",
    "overview",
    "queue",
    "products",
    "attention",
    "review",
    "product",
    "imports",
    "settings",
    "budgets",
    "providers",
    "doors",
    "small",
)
# What one page alone needs, in sheets of their own, which it links after that one.
PAGE_STYLES = ("across", "compare", "history", "style", "templates")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

# The script of every page is written in modules, by subject, and served as one file, each after those that it
# imports: ten files took a sixth of the time to the first paint. The last is the one that others import.
SCRIPTS = ("ages", "toasts", "forms", "keeps", "keys", "live", "palette", "rows", "tips", "packshot")
_IMPORT = re.compile(r'^import (\{[^}]+\}) from "\./([a-z]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const (\w+))", re.MULTILINE)
_EXPORT_AGAIN = re.compile(r'^export (\{[^}]+\}) from "\./([a-z]+)\.js";$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served. `zipped` and `brotli` are None where they are not smaller."""

    content: bytes
    zipped: bytes | None
    brotli: bytes | None
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """Every file by its path, such as `fonts/geist.woff2`, and the hash of them all."""

    version: str
    by_path: dict[str, Asset]


@cache
def assets() -> Assets:
    """The files of `web/static` whose kind a browser is given."""
    found = [(path, file.read_bytes()) for path, file in _walk(files(__package__).joinpath("static"), "")]
    found = [(path, content) for path, content in found if path.removesuffix(".js") not in SCRIPTS]
    found += [("packshot.css", _style_sheet(*STYLES)), ("packshot.js", _script(*SCRIPTS))]
    found += [(f"{name}.css", _style_sheet(name)) for name in PAGE_STYLES]
    digest = hashlib.sha256()
    by_path = {}
    for path, content in sorted(found):
        media_type = MEDIA_TYPES.get(path[path.rfind(".") :])
        if media_type is None:
            continue
        digest.update(path.encode() + b"\0" + content)
        by_path[path] = _asset(content, media_type)
    return Assets(digest.hexdigest()[:16], by_path)


def _asset(content: bytes, media_type: str) -> Asset:
    if not media_type.startswith("text/") and media_type != "image/svg+xml":
        return Asset(content, None, None, media_type)  # pictures and fonts are compressed already
    zipped, small = gzip.compress(content, 9, mtime=0), brotli.compress(content, quality=11)
    return Asset(
        content,
        zipped if len(zipped) < len(content) else None,
        small if len(small) < len(content) else None,
        media_type,
    )


def _style_sheet(*parts: str) -> bytes:
    """These parts as one file, without comments and indentation."""
    folder = files(__package__).joinpath("styles")
    text = "".join(folder.joinpath(f"{name}.css").read_text("utf-8") for name in parts)
    return re.sub(r"\n\s*", "\n", _COMMENT.sub("", text)).strip().encode()


def _script(*modules: str) -> bytes:
    """These modules as one. Each keeps its names to itself, and gives the others what it exports."""
    folder = files(__package__).joinpath("static")
    parts = []
    for name in modules:
        text = folder.joinpath(f"{name}.js").read_text("utf-8")
        text = _IMPORT.sub(r"const \1 = $\2;", text)
        if name == modules[-1]:
            text = _EXPORT_AGAIN.sub(r"export const \1 = $\2;", text)
        else:
            given = ", ".join(_EXPORT.findall(text))
            text = f"const ${name} = (() => {{\n{_EXPORT.sub('', text)}\nreturn {{ {given} }};\n}})();\n"
        if re.search(r"^(?:import|export)\b(?! const \{)", text, re.MULTILINE):
            raise ValueError(f"web/static/{name}.js imports or exports in a way that _script does not know")
        parts.append(text)
    return "".join(parts).encode()


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
    return address_of("static", assets().version, path)


@require_safe
def serve(request: HttpRequest, version: str, path: str) -> HttpResponse:
    """One file. A page from before an upgrade asks for an old version and gets today's file, uncached."""
    asset = assets().by_path.get(path)
    if asset is None:
        raise Http404
    accepted = request.headers.get("Accept-Encoding", "")
    encoded = {"br": asset.brotli, "gzip": asset.zipped}
    chosen = next((name for name, content in encoded.items() if content and name in accepted), None)
    response = HttpResponse(
        (encoded[chosen] if chosen else None) or asset.content, content_type=asset.media_type
    )
    if chosen:
        response["Content-Encoding"] = chosen
    if asset.zipped:
        patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = FOR_EVER if version == assets().version else "no-cache"
    return response
