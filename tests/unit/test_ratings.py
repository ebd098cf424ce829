"""Bradley-Terry ratings against what is known of them, and ranks only where they are plain."""

import subprocess
import sys
from itertools import permutations
from math import exp, log
from random import Random

import pytest

from packshot.reports.health import ranks
from packshot.reports.ratings import FEWEST, Maker, Rating, Tally, rate

A, B, C, D = (Maker(name) for name in "abcd")


def by_name(found: tuple[Rating, ...]) -> dict[str, Rating]:
    return {each.maker.provider: each for each in found}


def chance(found: Rating) -> float:
    assert found.chance is not None
    return found.chance


def width(found: Rating) -> float:
    assert found.low is not None and found.high is not None
    return found.high - found.low


def odds(found: Rating) -> float:
    return log(chance(found) / (1 - chance(found)))


def test_who_wins_as_often_as_they_lose_are_average_and_nobody_has_a_rank():
    found = rate([Tally(one, two, 20) for one, two in permutations((A, B, C), 2)])
    assert [each.chance for each in found] == [pytest.approx(0.5)] * 3
    assert {each.rank for each in found} == {None}
    assert {(each.votes, each.wins, each.losses) for each in found} == {(80, 40, 40)}


def test_the_interval_of_two_is_the_one_of_the_binomial_with_one_tie_added():
    # 30 of 40 and the tie that all begin with: the log odds of 30.5 against 10.5, and their standard error.
    found = by_name(rate([Tally(A, B, 30), Tally(B, A, 10)]))
    apart, error = log(30.5 / 10.5), (1 / 30.5 + 1 / 10.5) ** 0.5
    low, high = (1 / (1 + exp(-(apart + sign * 1.959964 * error) / 2)) for sign in (-1, 1))
    assert odds(found["a"]) == pytest.approx(apart / 2, abs=1e-6)
    assert (found["a"].low, found["a"].high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_known_strengths_are_found_again():
    strength = {A: 0.9, B: 0.2, C: -0.3, D: -0.8}
    tallies = [
        Tally(one, two, 400 / (1 + exp(strength[two] - strength[one])))
        for one, two in permutations(strength, 2)
    ]
    found = by_name(rate(tallies))
    for maker, wanted in strength.items():
        assert odds(found[maker.provider]) == pytest.approx(wanted, abs=0.01)
    assert [each.rank for each in rate(tallies)] == [1, 2, 3, 4]


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    random = Random(7)
    truth, rounds, held = 0.6, 400, 0
    for _ in range(rounds):
        wins = sum(random.random() < 1 / (1 + exp(-2 * truth)) for _ in range(60))
        found = by_name(rate([Tally(A, B, wins), Tally(B, A, 60 - wins)]))["a"]
        assert found.low is not None and found.high is not None
        held += found.low <= 1 / (1 + exp(-truth)) <= found.high
    assert 0.92 <= held / rounds <= 0.98


def test_a_lead_becomes_a_rank_only_when_there_is_enough_of_it():
    few = by_name(rate([Tally(A, B, 9), Tally(B, A, 6)]))
    many = by_name(rate([Tally(A, B, 180), Tally(B, A, 120)]))
    assert chance(few["a"]) > 0.5 and few["a"].rank is None
    assert (many["a"].rank, many["b"].rank) == (1, 2)
    assert width(many["a"]) < width(few["a"]) / 3


def test_a_tie_is_half_a_win_of_each():
    with_ties = rate([Tally(A, B, 20, equal=10), Tally(B, A, 10)])
    halves = rate([Tally(A, B, 25), Tally(B, A, 15)])
    assert [each.chance for each in with_ties] == [pytest.approx(each.chance) for each in halves]
    assert [(each.wins, each.ties, each.losses, each.votes) for each in with_ties] == [
        (20, 10, 10, 40),
        (10, 10, 20, 40),
    ]


def test_neither_is_good_is_counted_and_says_nothing_of_who_is_better():
    plain, with_bad = (
        rate([Tally(A, B, 12), Tally(B, A, 8)]),
        rate([Tally(A, B, 12, neither=50), Tally(B, A, 8)]),
    )
    assert [each.chance for each in plain] == [each.chance for each in with_bad]
    assert [(each.votes, each.neither) for each in with_bad] == [(20, 50)] * 2


def test_the_order_of_the_votes_changes_nothing():
    random = Random(11)
    tallies = [
        Tally(one, two, random.randrange(30), random.randrange(4))
        for one, two in permutations((A, B, C, D), 2)
    ]
    first = rate(tallies)
    for _ in range(5):
        random.shuffle(tallies)
        again = rate(tallies)
        assert [each.maker for each in again] == [each.maker for each in first]
        assert [each.chance for each in again] == [pytest.approx(each.chance, abs=1e-9) for each in first]


def test_names_say_nothing_about_strength():
    there = by_name(rate([Tally(A, B, 40), Tally(B, A, 10), Tally(B, C, 25), Tally(C, B, 25)]))
    swapped = by_name(rate([Tally(C, B, 40), Tally(B, C, 10), Tally(B, A, 25), Tally(A, B, 25)]))
    assert chance(there["a"]) == pytest.approx(chance(swapped["c"]))
    assert there["c"].low == pytest.approx(swapped["a"].low)


def test_with_too_few_votes_nothing_is_said_and_nobody_else_loses_a_rank_by_it():
    found = by_name(rate([Tally(A, B, 180), Tally(B, A, 120), Tally(C, A, FEWEST - 2), Tally(B, C, 1)]))
    assert (found["c"].votes, found["c"].chance, found["c"].low, found["c"].rank) == (
        FEWEST - 1,
        None,
        None,
        None,
    )
    assert (found["a"].rank, found["b"].rank) == (1, 2)
    # One alone with enough votes would be its own average.
    assert {each.chance for each in rate([Tally(A, B, FEWEST // 2), Tally(A, C, FEWEST // 2)])} == {None}


def test_who_never_met_the_others_is_compared_with_all_the_doubt_that_deserves():
    apart = by_name(rate([Tally(A, B, 40), Tally(B, A, 10), Tally(C, D, 40), Tally(D, C, 10)]))
    together = by_name(
        rate(
            [
                Tally(A, B, 40),
                Tally(B, A, 10),
                Tally(C, D, 40),
                Tally(D, C, 10),
                Tally(A, C, 25),
                Tally(C, A, 25),
                Tally(B, D, 25),
                Tally(D, B, 25),
            ]
        )
    )
    assert {each.rank for each in apart.values()} == {None}
    assert width(apart["a"]) > 1.5 * width(together["a"])
    assert chance(apart["a"]) == pytest.approx(chance(apart["c"]))


def test_who_won_everything_has_a_finite_strength_and_an_honest_interval():
    found = by_name(rate([Tally(A, B, 10_000)]))
    assert 0.5 < (found["a"].low or 0) < chance(found["a"]) < 1
    assert found["a"].rank == 1


def test_the_heavy_arithmetic_is_loaded_by_nobody_who_rates_nothing():
    code = (
        "import sys, django; django.setup(); import packshot.urls, packshot.cli.up, packshot.worker.pay;"
        "from packshot.reports.ratings import Maker, Tally, rate; rate([Tally(Maker('a'), Maker('b'), 3)]);"
        "print({'choix', 'numpy', 'scipy'} & sys.modules.keys())"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"


def test_of_nothing_there_is_no_rating():
    assert rate([]) == ()


def test_ranks_are_of_those_whose_interval_lies_apart_from_all_others():
    assert ranks({"a": (0.7, 0.8), "b": (0.4, 0.5), "c": (0.45, 0.6), "d": (0.1, 0.2)}) == {"a": 1, "d": 4}
    assert ranks({"a": (0.7, 0.8)}) == {}
    assert ranks({"a": (0.1, 0.5), "b": (0.5, 0.9)}) == {}
