"""From a catalogue file to products: a plan that changes nothing, or everything in one transaction."""

import hashlib
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import cast, get_args
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import intake
from packshot.catalogue.formats import (
    CatalogueFile,
    FieldMapping,
    Format,
    RowProblem,
    load_mapping,
    open_catalogue,
    shipped_mappings,
)
from packshot.catalogue.formats.product import image_url
from packshot.catalogue.intake import Comparison, Example, Reading
from packshot.catalogue.models import ImportRecord, Product, PromptTemplate
from packshot.events import Happening
from packshot.kernel.errors import BadInput, PackshotError
from packshot.kernel.ids import uuid7


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What importing a file would do, or did."""

    file_name: str
    label: str  # what the file is, for people
    notes: tuple[str, ...]
    created: int
    changed: int
    unchanged: int
    rejected: int
    revived: int  # archived products that come back; counted as changed, too
    problem_count: int
    problems: tuple[RowProblem, ...]  # the first thousand
    examples: tuple[Example, ...]  # the first fifty: changes, then new products
    applied: bool
    id: UUID | None = None


class AppliedBefore(PackshotError):
    """An import under this id was applied already, and nothing was written now."""


def look(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    mapping: str | Path | None = None,
    image_base: str | None = None,
) -> str:
    """What this file is, in words. Raises BadInput where its first rows tell that it is unusable."""
    return _open(path, format, mapping, image_base).label


def plan(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    mapping: str | Path | None = None,
    image_base: str | None = None,
) -> ImportPlan:
    """What `apply` would do with this file now. Changes nothing. Raises BadInput for an unusable file."""
    source = _open(path, format, mapping, image_base)
    with transaction.atomic():
        read = _stage(source)
        found = intake.compare()
        transaction.set_rollback(True)
    return _described(source, read, found, record=None)


def apply(
    path: Path,
    actor: Actor,
    *,
    format: str | None = None,  # noqa: A002
    mapping: str | Path | None = None,
    image_base: str | None = None,
    id: UUID | None = None,  # noqa: A002
) -> ImportPlan:
    """Import this file: all of its good rows, or nothing. A second time changes nothing.

    `image_base` completes the relative image addresses of a file that is read through a mapping. `id` is that
    of the record, for a caller that may ask twice: the second time raises AppliedBefore.
    """
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not import products")
    source = _open(path, format, mapping, image_base)
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    with transaction.atomic():
        read = _stage(source)
        intake.take_turn()
        # Only now is every import that came before committed.
        if id is not None and ImportRecord.objects.filter(pk=id).exists():
            raise AppliedBefore(f"import {id} was applied already")
        found = intake.compare()
        intake.write()
        record = ImportRecord.objects.create(
            id=id or uuid7(),
            file_name=_file_name(source),
            file_sha256=sha256,
            format=source.format,
            created=found.created,
            changed=found.changed,
            unchanged=found.unchanged,
            rejected=read.rejected,
            problems=[asdict(problem) for problem in read.problems],
            applied_by_id=actor.id,
        )
        counts = {"created": found.created, "changed": found.changed, "rejected": read.rejected}
        audit(actor, "import catalogue", record.file_name, sha256=sha256, **counts)
        events.tell([Happening("catalogue", "imported", str(record.id), counts)])
    return _described(source, read, found, record=record.id)


def load_demo(actor: Actor) -> ImportPlan | None:
    """The demo catalogue with its templates, into an empty site only."""
    if Product.objects.exists():
        return None
    with transaction.atomic(), as_file(files(catalogue) / "demo" / "hemp.csv") as path:
        load_templates(actor)
        return apply(path, actor)


def load_templates(actor: Actor) -> int:
    """The templates that ship, beside the site's own. Returns how many were added.

    One whose name was ever used stays as people left it, and a category keeps the template it has.
    """
    if not actor.may("edit_templates"):
        raise BadInput("your role may not change templates")
    served = set(
        PromptTemplate.objects.filter(archived_at=None, category__isnull=False).values_list(
            "category__path", flat=True
        )
    )
    missing = [
        each
        for each in catalogue.shipped_templates()
        if each.category_path not in served and not catalogue.has_template(each.name)
    ]
    if missing:
        with transaction.atomic():
            for each in missing:
                catalogue.save_template(
                    each.name,
                    each.text,
                    category_path=each.category_path,
                    person_id=actor.id,
                    by_name=actor.name,
                )
            audit(actor, "load templates", "shipped", names=[each.name for each in missing])
    return len(missing)


def _open(
    path: Path,
    format: str | None,  # noqa: A002
    mapping: str | Path | None,
    image_base: str | None,
) -> CatalogueFile:
    if format is not None and format not in get_args(Format):
        raise BadInput(
            f"there is no format {format!r}; there are {', '.join(get_args(Format))}", field="format"
        )
    known = load_mapping(mapping) if mapping is not None else None
    if image_base is not None:
        known = _completing(known, image_base)
    return open_catalogue(path, format=cast(Format | None, format), mapping=known)


def _completing(mapping: FieldMapping | None, image_base: str) -> FieldMapping:
    """`mapping` with the address that completes relative ones."""
    if mapping is None:
        raise BadInput(
            "an image base goes with a mapping, which says where the images stand: name one, your own or "
            f"a shipped one ({', '.join(shipped_mappings())})",
            field="image_base",
        )
    try:
        address = image_url(image_base)
    except ValueError as error:
        raise BadInput(f"the image base {image_base!r} cannot be used: {error}", field="image_base") from None
    if not address:
        raise BadInput(
            "the image base is empty; write one like https://shop.example/media/", field="image_base"
        )
    # Without the slash the last folder would be taken for a file's name and replaced.
    return replace(mapping, image_base=address.rstrip("/") + "/")


def _stage(source: CatalogueFile) -> Reading:
    patterns = preferences.get("placeholder_list")
    return intake.stage(source, lambda url: preferences.is_placeholder(url, patterns))


def _file_name(source: CatalogueFile) -> str:
    """The file's name as text: on Linux a name may hold bytes that are none, which no database takes."""
    return source.path.name.encode("utf-8", "replace").decode()


def _described(source: CatalogueFile, read: Reading, found: Comparison, *, record: UUID | None) -> ImportPlan:
    return ImportPlan(
        file_name=_file_name(source),
        label=source.label,
        notes=source.notes,
        created=found.created,
        changed=found.changed,
        unchanged=found.unchanged,
        rejected=read.rejected,
        revived=found.revived,
        problem_count=read.problem_count,
        problems=read.problems,
        examples=found.examples,
        applied=record is not None,
        id=record,
    )
