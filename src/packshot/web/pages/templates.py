"""Prompt templates: the list, and one of them to be written, tried on products, saved as a draft or for use,
put in use and taken back; what differs between its versions, and what came of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from packshot import catalogue, preferences
from packshot.catalogue import prompts, templates
from packshot.catalogue.products import ProductRow
from packshot.catalogue.templates import (
    GENERAL,
    LabelMoved,
    MoveRow,
    Overtaken,
    TemplateRow,
    VersionRow,
)
from packshot.flows import wording
from packshot.flows.wording import Survey, Trial
from packshot.kernel.differences import Stretch, word_by_word
from packshot.kernel.errors import BadInput
from packshot.reports import wordings
from packshot.reports.wordings import Result
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.controls import Tab
from packshot.web.security import actor_of, needs

VERSIONS_SHOWN = 20
# More are not offered to be compared: nobody picks one of hundreds from a list.
VERSIONS_OFFERED = 200
ATTRIBUTES_SHOWN = 8
# What each fact is, for the buttons that write its placeholder.
FACTS = {
    "name": "The product's name",
    "sku": "Its SKU",
    "description": "Its description, up to 4,000 characters",
    "category": "The last level of its category",
    "category_path": "Its whole category, such as Food > Oils",
    "brand_style": "The site's own setting, the same for every product",
}
assert FACTS.keys() == set(prompts.FIELDS)

_form_or_page = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A button that writes a placeholder."""

    label: str
    inserts: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A product that a wording can be tried on."""

    sku: str
    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """A way in which copies of its images come into their shape."""

    value: str
    label: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """A wording, filled in for the product that is chosen, or for ten different ones."""

    ten: bool
    products: tuple[Tried, ...]
    attributes: tuple[str, ...]  # that these products have
    sought: str  # what was looked for and is nowhere
    problems: tuple[str, ...]  # what keeps the text from being a template
    trial: Trial | None = None
    survey: Survey | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in the editor, what its writer saw, and what is wrong with it, by field."""

    text: str
    based_on: int = 0  # the newest version
    in_use: int = 0  # the one in production
    version: int = 0  # whose wording this is, unchanged; 0: somebody's own
    said: str = ""  # which one that is, in words
    name: str = ""
    category: str = ""
    problems: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("name", "category", "text"), ""))
    theirs: VersionRow | None = None  # the version that somebody saved meanwhile
    moved: MoveRow | None = None  # or the one that somebody put in use


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a template's history: a version with what came of it, or a move of the label."""

    at: datetime
    by_name: str | None
    version: VersionRow | None = None
    at_once: bool = False  # it was put in use as it was saved
    result: Result | None = None
    move: MoveRow | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a template, the newest first."""

    lines: tuple[Line, ...]
    before: int | None  # older ones begin behind this version; None: that is all
    most: int  # the results are of so many requests of each version
    which: str  # and of which of them: the real ones, or simulated ones


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions, word by word."""

    before: int
    after: int
    offered: tuple[int, ...]
    stretches: tuple[Stretch, ...]
    removed: int  # words
    added: int


@needs("read")
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every template with the wording that is in use."""
    archived = request.GET.get("archived") == "1"
    used, put_away = templates.templates(), templates.templates(archived=True)
    return render(
        request,
        "pages/templates.html",
        {
            "templates": put_away if archived else used,
            "archived": archived,
            "general": GENERAL,
            "tabs": (
                Tab("In use", reverse("templates"), len(used), not archived),
                Tab("Archived", reverse("templates") + "?archived=1", len(put_away), archived),
            ),
        },
    )


@needs("edit_templates")
@_form_or_page
def new(request: HttpRequest) -> HttpResponse:
    """A template that is not there yet."""
    if request.method != "POST":
        return _editor(request, None, Draft(""))
    text = wording.typed(request.POST.get("text", ""))
    name, category = request.POST.get("name", ""), request.POST.get("category", "")
    try:
        made = wording.create(name, text, actor_of(request), category_path=category or None)
    except BadInput as problem:
        return _editor(request, None, _wrong(problem, text, name=name, category=category), status=422)
    return answer(request, Toast("Template created"), then=reverse("template", args=[made]))


@needs("read")
@require_safe
def template(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """One template, as it is now. `version` puts another wording into the editor, to be written on."""
    found = _found(template_id)
    return _editor(request, found, _as_it_stands(found, _number(request.GET.get("version"))))


@needs("edit_templates")
@_form_or_page
def save(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Store a wording as the newest version, for use or as a draft, unless somebody came in between."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    found = _found(template_id)
    text, use = wording.typed(request.POST.get("text", "")), request.POST.get("use") == "1"
    based_on, in_use = _number(request.POST.get("based_on")), _number(request.POST.get("in_use"))
    try:
        saved = wording.rewrite(
            template_id, text, actor_of(request), based_on=based_on, in_use=in_use, use=use
        )
    except Overtaken as overtaken:
        draft = Draft(text, overtaken.newest.number, in_use, theirs=overtaken.newest)
        return _editor(request, _found(template_id), draft, status=422)
    except LabelMoved as moved:
        draft = Draft(text, based_on, moved.move.to_number, moved=moved.move)
        return _editor(request, _found(template_id), draft, status=422)
    except BadInput as problem:
        draft = _wrong(problem, text, based_on=based_on, in_use=in_use)
        return _editor(request, found, draft, status=422)
    if not use:
        return answer(request, Toast("Draft saved" if saved.draft else "It is saved already"), then=here)
    return _used(request, saved, f"Version {saved.number} in use", in_use)


@needs("edit_templates")
@_form_or_page
def use(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Put a version in use, a draft or an earlier one: by the list of versions, and by Undo."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    _found(template_id)
    number, in_use = _number(request.POST.get("version")), _number(request.POST.get("in_use"))
    try:
        now, before = wording.use(template_id, number, actor_of(request), in_use=in_use)
    except LabelMoved as moved:
        who = moved.move.by_name or "Somebody"
        told = f"{who} put version {moved.move.to_number} in use meanwhile. Nothing was changed"
        return answer(request, Toast(told, tone="bad"), [_page(request, _found(template_id))], then=here)
    except BadInput as problem:
        return refuse(request, problem, then=here)
    return _used(request, now, f"Version {number} in use", before)


@needs("edit_templates")
@_form_or_page
def archive(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Put a template away, or bring it back."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    _found(template_id)
    restoring = request.POST.get("archived") == "0"
    act = wording.restore if restoring else wording.archive
    try:
        act(template_id, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=here)
    back = Undo(reverse("template_archive", args=[template_id]), {"archived": "1" if restoring else "0"})
    toast = Toast("Template restored" if restoring else "Template archived", undo=back)
    return answer(request, toast, [_page(request, _found(template_id))], then=here)


@needs("edit_templates")
@_form_or_page
def fit(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Say how copies of this template's images come into the shape that was asked for."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    before = _found(template_id).shape_fit
    try:
        changed = wording.set_shape_fit(template_id, request.POST.get("shape_fit", ""), actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=here)
    back = Undo(reverse("template_fit", args=[template_id]), {"shape_fit": before})
    toast = Toast("Shape saved", undo=back) if changed else Toast("Shape is saved already")
    return answer(request, toast, [_page(request, _found(template_id))], then=here)


@needs("read")
@_form_or_page
def preview(request: HttpRequest) -> HttpResponse:
    """A wording as it is being written, tried on a product. Changes nothing."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("templates"))
    shown = _preview(
        request.POST.get("text", ""),
        chosen=request.POST.get("product", ""),
        sought=request.POST.get("q", ""),
        category=request.POST.get("category", ""),
        ten=request.POST.get("on") == "ten",
    )
    return render(request, "live/template_preview.html", {"preview": shown})


# -- the pages' values --------------------------------------------------------------------------------


def _found(template_id: UUID) -> TemplateRow:
    found = templates.template_by_id(template_id)
    if found is None:
        raise Http404
    return found


def _editor(
    request: HttpRequest, row: TemplateRow | None, draft: Draft, *, status: int = 200
) -> HttpResponse:
    name = "pages/template.html" if row else "pages/template_new.html"
    return render(request, name, _context(request, row, draft), status=status)


def _as_it_stands(row: TemplateRow, number: int = 0) -> Draft:
    """What the editor opens with: the version that was asked for, or else the draft, or what is in use."""
    if number not in (0, row.number, row.draft):
        found = templates.version(row.id, number)
        if found is not None:
            said = f"Version {number}, to write on from"
            return Draft(found.text, row.newest, row.number, number, said)
    if row.draft and row.draft_text is not None and number != row.number:
        return Draft(row.draft_text, row.newest, row.number, row.draft, f"Version {row.draft}, a draft")
    return Draft(row.text, row.newest, row.number, row.number, f"Version {row.number}, in use")


def _context(request: HttpRequest, row: TemplateRow | None, draft: Draft) -> dict[str, object]:
    category = row.category_path or "" if row else draft.category
    shown = _preview(
        draft.text,
        chosen=request.GET.get("product", ""),
        sought=request.GET.get("q", ""),
        category=category,
        ten=request.GET.get("on") == "ten",
    )
    context: dict[str, object] = {
        "template": row,
        "draft": draft,
        "preview": shown,
        "category": category,
        "placeholders": _placeholders(shown),
        "categories": templates.free_categories() if row is None else (),
        "longest": prompts.PROMPT_CHARS,
        "may_edit": actor_of(request).may("edit_templates"),
        "may_read_costs": actor_of(request).may("read_costs"),
    }
    if row is not None:
        history = _history(row, _number(request.GET.get("before")) or None)
        texts = {line.version.number: line.version.text for line in history.lines if line.version}
        texts |= {row.number: row.text, draft.version: draft.text}
        context |= {
            "fits": _fits(row),
            "history": history,
            "difference": _difference(
                row, texts, _number(request.GET.get("from")), _number(request.GET.get("to"))
            ),
        }
    return context


def _history(row: TemplateRow, before: int | None) -> History:
    """Versions and moves of the label in one list; `before` goes on behind a version."""
    found = templates.versions(row.id, VERSIONS_SHOWN + 2, upto=before)
    newer = found.pop(0) if before and found else None
    shown = found[:VERSIONS_SHOWN]
    more = len(found) > len(shown)
    moves = templates.moves(row.id, since=shown[-1].at if more else None, until=newer.at if newer else None)
    results = wordings.results([each.id for each in shown])
    saved = {(each.number, each.at) for each in shown}
    at_once = {each.to_number: each for each in moves if (each.to_number, each.at) in saved}
    lines = [
        Line(each.at, each.by_name, move=each) for each in moves if (each.to_number, each.at) not in saved
    ]
    for each in shown:
        move = at_once.get(each.number)
        # The move knows who it was at the command line, too.
        by_name = move.by_name if move else each.by_name
        lines.append(Line(each.at, by_name, each, move is not None, results.get(each.id)))
    return History(
        tuple(sorted(lines, key=lambda line: line.at, reverse=True)),
        shown[-1].number if more else None,
        wordings.most_of_each(len(shown)),
        ", simulated"
        if any(each.simulated for each in results.values())
        else ", the real ones"
        if results
        else "",
    )


def _difference(row: TemplateRow, texts: Mapping[int, str], before: int, after: int) -> Difference | None:
    """Two versions: those asked for; else the draft beside what is in use, or that beside the one before."""
    if row.newest == 1:
        return None
    after = after if 1 <= after <= row.newest else row.draft or row.number
    if not 1 <= before <= row.newest:
        before = row.number if after != row.number else row.number - 1 or row.newest
    missing = {before, after} - texts.keys()
    texts = {**texts, **templates.texts(row.id, missing)} if missing else texts
    stretches = word_by_word(texts[before], texts[after])
    oldest = max(1, row.newest - VERSIONS_OFFERED + 1)
    return Difference(
        before,
        after,
        tuple(sorted({*range(oldest, row.newest + 1), before, after}, reverse=True)),
        stretches,
        removed=_words(stretches, "removed"),
        added=_words(stretches, "added"),
    )


def _words(stretches: Sequence[Stretch], kind: str) -> int:
    return sum(len(each.text.split()) for each in stretches if each.kind == kind)


def _fits(row: TemplateRow) -> tuple[Fit, ...]:
    site = {"crop": "crop", "pad": "pad", "keep": "keep it as it came"}[preferences.get("shape_fit")]
    labels = {"": f"As the site says: {site}", "crop": "Crop what is too much", "pad": "Pad what lacks"}
    return tuple(Fit(value, label, value == row.shape_fit) for value, label in labels.items())


def _page(request: HttpRequest, row: TemplateRow) -> tuple[str, dict[str, object]]:
    """The whole page, drawn again in its place."""
    return "live/template_page.html", _context(request, row, _as_it_stands(row))


def _used(request: HttpRequest, now: TemplateRow, words: str, before: int | None) -> HttpResponse:
    """A version is in use. Undo puts the one before in use again, unless somebody moved the label since."""
    undo = None
    if before and before != now.number:
        values = {"version": str(before), "in_use": str(now.number)}
        undo = Undo(reverse("template_use", args=[now.id]), values)
    here = reverse("template", args=[now.id])
    return answer(request, Toast(words, undo=undo), [_page(request, now)], then=here)


def _wrong(
    problem: BadInput, text: str, *, based_on: int = 0, in_use: int = 0, name: str = "", category: str = ""
) -> Draft:
    draft = Draft(text, based_on, in_use, name=name, category=category)
    draft.problems[problem.field if problem.field in draft.problems else "text"] = str(problem)
    return draft


def _preview(text: str, *, chosen: str, sought: str, category: str, ten: bool) -> Preview:
    """`text` for the product that is chosen, or else for the first that fits; or for ten different ones."""
    text, sought = wording.typed(text), sought.strip()[:100]
    problems = tuple(prompts.problems(text)) if text else ()
    if ten:
        survey = wording.survey(text, category or None)
        return Preview(
            ten, (), _attributes([each.product for each in survey.trials]), "", problems, survey=survey
        )
    found = templates.products_to_try(sought, category_path=None if sought else category or None)
    nowhere = sought if sought and not found else ""
    if nowhere or (category and not found):
        found = templates.products_to_try(category_path=None)
    product = next((each for each in found if each.sku == chosen), None)
    if product is None and chosen and not sought:
        product = _by_sku(chosen)
        found = [product, *found[:-1]] if product else found
    product = product or next(iter(found), None)
    tried = tuple(Tried(each.sku, each.name, each == product) for each in found)
    trial = wording.try_on(text, product) if text and product else None
    return Preview(ten, tried, _attributes(found), nowhere, problems, trial)


def _attributes(products: Sequence[ProductRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in products for name in each.attributes))


def _by_sku(sku: str) -> ProductRow | None:
    try:
        return catalogue.by_sku([sku])[0]
    except BadInput:
        return None


def _placeholders(shown: Preview) -> tuple[Placeholder, ...]:
    """The facts of every product, and attributes that the products at hand have."""
    facts = [Placeholder(name, f"{{{{{name}}}}}", meaning) for name, meaning in FACTS.items()]
    return (
        *facts,
        *(
            Placeholder(name, f"{{{{attribute:{name}}}}}", f"Its attribute {name}")
            for name in [each for each in shown.attributes if not set(each) & set("{}|")][:ATTRIBUTES_SHOWN]
        ),
    )


def _number(text: str | None) -> int:
    """A version's number as an address or a form says it; 0: it says none."""
    return int(text) if text and text.isdecimal() and len(text) < 9 else 0
