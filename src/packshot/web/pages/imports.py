"""Catalogue files through the browser: sent, looked at in a dry run, applied, and kept in a history."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from packshot.accounts import Actor
from packshot.blobs import StoreDown, StoreFull
from packshot.catalogue import imports
from packshot.catalogue.formats import Format, RowProblem, load_mapping, shipped_mappings
from packshot.catalogue.imports import ImportRow
from packshot.catalogue.intake import Example
from packshot.events import Happening
from packshot.flows import uploads
from packshot.flows.import_catalogue import ImportPlan
from packshot.flows.uploads import Upload
from packshot.kernel.errors import BadInput
from packshot.web import live, words
from packshot.web.answers import Link, Toast, answer, refuse
from packshot.web.controls import Choice, Tab
from packshot.web.live import Topic
from packshot.web.security import actor_of, needs
from packshot.web.uploads import was_cut

SHOWN = 25
PROBLEMS_SHOWN = 100
EXAMPLES_SHOWN = 12
# A dry run is a promise about a catalogue that goes on changing: a day later it is worth nothing.
SEAL_S = 24 * 3600
_SALT = "packshot.import"

FORMATS = {
    "shopify": "Shopify product CSV",
    "woocommerce": "WooCommerce product CSV",
    "csv": "Table (CSV or TSV)",
    "json": "JSON",
    "jsonl": "JSON lines",
}
assert FORMATS.keys() == set(get_args(Format))


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The form as it was filled in, and what was wrong with it, by field."""

    formats: tuple[Choice, ...]
    mappings: tuple[Choice, ...]
    image_base: str
    problems: dict[str, str]
    most: str  # the largest file, in words

    @property
    def opened(self) -> bool:
        """Whether the options are of interest: somebody used them."""
        return bool(self.image_base) or any(each.chosen and each.value for each in self._options)

    @property
    def _options(self) -> tuple[Choice, ...]:
        return (*self.formats, *self.mappings)


@dataclass(frozen=True, slots=True)
class Problems:
    """One page of what is wrong with a file's rows."""

    rows: tuple[RowProblem, ...]
    tabs: tuple[Tab, ...]
    words: str  # "1 to 100 of 240"
    previous: str
    next: str
    unkept: int  # how many more there were than are kept


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A dry run as its page shows it."""

    plan: ImportPlan
    changes: tuple[Example, ...]
    new: tuple[Example, ...]
    button: str  # empty: nothing to import
    again: UUID | None  # the record, when this upload was imported already


@needs("read")
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """The files imported so far, and the form for the next one."""
    return _history(request, _form(), status=200)


@needs("edit_catalogue")
@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest) -> HttpResponse:
    """POST keeps a file; GET shows what importing it would do now, as often as it is asked for."""
    if request.method == "POST":
        return _keep(request)
    actor, sealed = actor_of(request), request.GET.get("file", "")
    if not sealed:
        return HttpResponseRedirect(reverse("imports"))
    try:
        upload = _opened(sealed, actor)
        found = uploads.plan(upload, actor)
    except BadInput as problem:
        return _history(request, _form(problem=problem), status=422)
    except (StoreDown, StoreFull) as trouble:
        return _history(request, _form(problem=BadInput(str(trouble), field="file")), status=503)
    return render(
        request,
        "pages/import_plan.html",
        {
            "foreseen": _foreseen(found, upload),
            "problems": _problems(request, found.problems, found.problem_count, file=sealed),
            "sealed": sealed,
            "format_name": FORMATS.get(upload.format or "", ""),
        },
    )


@needs("edit_catalogue")
@require_http_methods(["GET", "HEAD", "POST"])
def apply(request: HttpRequest) -> HttpResponse:
    """Import the file of a dry run. Sent twice, it is imported once."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("imports"))
    actor = actor_of(request)
    try:
        record_id = uploads.apply(_opened(request.POST.get("file", ""), actor), actor)
    except (BadInput, StoreDown) as problem:
        return refuse(request, problem, then=reverse("imports"))
    record = imports.by_id(record_id)
    assert record is not None, "it was just written"
    toast = Toast(
        f"{words.many(record.created + record.changed, 'product')} imported",
        link=Link(reverse("products"), "Show products"),
    )
    return answer(request, toast, then=reverse("import_record", args=[record_id]))


@needs("read")
@require_safe
def record(request: HttpRequest, record_id: UUID) -> HttpResponse:
    """One import: what it changed, and what was wrong with its rows."""
    found = imports.by_id(record_id)
    if found is None:
        raise Http404
    kept = imports.problems(record_id)
    return render(
        request,
        "pages/import_record.html",
        {
            "record": found,
            "format_name": FORMATS.get(found.format, found.format),
            "problems": _problems(request, kept, len(kept)),
        },
    )


# -- sending a file -------------------------------------------------------------------------------


def _keep(request: HttpRequest) -> HttpResponse:
    given = {name: request.POST.get(name, "").strip() for name in ("format", "mapping", "image_base")}
    # Before the field is asked for: of a file that is too large nothing arrived.
    if was_cut(request):
        problem = BadInput(
            f"The file is larger than {_size(settings.UPLOAD_BYTES)}. Split it, or have an administrator "
            "import it on the machine itself: packshot import FILE",
            field="file",
        )
        return _history(request, _form(given, problem), status=413)
    sent = request.FILES.get("file")
    if not isinstance(sent, TemporaryUploadedFile):
        return _history(request, _form(given, BadInput("Choose a file first.", field="file")), status=422)
    actor = actor_of(request)
    try:
        upload = uploads.keep(
            Path(sent.temporary_file_path()),
            sent.name or "",
            actor,
            format=given["format"] or None,
            mapping=given["mapping"] or None,
            image_base=given["image_base"] or None,
        )
    except BadInput as problem:
        return _history(request, _form(given, problem), status=422)
    except (StoreDown, StoreFull) as trouble:
        return _history(request, _form(given, BadInput(str(trouble), field="file")), status=503)
    address = reverse("import_plan") + "?" + urlencode({"file": _sealed(upload, actor)})
    return HttpResponseRedirect(address, status=303)


def _sealed(upload: Upload, actor: Actor) -> str:
    """The upload in a form that only this site can have made, for this person only."""
    carried = asdict(upload) | {"id": str(upload.id), "by": str(actor.id)}
    return signing.dumps(carried, salt=_SALT, compress=True)


def _opened(sealed: str, actor: Actor) -> Upload:
    try:
        carried = signing.loads(sealed, salt=_SALT, max_age=SEAL_S)
    except signing.SignatureExpired:
        raise BadInput("This dry run is older than a day. Send the file again.", field="file") from None
    except signing.BadSignature:
        raise BadInput("This dry run is not complete. Send the file again.", field="file") from None
    if carried.pop("by") != str(actor.id):
        raise BadInput("This dry run is somebody else's. Send the file yourself.", field="file")
    return Upload(**carried | {"id": UUID(carried["id"])})


def _form(given: dict[str, str] | None = None, problem: BadInput | None = None) -> UploadForm:
    given = given or {}
    chosen_format, chosen_mapping = given.get("format", ""), given.get("mapping", "")
    problems = dict.fromkeys(("file", "format", "mapping", "image_base"), "")
    if problem is not None:
        problems[problem.field if problem.field in problems else "file"] = str(problem)
    return UploadForm(
        formats=(
            Choice("", "Recognise it by itself", not chosen_format),
            *(Choice(value, label, value == chosen_format) for value, label in FORMATS.items()),
        ),
        mappings=(
            Choice("", "None: by the usual names", not chosen_mapping),
            *(
                Choice(name, f"{name}: {load_mapping(name).label}", name == chosen_mapping)
                for name in shipped_mappings()
            ),
        ),
        image_base=given.get("image_base", ""),
        problems=problems,
        most=_size(settings.UPLOAD_BYTES),
    )


# -- the pages' values ------------------------------------------------------------------------------


def _history(request: HttpRequest, form: UploadForm, *, status: int) -> HttpResponse:
    stream = live.address("imports")
    before = _uuid(request.GET.get("before", ""))
    rows = imports.newest(SHOWN + 1, before=before)
    shown = rows[:SHOWN]
    older = reverse("imports") + "?" + urlencode({"before": shown[-1].id}) if len(rows) > SHOWN else ""
    return render(
        request,
        "pages/imports.html",
        {
            "stream": stream,
            "form": form,
            "rows": shown,
            "rows_kept": SHOWN,
            "newest": before is None,
            "older": older,
            "newer": reverse("imports") if before else "",
        },
        status=status,
    )


def _foreseen(found: ImportPlan, upload: Upload) -> Foreseen:
    to_do = found.created + found.changed
    changes = tuple(each for each in found.examples if not each.created)
    new = tuple(each for each in found.examples if each.created)
    return Foreseen(
        plan=found,
        changes=changes[:EXAMPLES_SHOWN],
        new=new[:EXAMPLES_SHOWN],
        button=f"Import {words.many(to_do, 'product')}" if to_do else "",
        again=upload.id if imports.by_id(upload.id) else None,
    )


def _problems(request: HttpRequest, kept: Sequence[RowProblem], count: int, **query: str) -> Problems:
    """The page of problems that the address asks for; `query` is what else stands in it."""
    rejected = [each for each in kept if each.fatal_for_product]
    only_rejected = request.GET.get("show") == "rejected"
    rows = rejected if only_rejected else kept
    pages = max(1, -(-len(rows) // PROBLEMS_SHOWN))
    asked = request.GET.get("page", "")
    page = min(max(1, int(asked)), pages) if asked.isdecimal() and len(asked) < 6 else 1
    first = (page - 1) * PROBLEMS_SHOWN
    shown = tuple(rows[first : first + PROBLEMS_SHOWN])

    def address(page: int, show: str) -> str:
        more = {"show": show} if show else {}
        more |= {"page": str(page)} if page > 1 else {}
        return request.path + "?" + urlencode(query | more) + "#problems"

    show = "rejected" if only_rejected else ""
    return Problems(
        rows=shown,
        tabs=(
            Tab("All", address(1, ""), len(kept), not only_rejected),
            Tab("Rejected", address(1, "rejected"), len(rejected), only_rejected, "bad"),
        ),
        words=f"{words.count(first + 1)} to {words.count(first + len(shown))} of {words.count(len(rows))}",
        previous=address(page - 1, show) if page > 1 else "",
        next=address(page + 1, show) if page < pages else "",
        unkept=count - len(kept),
    )


def _size(count: int) -> str:
    megabytes = count / (1024 * 1024)
    return f"{megabytes:.0f} MB" if megabytes >= 1 else f"{words.count(count)} bytes"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# -- what the stream shows ------------------------------------------------------------------------


def _new_rows(happenings: Sequence[Happening]) -> list[ImportRow] | None:
    """The imports that happened, oldest first: they are put on top one by one."""
    ids = [UUID(each.subject) for each in happenings if (each.topic, each.kind) == ("catalogue", "imported")]
    rows = [row for row in map(imports.by_id, ids) if row is not None]
    return rows or None


live.offer(Topic("imports", "read", "live/imports.html", _new_rows))
