"""Settings of the simulator: what goes wrong there, what it charges, and its bill beside the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import isfinite, nan

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from packshot.flows import simulate
from packshot.flows.desk import uses_simulator
from packshot.flows.simulate import Beside, Standing, UnusableFault, Wish
from packshot.kernel.errors import BadInput
from packshot.kernel.money import show
from packshot.providers import registry
from packshot.simulator.faults import InForce
from packshot.simulator.kinds import KINDS, Kind
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.pages.settings import drawn_again, tab_context, tab_page
from packshot.web.security import actor_of, needs

_FIELDS = ("kind", "provider", "share", "count", "after", "prompt", "seconds", "status", "charged")
_AS_IT_COMES: Mapping[str, str] = dict.fromkeys(_FIELDS, "") | {"kind": "rate_limited", "share": "100"}
_CHARGED = {"": None, "yes": True, "no": False}
# Rarely needed: shown once one of them was filled in.
# Adding up takes a second for 50,000 charges: more than these are added up when somebody asks.
CHARGES_MOST = 20_000
_MORE = ("after", "prompt", "seconds", "status", "charged")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in force as the page shows it."""

    id: str
    words: str
    provider: str  # nothing: all of them
    share: str
    times: str
    spent: bool


@dataclass(frozen=True, slots=True)
class Why:
    """One reason for a difference between bill and ledger."""

    words: str
    count: int
    difference: str
    held: str  # nothing where nothing is held


@dataclass(frozen=True, slots=True)
class Line:
    """One provider's bill beside the ledger, or that of all."""

    provider: str
    charges: int
    billed: str
    booked: str
    difference: str
    differs: bool
    held: str


@needs("manage_providers")
@require_http_methods(["GET", "HEAD", "POST"])
def simulator(request: HttpRequest) -> HttpResponse:
    """What is set, and the bill. POST adds a fault, takes one or all away, or sets prices."""
    if not uses_simulator():
        raise Http404
    if request.method != "POST":
        return _page(request)
    acts = {"add": _add, "remove": _remove, "calm": _calm, "prices": _set_prices}
    act = acts.get(request.POST.get("do", ""))
    try:
        if act is None:
            raise BadInput("say what to do")
        return act(request)
    except BadInput as problem:
        return refuse(request, problem, then=reverse("settings_simulator"))


def _add(request: HttpRequest) -> HttpResponse:
    typed = {name: request.POST.get(name, "").strip() for name in _FIELDS}
    try:
        added = simulate.add_fault(_wish(typed), actor_of(request))
    except UnusableFault as problem:
        return _page(request, typed=typed, problems=problem.problems, status=422)
    back = Undo(reverse("settings_simulator"), {"do": "remove", "fault": added.id})
    return _done(request, Toast("Fault added", undo=back))


def _remove(request: HttpRequest) -> HttpResponse:
    removed = simulate.remove_fault(request.POST.get("fault", ""), actor_of(request))
    return _done(request, Toast("Fault removed" if removed else "It was gone already"))


def _calm(request: HttpRequest) -> HttpResponse:
    count = simulate.calm(actor_of(request))
    return _done(request, Toast("Everything goes well again" if count else "Nothing went wrong"))


def _set_prices(request: HttpRequest) -> HttpResponse:
    typed: dict[str, str] = {name: request.POST.get(name, "").strip() or "1" for name in simulate.PROVIDERS}
    problems: dict[str, str] = {}
    for name, times in typed.items():
        try:
            simulate.factor(name, times)
        except BadInput as problem:
            problems[name] = str(problem)
    if problems:
        return _page(request, times=typed, problems=problems, status=422)
    for name, times in typed.items():
        simulate.set_price(name, times, actor_of(request))
    return _done(request, Toast("Prices set"))


def _done(request: HttpRequest, toast: Toast) -> HttpResponse:
    here = reverse("settings_simulator")
    if "HX-Request" not in request.headers:
        return answer(request, toast, then=here)
    context = tab_context(request, "settings_simulator", _shown())
    return answer(request, toast, [drawn_again("settings_simulator", context)], then=here)


def _page(
    request: HttpRequest,
    *,
    typed: Mapping[str, str] | None = None,
    times: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    shown = _shown(asked="bill" in request.GET, typed=typed, times=times, problems=problems)
    return tab_page(request, "settings_simulator", "settings_simulator", shown, status=status)


# -- what was typed --------------------------------------------------------------------------------


def _wish(typed: Mapping[str, str]) -> Wish:
    problems: dict[str, str] = {}

    def number(name: str, words: str) -> float | None:
        if not typed[name]:
            return None
        try:
            value = float(typed[name].removesuffix("%").strip())
        except ValueError:
            value = nan
        if not isfinite(value):
            problems[name] = f"{typed[name]!r} is not {words}"
            return None
        return value

    share = number("share", "a share in percent, such as 10")
    seconds = number("seconds", "a number of seconds, such as 7")
    whole = {name: number(name, "a whole number, such as 3") for name in ("count", "after", "status")}
    for name, value in whole.items():
        if value is not None and value != int(value):
            problems[name] = f"{typed[name]!r} is not a whole number, such as 3"
    if problems:
        raise UnusableFault(problems)
    count, after, status = (None if each is None else int(each) for each in whole.values())
    return Wish(
        kind=typed["kind"],
        provider=typed["provider"] or None,
        share=1.0 if share is None else share / 100,
        count=count,
        after=after or 0,
        prompt=typed["prompt"] or None,
        seconds=seconds,
        status=status,
        charged=_CHARGED.get(typed["charged"]),
    )


# -- what is shown ---------------------------------------------------------------------------------


def _shown(
    *,
    asked: bool = False,
    typed: Mapping[str, str] | None = None,
    times: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> dict[str, object]:
    now: Standing | None = None
    trouble = ""
    try:
        now = simulate.standing()
    except BadInput as problem:
        trouble = str(problem)
    given = typed or _AS_IT_COMES
    wrong = problems or {}
    return {
        "trouble": _sentence(trouble),
        "faults": [_fault(each) for each in now.faults] if now else [],
        "prices": [(name, (times or {}).get(name) or _factor(each)) for name, each in now.prices.items()]
        if now
        else [],
        "kinds": [(group, list(each)) for group, each in groupby(KINDS.values(), key=_group)],
        "where": {name: _where(kind) for name, kind in KINDS.items()},
        "providers": simulate.PROVIDERS,
        "typed": given,
        "more": any(given[name] or name in wrong for name in _MORE),
        "problems": {name: _sentence(wrong.get(name, "")) for name in (*_FIELDS, *simulate.PROVIDERS)},
        **_bill(asked=asked),
    }


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _group(kind: Kind) -> str:
    return kind.group


def _where(kind: Kind) -> str:
    """Who knows it, unless all do."""
    if kind.where == simulate.PROVIDERS:
        return ""
    adapters = registry.adapters()
    return ", ".join(adapters[name].label if name in adapters else name for name in kind.where)


def _fault(each: InForce) -> Fault:
    words = simulate.in_words(each.rule)
    most = "" if each.rule.times is None else f" of at most {each.rule.times:,}"
    return Fault(
        each.id,
        words,
        each.rule.dialect or "",
        "" if each.rule.probability == 1 else f"{100 * each.rule.probability:.4g}%",
        f"{each.fired:,}{most}",
        each.spent,
    )


def _factor(times: Fraction) -> str:
    return f"{float(times):.6g}"


def _bill(*, asked: bool) -> dict[str, object]:
    count = simulate.charges()
    if not count or (count > CHARGES_MOST and not asked):
        return {"charges": count, "bill": []}
    found = simulate.bill()
    unexplained = sum(each.unexplained_micros for each in found)
    return {
        "charges": count,
        "bill": [_line(each.provider, [each]) for each in found],
        "in_all": _line("", found),
        "reasons": [
            (
                each.provider,
                Why(
                    why.words,
                    why.count,
                    show(why.difference_micros),
                    show(why.held_micros) if why.held_micros else "",
                ),
            )
            for each in found
            for why in each.reasons
        ],
        "unexplained": show(unexplained) if unexplained else "",
    }


def _line(provider: str, found: Sequence[Beside]) -> Line:
    difference = sum(each.difference_micros for each in found)
    return Line(
        provider,
        sum(each.charges for each in found),
        show(sum(each.billed_micros for each in found)),
        show(sum(each.booked_micros for each in found)),
        show(difference),
        difference != 0,
        show(sum(each.held_micros for each in found)),
    )
