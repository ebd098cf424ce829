"""The fault script: which rule decides a request, how it counts, what a mix adds up to."""

import pytest
from pydantic import ValidationError

from packshot.simulator import Rule, faults
from packshot.simulator.faults import RULES, FaultScript

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
        {"action": "never_ready", "dialect": "openai"},
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
