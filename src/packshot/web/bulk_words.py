"""An action on many generations in words: what, on which, how far it is."""

from dataclasses import dataclass

from django.utils import timezone

from packshot.reports.actions import ActionRow
from packshot.web import words
from packshot.web.asked import FACETS, said_of
from packshot.web.jinja import provider_name

PRIORITIES = {10: "High", 0: "Normal", -10: "Low"}
ICONS = {
    "retry": "rotate-ccw",
    "hand_over": "plug-zap",
    "cancel": "ban",
    "reprioritise": "chevrons-up-down",
    "undo": "rotate-ccw",
}


@dataclass(frozen=True, slots=True)
class Said:
    """An action in words: what, on what."""

    row: ActionRow
    title: str
    of: str
    icon: str
    state: words.Word
    percent: int
    may_undo: bool


def say(row: ActionRow) -> Said:
    """An action for people. Its filter is told as its chips told it."""
    if row.finished_at is None:
        state = words.Word("Under way", "loader-circle", "run")
    elif row.stopped_by_name:
        state = words.Word("Aborted", "ban", "warn")
    else:
        state = words.Word("Finished", "check", "ok" if not row.failed else "warn")
    number = words.many(row.size, "generation")
    title = {
        "retry": f"Retry {number}",
        "hand_over": f"Retry {number} with {provider_name(str(row.arguments.get('provider', '')))}",
        "cancel": f"Cancel {number}",
        "reprioritise": f"Priority {priority_words(int(row.arguments.get('priority') or 0))} for {number}",
        "undo": f"Take back {number}",
    }[row.kind]
    return Said(
        row,
        title,
        _filter_words(row),
        ICONS[row.kind],
        state,
        100 if not row.size else min(100, 100 * row.ended // row.size),
        row.can_be_undone and row.finished_at is not None and _recent(row),
    )


def _recent(row: ActionRow) -> bool:
    assert row.finished_at is not None, "the caller looked"
    return (timezone.now() - row.finished_at).days < 1


def _filter_words(row: ActionRow) -> str:
    if row.chosen:
        return "chosen one by one"
    said = []
    names = {"run_id": "run", "template_id": "template", "text": "q"}
    for key, value in row.filter.items():
        name = names.get(key, key)
        if name == "q":
            said.append(f"“{value}”")
        elif name == "status":
            said.append(words.STATUSES[value].label.lower() if value in words.STATUSES else value)
        elif name in FACETS:
            label = said_of(name, value, name=value[-8:], provider=row.filter.get("provider", ""))
            said.append(f"{FACETS[name].lower()} {label}")  # type: ignore[index] # it is one
    return ", ".join(said) or "the whole queue"


def priority_words(number: int) -> str:
    """`high`, `normal`, `low`, or the number."""
    return PRIORITIES.get(number, str(number)).lower()
