"""Prompt templates: the list, and one of them to be written, tried on a product and taken back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from packshot import catalogue, preferences
from packshot.catalogue import prompts, templates
from packshot.catalogue.products import ProductRow
from packshot.catalogue.prompts import Piece, Rendered
from packshot.catalogue.templates import GENERAL, Overtaken, TemplateRow, VersionRow
from packshot.flows import wording
from packshot.kernel.errors import BadInput
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.security import actor_of, needs

VERSIONS_SHOWN = 20
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
class Tab:
    """One of the two lists."""

    label: str
    url: str
    count: int
    current: bool
    tone: str = ""


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
    """A wording, filled in for one product: in pieces that say where they come from."""

    products: tuple[Tried, ...]
    attributes: tuple[str, ...]  # that these products have
    sought: str  # what was looked for and is nowhere
    problems: tuple[str, ...]  # what keeps the text from being a template
    pieces: tuple[Piece, ...] = ()
    missing: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()
    length: int = 0  # of the prompt as it would be sent


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in the editor, and what is wrong with it, by field."""

    text: str
    based_on: int = 0
    name: str = ""
    category: str = ""
    problems: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("name", "category", "text"), ""))
    theirs: TemplateRow | None = None  # the version that somebody saved meanwhile


@needs("read")
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every template with its newest wording."""
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
    """One template, as it is now."""
    found = _found(template_id)
    return _editor(request, found, Draft(found.text, found.number))


@needs("edit_templates")
@_form_or_page
def save(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Store a wording as the newest version, unless somebody else's came in between."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    found = _found(template_id)
    text, based_on = wording.typed(request.POST.get("text", "")), _number(request, "based_on")
    try:
        saved = wording.rewrite(template_id, text, actor_of(request), based_on=based_on)
    except Overtaken as overtaken:
        newest = overtaken.newest
        return _editor(request, newest, Draft(text, newest.number, theirs=newest), status=422)
    except BadInput as problem:
        return _editor(request, found, _wrong(problem, text, based_on=based_on), status=422)
    return _saved(request, saved, "Template saved")


@needs("edit_templates")
@_form_or_page
def again(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Make an older wording the newest version: by the list of versions, and by Undo."""
    here = reverse("template", args=[template_id])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    _found(template_id)
    number, based_on = _number(request, "version"), _number(request, "based_on")
    try:
        saved = wording.use_again(template_id, number, actor_of(request), based_on=based_on)
    except Overtaken as overtaken:
        newest = overtaken.newest
        who = newest.by_name or "somebody"
        told = f"Version {newest.number} came from {who} meanwhile. Look at it first."
        return refuse(request, told, then=here)
    except BadInput as problem:
        return refuse(request, problem, then=here)
    return _saved(request, saved, f"Version {number} restored")


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


def _context(request: HttpRequest, row: TemplateRow | None, draft: Draft) -> dict[str, object]:
    category = row.category_path or "" if row else draft.category
    shown = _preview(
        draft.text,
        chosen=request.GET.get("product", ""),
        sought=request.GET.get("q", ""),
        category=category,
    )
    return {
        "template": row,
        "draft": draft,
        "preview": shown,
        "category": category,
        "placeholders": _placeholders(shown),
        "versions": _versions(row),
        "categories": templates.free_categories() if row is None else (),
        "longest": prompts.PROMPT_CHARS,
        "may_edit": actor_of(request).may("edit_templates"),
        "fits": _fits(row) if row else (),
    }


def _versions(row: TemplateRow | None) -> Sequence[VersionRow]:
    return templates.versions(row.id, VERSIONS_SHOWN) if row else ()


def _fits(row: TemplateRow) -> tuple[Fit, ...]:
    site = {"crop": "crop", "pad": "pad", "keep": "keep it as it came"}[preferences.get("shape_fit")]
    labels = {"": f"As the site says: {site}", "crop": "Crop what is too much", "pad": "Pad what lacks"}
    return tuple(Fit(value, label, value == row.shape_fit) for value, label in labels.items())


def _page(request: HttpRequest, row: TemplateRow) -> tuple[str, dict[str, object]]:
    """The whole page, drawn again in its place."""
    return "live/template_page.html", _context(request, row, Draft(row.text, row.number))


def _saved(request: HttpRequest, saved: TemplateRow, words: str) -> HttpResponse:
    undo = None
    if saved.number > 1:
        undo = Undo(
            reverse("template_again", args=[saved.id]),
            {"version": str(saved.number - 1), "based_on": str(saved.number)},
        )
    return answer(
        request, Toast(words, undo=undo), [_page(request, saved)], then=reverse("template", args=[saved.id])
    )


def _wrong(problem: BadInput, text: str, *, based_on: int = 0, name: str = "", category: str = "") -> Draft:
    draft = Draft(text, based_on, name, category)
    draft.problems[problem.field if problem.field in draft.problems else "text"] = str(problem)
    return draft


def _preview(text: str, *, chosen: str, sought: str, category: str) -> Preview:
    """`text` for the product that is chosen, or else for the first that fits."""
    text, sought = wording.typed(text), sought.strip()[:100]
    found = templates.products_to_try(sought, category_path=None if sought else category or None)
    nowhere = sought if sought and not found else ""
    if nowhere or (category and not found):
        found = templates.products_to_try(category_path=None)
    product = next((each for each in found if each.sku == chosen), None)
    if product is None and chosen and not sought:
        product = _by_sku(chosen)
        found = [product, *found[:-1]] if product else found
    product = product or next(iter(found), None)
    if product is None:
        return Preview((), (), nowhere, tuple(prompts.problems(text)) if text else ())
    tried = tuple(Tried(each.sku, each.name, each.sku == product.sku) for each in found)
    attributes = tuple(dict.fromkeys(name for each in found for name in each.attributes))
    if not text:
        return Preview(tried, attributes, nowhere, ())
    pieces, rendered = wording.show(text, product)
    return Preview(
        tried,
        attributes,
        nowhere,
        tuple(prompts.problems(text)),
        pieces,
        _lacking(pieces, rendered),
        rendered.shortened,
        len(rendered.prompt),
    )


def _lacking(pieces: Sequence[Piece], rendered: Rendered) -> tuple[str, ...]:
    """What this product lacks: a name that no product can have is the template's problem, told as such."""
    known = {each.name for piece in pieces for each in prompts.placeholders(piece.text) if each.known}
    return tuple(name for name in rendered.missing if name in known)


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


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 9 else 0
