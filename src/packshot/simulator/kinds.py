"""Every way to go wrong in plain words: what people choose a fault by, in a shell and on a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from packshot.simulator.faults import WEBHOOK_PATH, Action, DialectName, Garbage, happens_at

Seconds = Literal["retry_after_s", "delay_s"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to go wrong. `given` is what it says of a rule besides the action."""

    name: str  # the action, and of garbage the variant: `garbage:html`
    action: Action
    group: str
    words: str
    given: Mapping[str, object] = field(default_factory=dict)
    seconds: Seconds | None = None  # which time of the rule can be chosen

    @property
    def where(self) -> tuple[DialectName, ...]:
        """The dialects at which it happens."""
        return happens_at("drop" if self.given.get("path") == WEBHOOK_PATH else self.action)


_INSTEAD = "Answers something else, and does no work"
_LATE = "Answers late, in part, or never"
_WRONG = "Answers wrongly"
_TASKS = "Tasks that are collected later"
_REPORTS = "Reports of finished tasks"
_GARBAGE = "Sends garbage"

_VARIANTS: Mapping[Garbage, str] = {
    "not_json": "words in place of JSON",
    "html": "a page in place of JSON",
    "half_json": "JSON that breaks off",
    "deep_json": "JSON nested without end",
    "huge_json": "JSON of hundreds of megabytes",
    "wrong_types": "JSON with the wrong types",
    "wrong_content_type": "another content type",
    "missing_id": "no number of the request",
    "two_ids": "two numbers of the request",
    "nan_cost": "a cost that is no number",
    "negative_cost": "a negative cost",
    "huge_cost": "an enormous cost",
    "bad_base64": "an image in broken base64",
    "empty_image": "an empty image",
    "not_an_image": "bytes that are no image",
    "pixel_bomb": "a small file of too many pixels",
    "gzip_bomb": "a small answer that unfolds to hundreds of megabytes",
}

_ALL = (
    Kind("rate_limited", "rate_limited", _INSTEAD, "Busy: 429, too many requests", seconds="retry_after_s"),
    Kind("overloaded", "overloaded", _INSTEAD, "Overloaded: 503"),
    Kind("server_error", "server_error", _INSTEAD, "Server error: 500"),
    Kind("html_502", "html_502", _INSTEAD, "Bad gateway: 502, a page of a proxy"),
    Kind("quota", "quota", _INSTEAD, "No money left on the account"),
    Kind("bad_key", "bad_key", _INSTEAD, "Refuses the key"),
    Kind("not_verified", "not_verified", _INSTEAD, "Wants the organisation verified"),
    Kind("moderation_input", "moderation_input", _INSTEAD, "Refuses the prompt"),
    Kind("moderation_output", "moderation_output", _INSTEAD, "Withholds the finished image"),
    Kind("answer", "answer", _INSTEAD, "Any other HTTP status, which must be named"),
    Kind("slow", "slow", _LATE, "Answers late", {"delay_s": 10.0}, "delay_s"),
    Kind("drip", "drip", _LATE, "Answers drop by drop, a kilobyte a second"),
    Kind("cut_before_answer", "cut_before_answer", _LATE, "Hangs up before the answer", {}, "delay_s"),
    Kind("cut_half_body", "cut_half_body", _LATE, "Hangs up in the middle of the answer", {}, "delay_s"),
    Kind("hang", "hang", _LATE, "Never answers"),
    Kind("no_image", "no_image", _WRONG, "Says all is well and gives no image"),
    Kind("charge_twice", "charge_twice", _WRONG, "Charges twice, and says nothing of it"),
    Kind("task_error", "task_error", _TASKS, "The task fails"),
    Kind("never_ready", "never_ready", _TASKS, "The task never ends"),
    Kind("dead_link", "dead_link", _TASKS, "The finished image is gone"),
    Kind("drop", "drop", _REPORTS, "The report never comes", {"path": WEBHOOK_PATH}),
    Kind("duplicate", "duplicate", _REPORTS, "The report comes twice", {"path": WEBHOOK_PATH}),
    Kind("early", "early", _REPORTS, "The report comes before the answer", {"path": WEBHOOK_PATH}),
    Kind(
        "late", "slow", _REPORTS, "The report comes late", {"path": WEBHOOK_PATH, "delay_s": 10.0}, "delay_s"
    ),
    *(
        Kind(
            f"garbage:{variant}", "garbage", _GARBAGE, f"Garbage: {_VARIANTS[variant]}", {"variant": variant}
        )
        for variant in get_args(Garbage)
    ),
)
# By name, in the order in which they are shown.
KINDS: Mapping[str, Kind] = {each.name: each for each in _ALL}


def kind_of(action: Action, *, path: str | None, variant: Garbage | None) -> Kind:
    """The kind that a rule is of."""
    if action == "garbage":
        return KINDS[f"garbage:{variant}"]
    return KINDS["late" if action == "slow" and path == WEBHOOK_PATH else action]
