"""Where an image came from, said inside the file: XMP with the IPTC digital source type.

Google Merchant Center asks that AI images carry it and keep it. The words are IPTC's
(http://cv.iptc.org/newscodes/digitalsourcetype/): a picture drawn by rule is `algorithmicMedia`, one that a
trained model made is `trainedAlgorithmicMedia`, a real photo that a model edited is
`compositeWithTrainedAlgorithmicMedia`. A photo that nobody edited is none of these; nothing is said of it.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args
from xml.sax.saxutils import escape, unescape

SourceType = Literal["trainedAlgorithmicMedia", "algorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_TOOL_LENGTH = 200  # characters
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<xmp:CreatorTool>{tool}</xmp:CreatorTool>"
    "{source}"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)
_SOURCE = "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>"
_WRITTEN = re.compile(
    r"<xmp:CreatorTool>(?P<tool>[^<]*)</xmp:CreatorTool>"
    rf"(?:{_SOURCE.format(re.escape(VOCABULARY) + r'(?P<source>[A-Za-z]+)')})?</rdf:Description>"
)


_DECLARED = re.compile(
    rb"cv\.iptc\.org/newscodes/digitalsourcetype/("
    + b"|".join(each.encode() for each in get_args(SourceType))
    + b")"
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made an image: a kind of source, if it is one that must be told, and the tool, for people."""

    source: SourceType | None
    tool: str


def write_xmp(provenance: Provenance) -> bytes:
    """The XMP packet that says `provenance`, to be laid into an image while it is encoded."""
    printable = "".join(char if char.isprintable() else " " for char in provenance.tool)[:_TOOL_LENGTH]
    source = "" if provenance.source is None else _SOURCE.format(VOCABULARY + provenance.source)
    return _PACKET.format(tool=escape(printable), source=source).encode()


def read_xmp(content: bytes) -> Provenance | None:
    """The provenance in an image that we encoded, or None. Found as text: no decoder is trusted with it."""
    start = content.find(b"<x:xmpmeta")
    if start < 0:
        return None
    found = _WRITTEN.search(content[start : start + 4_000].decode("utf-8", "replace"))
    if found is None or found["source"] not in (None, *get_args(SourceType)):
        return None
    return Provenance(cast(SourceType | None, found["source"]), unescape(found["tool"]))


def declared(content: bytes) -> SourceType | None:
    """The digital source type that these bytes name, in XMP or in a C2PA manifest. Found as text, as above: a
    mark that is packed is not found, one that is forged is believed."""
    found = _DECLARED.search(content)
    return cast(SourceType, found[1].decode()) if found else None


def source_type(stored: str) -> SourceType | None:
    """What is to be said of an image with this digital source type; of a photo, nothing."""
    return cast(SourceType, stored) if stored in get_args(SourceType) else None
