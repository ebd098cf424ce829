"""Text as it comes from shops' exports, made into text a page, a prompt and PostgreSQL can hold."""

import html
import re
import unicodedata

# Vertical tab and form feed are how Word and Excel write a soft line break.
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Control characters, byte order marks, and the direction overrides that make a name read backwards.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\u202a-\u202e\u2066-\u2069]")
# JSON can spell half a character ("\ud83d"); PostgreSQL refuses to store one.
_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")
# Only with its semicolon, so that "R&D" and "?a=1&copy=2" stay what they are.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# A ">" inside quotes does not end a tag, unless the quotes are unbalanced. Possessive and never across a "<",
# so that markup made to be slow takes linear time; Python's own HTML parser takes quadratic.
_TAG = re.compile(
    r"""</?([A-Za-z][A-Za-z0-9:-]*+)(?:(?:[^"'<>]|"[^"]*+"|'[^']*+')*+>|[^<>]*+>)|<[!?/][^<>]*+>"""
)
_COMMENT = re.compile("<!--()")
_HIDDEN = re.compile(r"<(script|style|template|iframe|svg|head)\b[^<>]*+>", re.IGNORECASE)
# fmt: off
_LAYOUT = {
    **dict.fromkeys(("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "dl", "table", "pre",
                     "hr", "section", "article", "figure"), "\n\n"),
    **dict.fromkeys(("br", "div", "tr", "dt", "dd", "header", "footer", "main", "figcaption"), "\n"),
    "li": "\n- ", "td": " ", "th": " ",
}
# fmt: on
_BREAK = re.compile(rf"</?(?:{'|'.join(name for name in _LAYOUT if _LAYOUT[name] != ' ')})\b", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def cleaned(text: str) -> str:
    """`text` with LF line ends and without characters that cannot be seen or stored, in Unicode's form C."""
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    text = _HALF_CHARACTERS.sub("\ufffd", text)
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """A name, a word, a cell: entities decoded, one line, single spaces."""
    if "&" in text:
        text = _decoded(text)
    if not (text.isascii() and text.isprintable()):
        text = cleaned(text)
    return " ".join(text.split())


def plain_text(markup: str) -> str:
    """A description: tags removed, entities decoded, paragraphs and list items on lines of their own.

    The result is text and may itself contain `<`; whoever shows it escapes it as any text.
    """
    if "<" in markup:
        markup = _without_tags(markup)
    if "&" in markup:
        markup = _decoded(markup)
    return _tidy(cleaned(markup))


def _decoded(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def _tidy(text: str) -> str:
    lines: list[str] = []
    for raw in text.split("\n"):
        line = " ".join(raw.split())
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).rstrip("\n")


def _without_tags(markup: str) -> str:
    if "<!--" in markup:
        markup = _cut(markup, _COMMENT, "-->")
    markup = _cut(markup, _HIDDEN, r"</{}\b[^<>]*+>")
    if _BREAK.search(markup):
        markup = _SPACES.sub(" ", markup)  # where markup makes the lines, the source's own mean nothing
    return _TAG.sub(_layout, markup)


def _layout(tag: re.Match[str]) -> str:
    name = (tag[1] or "").lower()
    if name == "li" and tag[0][1] == "/":
        return ""
    return _LAYOUT.get(name, "")


def _cut(markup: str, opening: re.Pattern[str], closing: str) -> str:
    """`markup` without what stands from `opening` to `closing`, where {} is the opening's name."""
    pieces: list[str] = []
    at = 0
    while found := opening.search(markup, at):
        pieces.append(markup[at : found.start()])
        end = re.compile(closing.format(found[1]), re.IGNORECASE).search(markup, found.end())
        at = end.end() if end else len(markup)
    return "".join(pieces) + markup[at:] if at else markup
