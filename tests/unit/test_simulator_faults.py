"""The fault script: which rule decides a request, how it counts, what a mix adds up to."""

from typing import get_args

import pytest
from pydantic import ValidationError

from packshot.simulator import Rule, faults
from packshot.simulator.faults import BATCHES_PATH, RULES, Action, DialectName, FaultScript, Garbage
from packshot.simulator.kinds import KINDS, Kind, kind_of

IMAGES = "/v1/images/generations"


def script(*rules: dict[str, object]) -> FaultScript:
    return FaultScript(RULES.validate_python(rules))


def decided(script: FaultScript, *, dialect="openai", path=IMAGES, prompt="a mug", paid=True) -> str | None:
    rule = script.match(dialect, path, prompt, paid=paid)
    return rule.action if rule else None


def test_an_empty_script_lets_everything_go_well():
    assert decided(FaultScript()) is None


def test_the_first_rule_that_fits_decides():
    rules = script(
        {"action": "hang", "prompt": "rope"},
        {"action": "server_error"},
        {"action": "overloaded"},
    )
    assert decided(rules, prompt="hemp rope, 10 m") == "hang"
    assert decided(rules, prompt="a mug") == "server_error"


def test_a_rule_without_a_path_leaves_polls_and_downloads_alone():
    rules = script({"action": "server_error"})
    assert decided(rules, dialect="flux", path="/v1/get_result", paid=False) is None
    assert decided(rules, dialect="flux", path="/v1/flux-2-pro") == "server_error"


def test_a_path_is_a_glob():
    rules = script({"action": "server_error", "path": "/delivery/*"})
    assert decided(rules, dialect="flux", path="/delivery/7/sample.jpeg", paid=False) == "server_error"
    assert decided(rules, dialect="flux", path="/v1/flux-2-pro") is None


def test_a_regular_expression_finds_prompts():
    rules = script({"action": "moderation_input", "prompt_regex": r"(?i)logo of \w+"})
    assert decided(rules, prompt="A Logo of Acme") == "moderation_input"
    assert decided(rules, prompt="a logo") is None


def test_a_rule_of_one_dialect_leaves_the_other_alone():
    rules = script({"action": "server_error", "dialect": "flux"})
    assert decided(rules) is None
    assert decided(rules, dialect="flux", path="/v1/flux-2-pro") == "server_error"


def test_what_happens_to_tasks_cannot_happen_to_openai():
    rules = script({"action": "never_ready"})
    assert decided(rules) is None
    assert decided(rules, dialect="flux", path="/v1/flux-2-pro") == "never_ready"


def test_nth_counts_only_requests_that_fit_otherwise():
    rules = script({"action": "server_error", "prompt": "rope", "nth": [2, 3]})
    prompts = ["rope", "mug", "rope", "mug", "rope", "rope"]
    assert [decided(rules, prompt=prompt) for prompt in prompts] == [
        None,
        None,
        "server_error",
        None,
        "server_error",
        None,
    ]


def test_a_rule_is_spent_after_its_times():
    rules = script({"action": "server_error", "times": 2})
    assert [decided(rules) for _ in range(4)] == ["server_error", "server_error", None, None]
    assert rules.fired == (2,)


def test_so_many_requests_go_well_first():
    rules = script({"action": "server_error", "after": 2, "times": 1, "prompt": "rope"})
    prompts = ["rope", "mug", "rope", "rope", "rope"]
    assert [decided(rules, prompt=prompt) for prompt in prompts] == [None, None, None, "server_error", None]


def test_a_rule_is_added_after_the_others_and_taken_away_alone():
    rules = script({"action": "server_error", "prompt": "rope"})
    decided(rules, prompt="rope")
    added = rules.add(Rule(action="overloaded"))
    assert [decided(rules, prompt=prompt) for prompt in ("rope", "mug")] == ["server_error", "overloaded"]
    removed = rules.remove(added.id)
    assert removed is not None
    assert (removed.rule, removed.met, removed.fired) == (added.rule, 1, 1)
    assert rules.remove(added.id) is None
    assert [(each.rule.action, each.met, each.fired) for each in rules.in_force] == [("server_error", 2, 2)]


def test_an_id_of_one_script_means_nothing_in_the_next():
    first, second = (FaultScript([Rule(action="hang")]) for _ in range(2))
    (old,) = first.in_force
    assert second.remove(old.id) is None


def test_chance_is_the_same_for_the_same_seed():
    def run(seed: int) -> list[str | None]:
        rules = script({"action": "server_error", "probability": 0.3, "seed": seed})
        return [decided(rules) for _ in range(200)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 35 <= sum(action is not None for action in run(1)) <= 85


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_a_mix_meets_its_rate_with_each_sort_equally_often(rate: float):
    rules = FaultScript(faults.mix(rate, seed=7))
    requests = 20_000
    met = sum(decided(rules) is not None for _ in range(requests))
    assert met == pytest.approx(rate * requests, rel=0.05)
    expected = rate * requests / len(rules.rules)
    assert all(fired == pytest.approx(expected, rel=0.25) for fired in rules.fired)


def test_a_mix_of_five_percent_brings_every_sort_within_five_hundred():
    rules = FaultScript(faults.mix(0.05, seed=0))
    for _ in range(500):
        decided(rules)
    assert all(rules.fired), rules.fired


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "explode"},
        {"action": "answer"},
        {"action": "garbage"},
        {"action": "hang", "variant": "html"},
        {"action": "never_ready", "dialect": "openai", "path": "/v1/images/*"},
        {"action": "not_verified", "dialect": "flux"},
        {"action": "hang", "prompt_regex": "("},
        {"action": "hang", "probability": 1.5},
        {"action": "hang", "promt": "rope"},
    ],
)
def test_a_rule_that_could_never_work_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Rule.model_validate(wrong)


@pytest.mark.parametrize(
    ("rule", "charged"),
    [
        ({"action": "server_error"}, False),
        ({"action": "server_error", "charged": True}, True),
        ({"action": "moderation_input"}, False),
        ({"action": "moderation_output"}, True),
        ({"action": "cut_before_answer"}, True),
        ({"action": "cut_before_answer", "charged": False}, False),
        ({"action": "task_error"}, False),
        ({"action": "never_ready"}, True),
    ],
)
def test_what_a_fault_costs(rule: dict[str, object], charged: bool):
    fault = Rule.model_validate(rule)
    assert fault.charges(moderated_input=False, moderated_output=True) is charged


# -- in words ------------------------------------------------------------------------------------------


def rule_of(kind: Kind, **more: object) -> Rule:
    status = {"status": 418} if kind.action == "answer" else {}
    return Rule.model_validate({"action": kind.action, **kind.given, **status, **more})


def test_every_way_to_go_wrong_has_words_of_its_own():
    assert {kind.action for kind in KINDS.values()} == {
        action for each in get_args(Action) for action in get_args(each) or (each,)
    }
    garbage = [kind.given["variant"] for kind in KINDS.values() if kind.action == "garbage"]
    assert garbage == list(get_args(Garbage))
    assert len({kind.words for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_found_again_in_the_rule_that_it_makes(name: str):
    rule = rule_of(KINDS[name])
    assert kind_of(rule.action, path=rule.path, variant=rule.variant) is KINDS[name]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_happens_where_it_says_and_nowhere_else(name: str):
    kind = KINDS[name]
    assert kind.where
    path = kind.given.get("path", IMAGES)
    rules = FaultScript([rule_of(kind)])
    reached = {
        each
        for each in get_args(DialectName)
        # OpenAI has one thing that is collected later, and only that meets a fate: a batch.
        if decided(rules, dialect=each, path=str(path), paid=path == IMAGES)
        or (each == "openai" and decided(rules, dialect=each, path=BATCHES_PATH, paid=True))
    }
    assert reached >= set(kind.where)
    if name != "late":  # it is `slow` there, too, where no report is ever sent
        assert reached == set(kind.where)
