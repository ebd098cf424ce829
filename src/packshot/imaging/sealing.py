"""The last step of a public copy: a signed C2PA manifest that says what made it, laid into the finished file.

Last, because whatever changes a byte afterwards breaks the signature; encoding it again drops it. It is done
in a child of its own (`sealer.py`), apart from the one that decodes: the decoder never holds the key, and
what reads a provider's manifest holds no key of a provider and no way to the database.

    with Sealer() as sealer:
        sealed = sealer.seal(encoded, "image/webp", provenance, identity)
"""

import json
import struct
from typing import IO

from packshot.imaging.bounded import (
    IMAGE_S,
    MEMORY_BYTES,
    RECYCLE_AFTER,
    BoundedChild,
    ChildDied,
    read_exactly,
)
from packshot.imaging.header import read_header
from packshot.imaging.provenance import VOCABULARY, Provenance
from packshot.imaging.renditions import RenditionType
from packshot.imaging.signing import Identity
from packshot.kernel.errors import PackshotError

_LENGTHS = struct.Struct(">IIIII")


class NotSealed(PackshotError):
    """The copy could not be signed, so there is none to deliver; the message says why. Try again."""


class Sealer(BoundedChild):
    """The parent's end. Starts its child when first needed; threads may share it, one image at a time."""

    def __init__(
        self,
        *,
        image_s: float = IMAGE_S,
        memory_bytes: int = MEMORY_BYTES,
        recycle_after: int = 10 * RECYCLE_AFTER,
    ) -> None:
        super().__init__(
            "packshot.imaging.sealer", image_s=image_s, memory_bytes=memory_bytes, recycle_after=recycle_after
        )

    def seal(
        self,
        content: bytes,
        media_type: RenditionType,
        provenance: Provenance,
        identity: Identity,
        *,
        original: bytes = b"",
    ) -> bytes:
        """`content` with a manifest that says `provenance`, read back and found valid. The manifest of the
        `original` that it was made from goes in as an ingredient. Raises NotSealed."""
        parent = original if provenance.source is None or has_manifest(original) else b""
        try:
            return self._sealed(content, media_type, provenance, identity, parent)
        except ChildDied as how:
            # A manifest that kills its reader must not keep its image from ever being delivered. A photo that
            # nobody edited is nothing but its origin: it is not signed without.
            if not parent or provenance.source is None:
                raise NotSealed(f"What signs images {how}; the copy is not delivered.") from None
        try:
            return self._sealed(content, media_type, provenance, identity, b"")
        except ChildDied as how:
            raise NotSealed(f"What signs images {how}; the copy is not delivered.") from None

    def _sealed(
        self,
        content: bytes,
        media_type: RenditionType,
        provenance: Provenance,
        identity: Identity,
        parent: bytes,
    ) -> bytes:
        order = {
            "media_type": media_type,
            "source": None if provenance.source is None else VOCABULARY + provenance.source,
            "tool": provenance.tool,
            "algorithm": identity.algorithm,
            "original_type": read_header(parent).media_type if parent else None,
        }
        parts = (json.dumps(order).encode(), identity.chain, identity.key, content, parent)
        return self.talk(lambda asks, answers: _ask(asks, answers, parts))


def has_manifest(content: bytes) -> bool:
    """Whether these bytes may hold a C2PA manifest. Found as text: what it says is the child's to read."""
    return b"jumb" in content and b"c2pa" in content


def _ask(asks: IO[bytes], answers: IO[bytes], parts: tuple[bytes, ...]) -> bytes:
    asks.write(_LENGTHS.pack(*map(len, parts)))
    for part in parts:
        asks.write(part)
    asks.flush()
    report = json.loads(read_exactly(answers, int.from_bytes(read_exactly(answers, 4))))
    if "bad" in report:
        raise NotSealed(f"The copy cannot be signed: {report['bad']}.")
    return read_exactly(answers, report["bytes"])
