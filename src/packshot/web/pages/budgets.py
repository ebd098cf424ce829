"""Budgets: what may be spent on what, how far each has come, where its period is likely to end."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_http_methods, require_safe

from packshot import generations, ledger, preferences, reports
from packshot.accounts.models import User
from packshot.catalogue.models import Category
from packshot.events import Happening
from packshot.flows import spending
from packshot.flows.desk import uses_simulator
from packshot.generations.models import Attempt, ProviderRecord, Run
from packshot.kernel.errors import BadInput
from packshot.kernel.money import dollars, parse_dollars
from packshot.ledger import BudgetState, Limit, StatementLine
from packshot.web import charts, live, sheets, words
from packshot.web.answers import Toast, answer
from packshot.web.charts import Drawing
from packshot.web.jinja import provider_name
from packshot.web.live import Topic
from packshot.web.security import actor_of, needs

PERIODS = {"day": "per day", "week": "per week", "month": "per month", "total": "in all"}
SCOPES = {
    "everything": "Everything",
    "provider": "A provider",
    "category": "A category and those below it",
    "person": "A person",
    "run": "A run",
}
# From here on a bar warns; from the limit on it alarms.
WARNS_FROM = 80
HISTORY_DAYS = 28
_DAYS_OF = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget as the table shows it. Shares are percent of the limit, as wide as they are drawn."""

    id: UUID
    name: str
    subject: str
    period: str
    simulated: bool
    spent: Decimal
    held: Decimal
    limit: Decimal
    left: Decimal
    used: int  # percent, whole; over 100 when overspent
    used_words: str
    spent_share: float
    held_share: float
    tone: str
    resets: str


@dataclass(frozen=True, slots=True)
class Course:
    """One budget's period so far and to its end."""

    name: str
    simulated: bool
    spent: Decimal
    limit: Decimal
    finding: str
    chart: Drawing


@dataclass(frozen=True, slots=True)
class Share:
    """What one provider cost of all that was spent this month."""

    provider: str
    amount: Decimal
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether money is spent at all."""

    stopped: bool
    words: str


@dataclass(frozen=True, slots=True)
class Budgets:
    """Everything that moves on this page while money does."""

    rows: Sequence[BudgetRow]
    over: Sequence[BudgetRow]
    near: Sequence[BudgetRow]
    waiting: int  # generations that wait for money
    switch: Switch


@needs("read_costs")
@require_safe
def budgets(request: HttpRequest) -> HttpResponse:
    """Every budget, the site's own in full, and the month by provider."""
    stream = live.address("budgets")
    states = ledger.budgets()
    now = _now(states)
    zone = str(preferences.get("time_zone"))
    return render(
        request,
        "pages/budgets.html",
        {
            "stream": stream,
            "now": now,
            "course": _course(states),
            "shares": _shares(zone),
            "zone": zone,
            "alerts": ledger.ALERTS_AT,
        },
    )


@needs("read_costs")
@require_safe
def statement(request: HttpRequest) -> HttpResponse:
    """A month's statement as CSV: by provider, model, category, person, run or day."""
    zone = ZoneInfo(str(preferences.get("time_zone")))
    try:
        first = date.fromisoformat(request.GET.get("month", "") + "-01") if request.GET.get("month") else None
        first = first or timezone.now().astimezone(zone).date().replace(day=1)
        after = first + timedelta(days=monthrange(first.year, first.month)[1])
        by = request.GET.get("by", "provider")
        lines = ledger.statement(
            by,  # type: ignore[arg-type] # whatever it is, it is checked there
            start=datetime.combine(first, datetime.min.time(), zone),
            end=datetime.combine(after, datetime.min.time(), zone),
            zone=zone.key,
        )
    except (BadInput, ValueError, OverflowError):  # a month after which there is none
        raise Http404 from None
    response = HttpResponse(_csv(by, lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="packshot-{first:%Y-%m}-{by}.csv"'
    return response


def _csv(by: str, lines: Sequence[StatementLine]) -> str:
    rows = [
        [
            each.key,
            "simulated" if each.simulated else "real",
            each.charges,
            each.corrections,
            dollars(each.amount_micros),
        ]
        for each in lines
    ]
    return sheets.lines([[by, "money", "charges", "corrections", "dollars"], *rows])


# -- one budget ------------------------------------------------------------------------------------


@needs("manage_budgets")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a budget."""
    if request.method != "POST":
        return _form(request, None, {"period": "month", "scope": "everything", **request.GET.dict()}, {})
    given = request.POST.dict()
    try:
        made = spending.add_budget(
            Limit(
                _amount(given),
                given.get("scope", ""),
                given.get("scope_value", "").strip() if given.get("scope") != "everything" else "",
                given.get("period", ""),
                given.get("zone", "").strip() or str(preferences.get("time_zone")),
                given.get("money") == "simulated",
                given.get("name", ""),
            ),
            actor_of(request),
        )
    except BadInput as problem:
        return _form(request, None, given, {problem.field or "limit": str(problem)}, status=422)
    return answer(request, Toast(f"Budget {made.name} added"), then=reverse("budgets"))


@needs("manage_budgets")
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, budget_id: UUID) -> HttpResponse:
    """Change one budget."""
    state = _state(budget_id)
    if request.method != "POST":
        given = {
            "name": state.name,
            "limit": f"{dollars(state.limit_micros):.2f}",
            "period": state.period,
            "zone": state.zone,
            "scope": state.scope,
            "scope_value": state.scope_value,
            "money": "simulated" if state.simulated else "real",
        }
        return _form(request, state, given, {})
    given = request.POST.dict()
    try:
        changed = spending.change_budget(
            budget_id,
            actor_of(request),
            limit_micros=_amount(given),
            name=given.get("name"),
            period=given.get("period"),
            zone=given.get("zone", "").strip() or None,
        )
    except BadInput as problem:
        return _form(request, state, given, {problem.field or "limit": str(problem)}, status=422)
    return answer(request, Toast(f"Budget {changed.name} changed"), then=reverse("budgets"))


@needs("manage_budgets")
def archive(request: HttpRequest, budget_id: UUID) -> HttpResponse:
    """Take a budget away."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("budgets"))
    gone = spending.archive_budget(_state(budget_id).id, actor_of(request))
    return answer(request, Toast(f"Budget {gone.name} removed"), then=reverse("budgets"))


def _state(budget_id: UUID) -> BudgetState:
    found = next((each for each in ledger.budgets() if each.id == budget_id), None)
    if found is None:
        raise Http404
    return found


def _amount(given: Mapping[str, str]) -> int:
    try:
        return parse_dollars(given.get("limit", ""))
    except ValueError as problem:
        raise BadInput(str(problem), field="limit") from None


def _form(
    request: HttpRequest,
    state: BudgetState | None,
    given: Mapping[str, str],
    problems: Mapping[str, str],
    *,
    status: int = 200,
) -> HttpResponse:
    known = {
        "provider": list(ProviderRecord.objects.order_by("label").values_list("name", flat=True)),
        "category": list(Category.objects.order_by("path").values_list("path", flat=True)[:500]),
        "person": list(User.objects.order_by("username").values_list("username", flat=True)[:500]),
        "run": [str(each) for each in Run.objects.order_by("-id").values_list("id", flat=True)[:50]],
    }
    return render(
        request,
        "pages/budget.html",
        {
            "budget": state,
            "given": {name: given.get(name, "") for name in _FIELDS},
            "problems": {name: problems.get(name, "") for name in _FIELDS},
            "scopes": SCOPES,
            "periods": PERIODS,
            "known": known,
            "default_zone": str(preferences.get("time_zone")),
            "simulated_first": uses_simulator(),
        },
        status=status,
    )


_FIELDS = ("name", "limit", "scope", "scope_value", "period", "zone", "money", "budget")


# -- what is shown ---------------------------------------------------------------------------------


def _now(states: Sequence[BudgetState]) -> Budgets:
    rows = [_row(each) for each in states]
    rows.sort(key=lambda row: (row.simulated, row.subject != "Everything", -row.used, row.name))
    return Budgets(
        rows=rows,
        over=[row for row in rows if row.used >= 100],
        near=[row for row in rows if WARNS_FROM <= row.used < 100],
        waiting=generations.waiting_for("budget"),
        switch=_switch(),
    )


def _switch() -> Switch:
    state = ledger.stop_state()
    if not state.stopped:
        return Switch(False, "Spending goes on")
    if generations.unacknowledged(state.version):
        away = Attempt.objects.filter(state="sending").count()
        return Switch(True, f"Stopping, {away} on their way")
    return Switch(True, f"Stopped by {state.changed_by_name}")


def _row(state: BudgetState) -> BudgetRow:
    limit = state.limit_micros
    used = 0 if not limit and not state.spent_micros else round(100 * state.spent_micros / max(limit, 1))
    used = min(used, 999)
    spent_share = min(100.0, 100 * state.spent_micros / limit) if limit else 100.0 * bool(state.spent_micros)
    held_share = min(100.0 - spent_share, 100 * state.reserved_micros / limit) if limit else 0.0
    return BudgetRow(
        id=state.id,
        name=_name(state),
        subject="Everything" if state.scope == "everything" else state.scope_value,
        period=PERIODS[state.period],
        simulated=state.simulated,
        spent=dollars(state.spent_micros),
        held=dollars(state.reserved_micros),
        limit=dollars(limit),
        left=dollars(state.left_micros),
        used=used,
        used_words="<1%" if not used and state.spent_micros else f"{used}%",
        spent_share=round(spent_share, 1),
        held_share=round(held_share, 1),
        tone="bad" if used >= 100 else "warn" if used >= WARNS_FROM else "plain",
        resets=_resets(state),
    )


def _name(state: BudgetState) -> str:
    """As people named it; a budget that is called after its provider is called as people call that."""
    label = provider_name(state.scope_value) if state.scope == "provider" else ""
    return state.name.replace(state.scope_value, label, 1) if label else state.name


def _resets(state: BudgetState) -> str:
    if state.ends_at is None:
        return "never resets"
    left = state.ends_at - timezone.now()
    if left < timedelta(hours=24):
        return f"resets in {words.duration(max(60.0, left.total_seconds()))}"
    days = left.days + (left.seconds > 0)
    return f"{days} days left" if days > 1 else "1 day left"


def _course(states: Sequence[BudgetState]) -> Course | None:
    """The site's own budget of the money that this site spends, over its period."""
    wanted = [each for each in states if each.scope == "everything" and each.simulated == uses_simulator()]
    wanted = wanted or [each for each in states if each.scope == "everything"]
    state = next((each for each in wanted if each.period in ("month", "week")), next(iter(wanted), None))
    if state is None or state.ends_at is None:
        return None
    zone = ZoneInfo(state.zone)
    first = state.starts_at.astimezone(zone).date()
    last = (state.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    today = timezone.now().astimezone(zone).date()
    # A budget of everything counts all of its money, and that stands in the rollups.
    past = reports.by_day(
        simulated=state.simulated, days=max(HISTORY_DAYS, (today - first).days) + 1, zone=state.zone
    )
    by_day = {
        span.starts_at.astimezone(zone).date(): amount
        for span, amount in zip(past.spans, past.amounts(), strict=True)
    }
    return _drawn(state, by_day, first=first, today=today, last=last)


def _drawn(state: BudgetState, by_day: Mapping[date, int], *, first: date, today: date, last: date) -> Course:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    total, so_far = 0, []
    for day in days:
        if day <= today:
            total += by_day.get(day, 0)
            so_far.append(float(dollars(total)))
    # Days before the site spent anything say nothing about those to come.
    whole = [(day, amount) for day, amount in sorted(by_day.items()) if day < today]
    begun = next((n for n, (_, amount) in enumerate(whole) if amount), len(whole))
    to_come = len(days) - len(so_far)
    end = ledger.forecast(total, [amount for _, amount in whole[begun:]], to_come) if to_come else None
    ahead = None
    if end is not None:
        steps = range(1, to_come + 1)

        def towards(goal: int) -> tuple[float, ...]:
            return tuple(float(dollars(round(total + (goal - total) * step / to_come))) for step in steps)

        ahead = charts.Forecast(
            towards(end.expected_micros), towards(end.low_micros), towards(end.high_micros)
        )
    limit = dollars(state.limit_micros)
    finding = _finding(state, end, total)
    drawing = charts.line(
        [charts.Series("Spent", tuple(so_far))],
        [charts.Bucket(date_format(day, "j M"), date_format(day, "D j M")) for day in days][
            : len(so_far) + (to_come if ahead else 0)
        ],
        charts.Words(
            f"{words.money(dollars(total))} of {words.money(limit)} spent. {finding}.",
            f"{state.name}: spent in all by the end of each day",
            "Day",
            "Nothing was spent in this period yet",
        ),
        charts.Scale(show=_money, axis=_axis),
        height=240,
        level=charts.Level(float(limit), f"{words.money(limit)} limit"),
        forecast=ahead,
    )
    return Course(state.name, state.simulated, dollars(state.spent_micros), limit, finding, drawing)


def _finding(state: BudgetState, end: ledger.Forecast | None, total: int) -> str:
    if total >= state.limit_micros:
        return "The limit is reached; new work waits"
    if end is None:
        return "Too few days to say where it ends"
    likely = words.money(dollars(end.expected_micros))
    if end.high_micros <= state.limit_micros:
        return f"On course to stay under, about {likely}"
    if end.low_micros >= state.limit_micros:
        return f"On course to reach the limit, about {likely}"
    return f"Likely about {likely}, plausibly over the limit"


def _money(amount: float) -> str:
    return words.money(Decimal(str(amount)))


def _axis(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 10 or amount == int(amount) else f"${amount:,.2f}"


def _shares(zone_name: str) -> Sequence[Share]:
    """This month by provider, of the money that this site spends."""
    today = timezone.now().astimezone(ZoneInfo(zone_name)).date()
    month = reports.by_day(simulated=uses_simulator(), days=today.day, zone=zone_name)
    spent = {each.provider: sum(each.amount_micros) for each in month.providers}
    lines = sorted(((amount, name) for name, amount in spent.items() if amount > 0), reverse=True)
    total = sum(amount for amount, _ in lines)
    shares, at = [], 0.0
    for amount, name in lines:
        width = 100 * amount / total
        shares.append(Share(name, dollars(amount), round(at, 2), round(max(0.2, width - 0.35), 2)))
        at += width
    return shares


# -- what the stream shows -----------------------------------------------------------------------


def _moved(happenings: Sequence[Happening]) -> Budgets | None:
    if not any(each.topic in ("generation", "budget", "spending") for each in happenings):
        return None
    return _now(ledger.budgets())


live.offer(Topic("budgets", "read_costs", "live/budgets.html", _moved, every_s=2.0))
