"""Words that go into a spreadsheet."""

# Some spreadsheets read the full-width signs of an East Asian keyboard as the plain ones.
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(text: str) -> str:
    """What a spreadsheet would take for a formula is quoted, so that it stays a word."""
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text
