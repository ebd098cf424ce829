"""Prompt templates: tried on products, saved as a draft or for use, put in use and taken back."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from packshot import catalogue, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import Wording, prompts, templates
from packshot.catalogue.formats.text import cleaned
from packshot.catalogue.products import ProductRow
from packshot.catalogue.templates import TemplateRow
from packshot.kernel.errors import BadInput

# So many products are looked at for those to show, fewer where a wording has very many placeholders.
LOOKED_AT = 500
MOST_PLACES = 10_000
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """What a wording gives for one product."""

    product: ProductRow
    pieces: tuple[prompts.Piece, ...]
    rendered: prompts.Rendered

    @property
    def missing(self) -> tuple[str, ...]:
        """What this product lacks: a name that no product can have is the template's problem."""
        gaps = (each.text for each in self.pieces if each.kind == "missing")
        known = {each.name for gap in gaps for each in prompts.placeholders(gap) if each.known}
        return tuple(name for name in self.rendered.missing if name in known)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a wording gives for different products, those that lack something first."""

    trials: tuple[Trial, ...]
    looked_at: int
    lacking: int  # of those


def preview(template: str, product: ProductRow) -> prompts.Rendered:
    """The prompt that this product would get from the template's wording in production."""
    text = catalogue.template_by_name(template).text
    return prompts.render(text, facts_of(product), preferences.get("brand_style"))


def show(text: str, product: ProductRow) -> tuple[tuple[prompts.Piece, ...], prompts.Rendered]:
    """What `text`, saved or not, gives for this product: in pieces, and as it would be sent."""
    return prompts.shown(text, facts_of(product), preferences.get("brand_style"))


def try_on(text: str, product: ProductRow) -> Trial:
    """What `text`, saved or not, gives for this product."""
    return Trial(product, *show(text, product))


def survey(text: str, category_path: str | None) -> Survey:
    """What `text` gives for ten of the products that it is for, as different as there are: first those that
    lack something or are cut, then of each category and with each default."""
    places = max(1, len(prompts.placeholders(text)))
    found = templates.products_served(category_path, max(SHOWN, min(LOOKED_AT, MOST_PLACES // places)))
    style = preferences.get("brand_style")
    alike: dict[tuple[object, ...], list[Trial]] = {}
    for product in found:
        trial = Trial(product, *prompts.shown(text, facts_of(product), style))
        defaults = tuple(each.name for each in trial.pieces if each.kind == "default")
        key = (trial.missing, trial.rendered.shortened, defaults, product.category_path)
        alike.setdefault(key, []).append(trial)
    rows = sorted(alike.values(), key=lambda row: _rank(row[0]))
    chosen = [row[turn] for turn in range(SHOWN) for row in rows if turn < len(row)][:SHOWN]
    lacking = sum(len(row) for row in rows if row[0].missing)
    return Survey(tuple(sorted(chosen, key=_rank)), len(found), lacking)


def _rank(trial: Trial) -> tuple[int, int]:
    return -len(trial.missing), -len(trial.rendered.shortened)


def facts_of(product: ProductRow) -> prompts.ProductFacts:
    """What a prompt may say about this product."""
    return prompts.ProductFacts(
        name=product.name,
        sku=product.sku,
        description=product.description,
        category_path=tuple(part for part in product.category_path.split(" > ") if part),
        attributes=dict(product.attributes),
    )


def save(
    template: str, text: str, actor: Actor, *, category_path: str | None = None, use: bool = True
) -> Wording:
    """Store `text` as the template's newest version, for use or as a draft; the same text makes none."""
    _may(actor)
    if not 1 <= len(template.strip()) <= 120:
        raise BadInput("a template's name has 1 to 120 characters", field="name")
    with transaction.atomic():
        saved = catalogue.save_template(
            template.strip(),
            text,
            category_path=category_path,
            person_id=actor.id,
            by_name=actor.name,
            use=use,
        )
        audit(actor, "save template", saved.template, version=saved.number, used=use)
    return saved


def use_by_name(template: str, number: int, actor: Actor) -> int | None:
    """Put a version of the template called so in use. The one that was, or None when it was this one."""
    _may(actor)
    catalogue.template_by_name(template)  # or says which there are
    found = next(each for each in templates.templates() if each.name == template)
    return use(found.id, number, actor)[1]


# -- in the browser ------------------------------------------------------------------------------------


def create(name: str, text: str, actor: Actor, *, category_path: str | None) -> UUID:
    """Make a template. Raises BadInput naming the field that cannot be."""
    _may(actor)
    name = " ".join(cleaned(name).split())
    if not 1 <= len(name) <= 120:
        raise BadInput("a template's name has 1 to 120 characters", field="name")
    with transaction.atomic():
        made = templates.create_template(
            name, typed(text), category_path=category_path, person_id=actor.id, by_name=actor.name
        )
        audit(actor, "save template", name, version=1)
    return made


def rewrite(
    template_id: UUID,
    text: str,
    actor: Actor,
    *,
    based_on: int,
    in_use: int | None = None,
    use: bool = True,
) -> TemplateRow:
    """Store `text` as the newest version, for use or as a draft; the newest one's own text again makes none.

    Raises Overtaken when `based_on`, the version that the writer saw, is not the newest any more, and
    LabelMoved when `in_use`, the one that they saw in use, is so no more and theirs would take its place.
    """
    _may(actor)
    with transaction.atomic():
        saved = templates.add_version(
            template_id,
            typed(text),
            use=use,
            based_on=based_on,
            in_use=in_use,
            person_id=actor.id,
            by_name=actor.name,
        )
        if saved.made:
            audit(actor, "save template", saved.template.name, version=saved.version.number, used=use)
        elif saved.instead_of is not None:
            _told(actor, saved.template, saved.instead_of)
    return saved.template


def use(
    template_id: UUID, number: int, actor: Actor, *, in_use: int | None = None
) -> tuple[TemplateRow, int | None]:
    """Put a version in use, a draft or an earlier one, and say which it replaced; None: it was in use.

    Raises LabelMoved when `in_use`, the version that somebody saw in use, is so no more.
    """
    _may(actor)
    with transaction.atomic():
        now, before = templates.move_label(template_id, number, in_use=in_use, by_name=actor.name)
        if before is not None:
            _told(actor, now, before)
    return now, before


def _told(actor: Actor, template: TemplateRow, before: int) -> None:
    audit(actor, "use template version", template.name, version=template.number, instead_of=before)


def archive(template_id: UUID, actor: Actor) -> bool:
    """Put a template away; its prompts and versions stay. False: it was."""
    return _set_archived(template_id, actor, archived=True)


def restore(template_id: UUID, actor: Actor) -> bool:
    """Bring a template back. False: it was there. Raises BadInput when its name or category is taken."""
    return _set_archived(template_id, actor, archived=False)


def set_shape_fit(template_id: UUID, fit: str, actor: Actor) -> bool:
    """Say how copies of its images come into their shape: crop, pad, or empty for what the site says.

    False: it was so. Images that were asked for before keep what held then.
    """
    _may(actor)
    with transaction.atomic():
        changed = templates.set_shape_fit(template_id, fit)
        if changed:
            template = templates.template_by_id(template_id)
            assert template is not None, "it was just changed"
            audit(actor, "set shape fit", template.name, fit=fit or "site")
    return changed


def typed(text: str) -> str:
    """What somebody wrote into a form: line ends as everywhere else, nothing that cannot be stored."""
    return cleaned(text).strip()


def _set_archived(template_id: UUID, actor: Actor, *, archived: bool) -> bool:
    _may(actor)
    with transaction.atomic():
        changed = templates.set_archived(template_id, archived=archived)
        if changed:
            template = templates.template_by_id(template_id)
            assert template is not None, "it was just changed"
            audit(actor, "archive template" if archived else "restore template", template.name)
    return changed


def _may(actor: Actor) -> None:
    if not actor.may("edit_templates"):
        raise BadInput("your role may not change templates")
