"""From a catalogue file to products: a plan that changes nothing, or everything in one transaction."""

import hashlib
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import cast
from uuid import UUID

from django.db import transaction

from packshot import catalogue, events, preferences
from packshot.accounts import Actor, audit
from packshot.catalogue import intake as staging
from packshot.catalogue.formats import CatalogueFile, Format, RowProblem, load_mapping, open_catalogue
from packshot.catalogue.intake import Intake
from packshot.catalogue.models import ImportRecord, Product
from packshot.events import Happening
from packshot.kernel.errors import BadInput


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
    revived: int
    problem_count: int
    problems: tuple[RowProblem, ...]  # the first thousand
    examples: tuple[tuple[int, str, str], ...]  # row, SKU, created or changed
    applied: bool
    id: UUID | None = None


def plan(path: Path, *, format: str | None = None, mapping: str | Path | None = None) -> ImportPlan:  # noqa: A002
    """What `apply` would do with this file now. Changes nothing. Raises BadInput for an unusable file."""
    source = _open(path, format, mapping)
    with transaction.atomic():
        found = _stage(source)
        transaction.set_rollback(True)
    return _described(source, found, applied=False)


def apply(
    path: Path,
    actor: Actor,
    *,
    format: str | None = None,  # noqa: A002
    mapping: str | Path | None = None,
) -> ImportPlan:
    """Import this file: all of its good rows, or nothing. A second time changes nothing."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not import products")
    source = _open(path, format, mapping)
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    with transaction.atomic():
        found = _stage(source)
        staging.write()
        record = ImportRecord.objects.create(
            file_name=path.name,
            file_sha256=sha256,
            format=source.format,
            created=found.created,
            changed=found.changed,
            unchanged=found.unchanged,
            rejected=found.rejected,
            problems=[asdict(problem) for problem in found.problems],
            applied_by_id=actor.id,
        )
        audit(actor, "import catalogue", path.name, created=found.created, changed=found.changed)
        events.tell(
            [
                Happening(
                    "catalogue",
                    "imported",
                    str(record.id),
                    {"created": found.created, "changed": found.changed, "rejected": found.rejected},
                )
            ]
        )
    return _described(source, found, applied=True, record=record.id)


def load_demo(actor: Actor) -> ImportPlan | None:
    """The demo catalogue and its templates, into an empty site only."""
    if Product.objects.exists():
        return None
    with as_file(files(catalogue) / "demo" / "hemp.csv") as path:
        return apply(path, actor)


def load_templates(actor: Actor) -> int:
    """The templates that ship, where none of their names exists. Returns how many were added."""
    added = 0
    for each in catalogue.shipped_templates():
        if not catalogue.has_template(each.name):
            catalogue.save_template(each.name, each.text, category_path=each.category_path)
            added += 1
    return added


def _open(path: Path, format: str | None, mapping: str | Path | None) -> CatalogueFile:  # noqa: A002
    return open_catalogue(
        path,
        format=cast(Format | None, format),
        mapping=load_mapping(mapping) if mapping is not None else None,
    )


def _stage(source: CatalogueFile) -> Intake:
    patterns = preferences.get("placeholder_list")
    found = staging.stage(source, lambda url: preferences.is_placeholder(url, patterns))
    staging.compare(found)
    return found


def _described(
    source: CatalogueFile, found: Intake, *, applied: bool, record: UUID | None = None
) -> ImportPlan:
    return ImportPlan(
        file_name=source.path.name,
        label=source.label,
        notes=source.notes,
        created=found.created,
        changed=found.changed,
        unchanged=found.unchanged,
        rejected=found.rejected,
        revived=found.revived,
        problem_count=found.problem_count,
        problems=tuple(found.problems),
        examples=tuple(found.examples),
        applied=applied,
        id=record,
    )
