"""The fault script: which requests go wrong, and how.

A script is a list of rules. The first rule that fits a request decides it; a request that no rule fits
goes well. Without `path` a rule looks at paid requests only. Counting and chance are per rule and seeded,
so that the same requests in the same order meet the same faults.
"""

import random
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

DialectName = Literal["openai", "flux", "stability", "midjourney"]

# Answered in place of the work, with the provider's recorded body.
Recorded = Literal[
    "rate_limited",
    "quota",
    "bad_key",
    "not_verified",
    "server_error",
    "overloaded",
    "html_502",
    "moderation_input",
    "moderation_output",
    "answer",
]
# The work is done and charged; its answer comes late, spoilt, or never.
Spoilt = Literal[
    "slow",
    "drip",
    "cut_before_answer",
    "cut_half_body",
    "hang",
    "garbage",
    "no_image",
    "charge_twice",
]
# What becomes of an accepted FLUX or Midjourney task, or of an edit that Stability takes its time for: there
# `dead_link` is a result that is gone, and `task_error` is not known.
Fate = Literal["task_error", "never_ready", "dead_link"]
# What becomes of the report of a finished FLUX or Midjourney task. Rules for these have the path `/webhook`,
# where `slow` is known, too.
Report = Literal["drop", "duplicate", "early"]
Action = Recorded | Spoilt | Fate | Report
WEBHOOK_PATH = "/webhook"
# Orders of OpenAI's batches have a fate, too: `task_error` is one that is not begun, `never_ready` one that
# expires with half of its lines made, `dead_link` one whose results are gone.
BATCHES_PATH = "/v1/batches"

Garbage = Literal[
    "not_json",
    "html",
    "half_json",
    "deep_json",
    "huge_json",
    "wrong_types",
    "wrong_content_type",
    "missing_id",
    "two_ids",
    "nan_cost",
    "negative_cost",
    "huge_cost",
    "bad_base64",
    "empty_image",
    "not_an_image",
    "pixel_bomb",
    "gzip_bomb",
]

_REPORTS: frozenset[str] = frozenset(get_args(Report))
_FATES: frozenset[str] = frozenset(get_args(Fate))
# What never happens at a dialect, and so never decides a request to it.
_FOREIGN: dict[DialectName, frozenset[str]] = {
    "openai": _REPORTS,
    "flux": frozenset({"not_verified"}),
    "stability": frozenset({"not_verified", "task_error"}) | _REPORTS,
    "midjourney": frozenset({"not_verified"}),
}
_FREE: frozenset[str] = frozenset(get_args(Recorded)) | {"task_error"}


class Rule(BaseModel):
    """One line of a fault script: which requests it fits, and what happens to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action

    # Which requests.
    dialect: DialectName | None = None
    path: str | None = None  # a glob such as `/v1/get_result` or `/delivery/*`; None: paid requests
    prompt: str | None = None  # a part of the prompt
    prompt_regex: str | None = None
    nth: int | tuple[int, ...] | None = None  # of the requests that fit so far, counted from 1
    after: int = Field(default=0, ge=0)  # so many of them go well first
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0
    times: int | None = Field(default=None, ge=1)  # spent after so many

    # How it goes wrong.
    charged: bool | None = None  # None: as the provider would, see `charges`
    delay_s: float = Field(default=0.0, ge=0)  # before the first byte of the answer, after the charge
    copies: int = Field(default=2, ge=2, le=100)  # of `duplicate`, at once
    status: int | None = Field(default=None, ge=200, le=599)  # of `answer`, and of a poll after `task_error`
    body: JsonValue = None  # of `answer`; a string is sent as it is, anything else as JSON
    headers: dict[str, str] = {}
    retry_after_s: float = Field(default=2.0, ge=0)
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    bytes_per_s: int = Field(default=1024, ge=1)  # of `drip`
    variant: Garbage | None = None  # of `garbage`
    size_mb: int = Field(default=256, ge=1)  # of `huge_json` and, unfolded, of `gzip_bomb`

    @model_validator(mode="after")
    def _complete(self) -> "Rule":
        if self.action == "answer" and self.status is None:
            raise ValueError("`answer` needs a status")
        if (self.action == "garbage") != (self.variant is not None):
            raise ValueError("`garbage` needs a variant, and no other action takes one")
        if (self.path == WEBHOOK_PATH) != (self.action in _REPORTS) and not (
            self.path == WEBHOOK_PATH and self.action == "slow"
        ):
            raise ValueError(
                f"the path `{WEBHOOK_PATH}` takes slow, {', '.join(get_args(Report))}, which need it"
            )
        if (
            self.dialect == "openai"
            and self.action in _FATES
            and not fnmatchcase(BATCHES_PATH, self.path or BATCHES_PATH)
        ):
            raise ValueError(f"`{self.action}` happens at openai to `{BATCHES_PATH}` only")
        if self.dialect is not None and self.action in _FOREIGN[self.dialect]:
            raise ValueError(f"`{self.action}` never happens at {self.dialect}")
        if self.prompt_regex is not None:
            try:
                re.compile(self.prompt_regex)
            except re.error as error:
                raise ValueError(f"`prompt_regex` is not a regular expression: {error}") from None
        return self

    def charges(self, *, moderated_input: bool, moderated_output: bool) -> bool:
        """Whether the request is charged all the same, given what the provider does with moderated ones."""
        if self.charged is not None:
            return self.charged
        if self.action == "moderation_input":
            return moderated_input
        if self.action == "moderation_output":
            return moderated_output
        return self.action not in _FREE

    def fits(self, dialect: DialectName, path: str, prompt: str | None, *, paid: bool) -> bool:
        if self.dialect not in (None, dialect) or self.action in _FOREIGN[dialect]:
            return False
        if dialect == "openai" and self.action in _FATES and path != BATCHES_PATH:
            return False  # only a batch is collected later
        if not (paid if self.path is None else fnmatchcase(path, self.path)):
            return False
        if self.prompt is not None and self.prompt not in (prompt or ""):
            return False
        return self.prompt_regex is None or re.search(self.prompt_regex, prompt or "") is not None


RULES = TypeAdapter(tuple[Rule, ...])


def happens_at(action: Action) -> tuple[DialectName, ...]:
    """The dialects that know this."""
    return tuple(dialect for dialect in get_args(DialectName) if action not in _FOREIGN[dialect])


@dataclass(frozen=True, slots=True)
class InForce:
    """A rule as it stands in a script. Its id is never that of another, also in another script."""

    id: str
    rule: Rule
    met: int  # requests that it fits
    fired: int  # of them, those that went wrong by it

    @property
    def spent(self) -> bool:
        return self.rule.times is not None and self.fired >= self.rule.times


class FaultScript:
    """The rules in force and what each has counted so far."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.replace(rules)

    def replace(self, rules: Iterable[Rule]) -> None:
        self._lines = [_Line(rule) for rule in rules]

    def add(self, rule: Rule) -> InForce:
        """Put one more rule in force, after the others, which go on counting."""
        self._lines.append(_Line(rule))
        return self._lines[-1].now

    def remove(self, rule_id: str) -> InForce | None:
        """Take one rule away; gives it back as it stood, or None when it is gone already."""
        found = next((line for line in self._lines if line.id == rule_id), None)
        if found is None:
            return None
        self._lines.remove(found)
        return found.now

    @property
    def in_force(self) -> tuple[InForce, ...]:
        return tuple(line.now for line in self._lines)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(line.rule for line in self._lines)

    @property
    def fired(self) -> tuple[int, ...]:
        """How often each rule was met, in the order of `rules`."""
        return tuple(line.fired for line in self._lines)

    def match(self, dialect: DialectName, path: str, prompt: str | None, *, paid: bool) -> Rule | None:
        """The rule that decides this request, or None when it goes well. Counts: ask once per request."""
        for line in self._lines:
            if line.rule.fits(dialect, path, prompt, paid=paid) and line.fires():
                return line.rule
        return None


class _Line:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.id = secrets.token_hex(6)
        self.met = self.fired = 0
        self._chance = random.Random(rule.seed)  # noqa: S311 # repeatable on purpose

    @property
    def now(self) -> InForce:
        return InForce(self.id, self.rule, self.met, self.fired)

    def fires(self) -> bool:
        self.met += 1
        nth = (self.rule.nth,) if isinstance(self.rule.nth, int) else self.rule.nth
        if self.met <= self.rule.after or (nth is not None and self.met not in nth):
            return False
        if self.rule.probability < 1 and self._chance.random() >= self.rule.probability:
            return False
        if self.rule.times is not None and self.fired >= self.rule.times:
            return False
        self.fired += 1
        return True


def mix(
    rate: float = 0.05, *, seed: int = 0, slow_s: float = 1.0, retry_after_s: float = 1.0
) -> tuple[Rule, ...]:
    """Rules under which `rate` of the paid requests (0 to 1) meet a fault, each sort equally often.

    The sorts: a server error, a rate limit, a slow answer, a cut answer that was charged, one that was
    not, one cut in its middle, and both refusals of content.
    """
    sorts = (
        Rule(action="server_error"),
        Rule(action="rate_limited", retry_after_s=retry_after_s),
        Rule(action="slow", delay_s=slow_s),
        Rule(action="cut_before_answer", charged=True),
        Rule(action="cut_before_answer", charged=False),
        Rule(action="cut_half_body"),
        Rule(action="moderation_input"),
        Rule(action="moderation_output"),
    )
    return share_out(rate, sorts, seed=seed)


def share_out(rate: float, rules: Sequence[Rule], *, seed: int = 0) -> tuple[Rule, ...]:
    """The rules with chances such that together they meet `rate` of the requests, each equally often."""
    each = rate / len(rules)
    # A later rule sees only what earlier ones let through, so its chance among those must be higher.
    return tuple(
        rule.model_copy(update={"probability": each / (1 - each * place), "seed": seed * len(rules) + place})
        for place, rule in enumerate(rules)
    )
