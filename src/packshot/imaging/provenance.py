"""Where an image came from, said inside the file: XMP with the IPTC digital source type.

Google Merchant Center asks that AI images carry it and keep it. The words are IPTC's
(http://cv.iptc.org/newscodes/digitalsourcetype/): a picture drawn by rule is `algorithmicMedia`, one that a
trained model made is `trainedAlgorithmicMedia`, a real photo that a model edited is
`compositeWithTrainedAlgorithmicMedia`.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args
from xml.sax.saxutils import escape, unescape

SourceType = Literal["trainedAlgorithmicMedia", "algorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_TOOL_LENGTH = 200  # characters
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<xmp:CreatorTool>{tool}</xmp:CreatorTool>"
    "<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)
_WRITTEN = re.compile(
    r"<xmp:CreatorTool>(?P<tool>[^<]*)</xmp:CreatorTool>"
    r"<Iptc4xmpExt:DigitalSourceType>"
    + re.escape(_VOCABULARY)
    + r"(?P<source>\w+)</Iptc4xmpExt:DigitalSourceType>"
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made an image: a kind of source and the tool, for people (`openai gpt-image-1`)."""

    source: SourceType
    tool: str


def write_xmp(provenance: Provenance) -> bytes:
    """The XMP packet that says `provenance`, to be laid into an image while it is encoded."""
    printable = "".join(char if char.isprintable() else " " for char in provenance.tool)[:_TOOL_LENGTH]
    return _PACKET.format(tool=escape(printable), source=_VOCABULARY + provenance.source).encode()


def read_xmp(content: bytes) -> Provenance | None:
    """The provenance in an image that we encoded, or None. Found as text: no decoder is trusted with it."""
    start = content.find(b"<x:xmpmeta")
    if start < 0:
        return None
    found = _WRITTEN.search(content[start : start + 4_000].decode("utf-8", "replace"))
    if found is None or found["source"] not in get_args(SourceType):
        return None
    return Provenance(cast(SourceType, found["source"]), unescape(found["tool"]))
