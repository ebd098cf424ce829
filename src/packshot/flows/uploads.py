"""A catalogue file that a browser sent, kept between its dry run and its import.

The bytes go into the blob store and everything else into an `Upload`, which the caller keeps: so any web
process can go on with it, also after a restart.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from packshot.accounts import Actor
from packshot.blobs import MissingBlob
from packshot.catalogue import imports
from packshot.catalogue.formats import shipped_mappings
from packshot.flows import import_catalogue, look
from packshot.flows.import_catalogue import AppliedBefore, ImportPlan
from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7

# A file system's names have 255 bytes; a spreadsheet's name that is longer says nothing more.
_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file and how it is to be read. Importing it twice makes one import: `id` is the record's."""

    id: UUID
    blob: str
    file_name: str
    format: str | None = None
    mapping: str | None = None
    image_base: str | None = None


def keep(
    content: Path,
    file_name: str,
    actor: Actor,
    *,
    format: str | None = None,  # noqa: A002
    mapping: str | None = None,
    image_base: str | None = None,
) -> Upload:
    """Store this file for `plan` and `apply`. Raises BadInput, in the importer's words, if it is none."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not import products")
    if mapping is not None and mapping not in shipped_mappings():
        # Elsewhere a mapping may be a path; what comes from a browser must not name one on this machine.
        raise BadInput(
            f"there is no mapping {mapping!r}; there are {', '.join(shipped_mappings())}", field="mapping"
        )
    name = plain_name(file_name)
    with tempfile.TemporaryDirectory(prefix="packshot-import-") as folder:
        named = Path(folder) / name  # the importer speaks of the file by its name
        named.symlink_to(content.resolve())
        import_catalogue.look(named, format=format, mapping=mapping, image_base=image_base)
    return Upload(uuid7(), look.store().put_file(content), name, format, mapping, image_base)


def plan(upload: Upload, actor: Actor) -> ImportPlan:
    """What importing it would do now. Changes nothing."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not import products")
    with _on_disk(upload) as path:
        return import_catalogue.plan(
            path, format=upload.format, mapping=upload.mapping, image_base=upload.image_base
        )


def apply(upload: Upload, actor: Actor) -> UUID:
    """Import it, and return the record's id. A second time changes nothing and returns the same."""
    if not actor.may("edit_catalogue"):
        raise BadInput("your role may not import products")
    if imports.by_id(upload.id) is None:
        # AppliedBefore: of a double click the other one was faster.
        with _on_disk(upload) as path, suppress(AppliedBefore):
            import_catalogue.apply(
                path,
                actor,
                format=upload.format,
                mapping=upload.mapping,
                image_base=upload.image_base,
                id=upload.id,
            )
    return upload.id


def plain_name(name: str) -> str:
    """A file's name as a browser tells it, as a name alone: no folder, nothing unprintable, not too long."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(sign for sign in name if sign.isprintable()).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = name, "", ""
    room = _NAME_BYTES - len((dot + ending).encode("utf-8", "replace"))
    stem = stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore").strip()
    return f"{stem or 'catalogue'}{dot}{ending}"


@contextmanager
def _on_disk(upload: Upload) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="packshot-import-") as folder:
        path = Path(folder) / plain_name(upload.file_name)
        try:
            with path.open("wb") as file:
                for piece in look.store().pieces(upload.blob):
                    file.write(piece)
        except MissingBlob:
            raise BadInput(
                "the uploaded file is not in the store any more; upload it again", field="file"
            ) from None
        yield path
