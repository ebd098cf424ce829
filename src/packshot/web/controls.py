"""What pages hand to the controls that they share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tab:
    """A choice that is a link."""

    label: str
    url: str
    count: int | None = None
    current: bool = False
    tone: str = ""
    icon: str = ""
    more: bool = False  # there are more than were counted


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values of a form, in words."""

    value: str
    label: str
    chosen: bool
