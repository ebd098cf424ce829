"""How providers do where people choose between images without seeing who made them: a Bradley-Terry strength
each, how sure it is, and a rank only where it is sure (docs/decisions/0024).

Counted anew from the votes at each look: one statement adds them up, and the arithmetic is of a handful of
providers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp

from packshot.reports.health import ranks
from packshot.reports.sql import read

# With fewer comparisons than this nothing is said.
FEWEST = 10
# What each maker begins with: one tie, spread over all others. So strengths are finite whoever has won or
# lost everything, and those who never met can be held against each other, with the doubt that this deserves.
BEGINS_WITH = 1.0
_Z = 1.959963984540054  # 95 %


@dataclass(frozen=True, slots=True)
class Maker:
    """Who is rated: a provider, or one of its models."""

    provider: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was said of two makers: how often the first was found better than the second, how often they
    were equal, and how often neither was good."""

    first: Maker
    second: Maker
    better: float
    equal: float = 0
    neither: float = 0


@dataclass(frozen=True, slots=True)
class Rating:
    """How a maker does. `chance`: that its image is preferred to one of the average of all who are rated,
    with the interval at 95 %; None where too few votes say it. `rank`: where all others' lie apart."""

    maker: Maker
    votes: int  # comparisons that count
    wins: int
    ties: int
    losses: int
    neither: int  # comparisons in which none was good, which do not count
    chance: float | None
    low: float | None
    high: float | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class Ratings:
    """Everybody who was voted on, the strongest first, those with too few votes last."""

    providers: tuple[Rating, ...]
    models: tuple[Rating, ...]


@dataclass(frozen=True, slots=True)
class _Counted:
    provider: str
    model: str
    other_provider: str
    other_model: str
    better: int
    equal: int
    neither: int


def ratings(*, simulated: bool, category: str = "") -> Ratings:
    """Of all blind votes, or of those on products of a category and what lies below it. Votes on simulated
    images rate nothing real, and the other way round."""
    counted = read(
        _Counted,
        """
        SELECT provider, model, other_provider, other_model,
            count(*) FILTER (WHERE verdict = 'better') AS better,
            count(*) FILTER (WHERE verdict = 'equal') AS equal,
            count(*) FILTER (WHERE verdict = 'neither') AS neither
        FROM packshot_vote
        WHERE blind AND withdrawn_at IS NULL AND simulated = %(simulated)s
            AND (provider, model) <> (other_provider, other_model)
            AND (%(category)s = '' OR category_path = %(category)s
                OR starts_with(category_path, %(category)s || ' > '))
        GROUP BY 1, 2, 3, 4
        """,
        simulated=simulated,
        category=category,
    )
    return Ratings(
        rate(
            [
                Tally(Maker(each.provider), Maker(each.other_provider), each.better, each.equal, each.neither)
                for each in counted
                if each.provider != each.other_provider
            ]
        ),
        rate(
            [
                Tally(
                    Maker(each.provider, each.model),
                    Maker(each.other_provider, each.other_model),
                    each.better,
                    each.equal,
                    each.neither,
                )
                for each in counted
            ]
        ),
    )


def rate(tallies: Sequence[Tally]) -> tuple[Rating, ...]:
    """The ratings that these tallies add up to, in whatever order they come."""
    names = sorted(
        {each for tally in tallies for each in (tally.first, tally.second)},
        key=lambda each: (each.provider, each.model),
    )
    place = {name: number for number, name in enumerate(names)}
    size = len(names)
    better, equal, neither = ([[0.0] * size for _ in names] for _ in range(3))
    for tally in tallies:
        one, two = place[tally.first], place[tally.second]
        better[one][two] += tally.better
        for a, b in ((one, two), (two, one)):
            equal[a][b] += tally.equal
            neither[a][b] += tally.neither
    votes = {
        name: round(sum(better[at]) + sum(row[at] for row in better) + sum(equal[at]))
        for name, at in place.items()
    }
    enough = [name for name in names if votes[name] >= FEWEST]
    said: Mapping[Maker, tuple[float, float, float]] = {}
    if len(enough) > 1:
        wins = tuple(tuple(better[a][b] + equal[a][b] / 2 for b in range(size)) for a in range(size))
        strengths = _strengths(wins, tuple(place[name] for name in enough))
        said = {name: _chances(*strengths[place[name]]) for name in enough}
    order = ranks({name: (low, high) for name, (_, low, high) in said.items()})
    found = []
    for name, at in place.items():
        chance, low, high = said.get(name, (None, None, None))
        found.append(
            Rating(
                name,
                votes[name],
                round(sum(better[at])),
                round(sum(equal[at])),
                round(sum(row[at] for row in better)),
                round(sum(neither[at])),
                chance,
                low,
                high,
                order.get(name),
            )
        )
    return tuple(sorted(found, key=lambda each: (each.chance is None, -(each.chance or 0), -each.votes)))


@lru_cache(maxsize=64)
def _strengths(
    wins: tuple[tuple[float, ...], ...], rated: tuple[int, ...]
) -> tuple[tuple[float, float], ...]:
    """By maker: its strength as log odds against the average of the `rated` ones, and the standard error of
    that. `wins[a][b]`: how often a won against b, a tie being half a win of each."""
    # Measured: two seconds and 100 MB for SciPy, which only whoever looks at ratings pays, once a process.
    import choix
    import numpy

    size = len(wins)
    counts = numpy.array(wins) + BEGINS_WITH / (size - 1) / 2
    numpy.fill_diagonal(counts, 0.0)
    found = choix.ilsr_pairwise_dense(counts, max_iter=1_000)
    # The curvature of the likelihood at its peak; its inverse is the uncertainty. It says nothing of the
    # level of all strengths together, which the ones stand for, and which goes out with the average.
    chance = 1 / (1 + numpy.exp(found[None, :] - found[:, None]))
    weight = (counts + counts.T) * chance * chance.T
    covariance = numpy.linalg.inv(numpy.diag(weight.sum(axis=1)) - weight + 1 / size)
    average = numpy.zeros(size)
    average[list(rated)] = 1 / len(rated)
    against = numpy.eye(size) - average
    errors = numpy.sqrt(numpy.einsum("ij,jk,ik->i", against, covariance, against))
    return tuple(zip((against @ found).tolist(), errors.tolist(), strict=True))


def _chances(strength: float, error: float) -> tuple[float, float, float]:
    """The chance against an average one, and the ends of its interval."""
    middle, low, high = (
        1 / (1 + exp(-each)) for each in (strength, strength - _Z * error, strength + _Z * error)
    )
    return middle, low, high
