"""A provider's bill beside the ledger: each difference by its name, and booked only with evidence."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from django.utils import timezone

from packshot import reports
from packshot.flows import admit, generate, reconcile
from packshot.flows.close import Completion
from packshot.flows.reconcile import BillLine
from packshot.generations.models import Evidence
from packshot.kernel.errors import BadInput, Refused, Unsure
from packshot.kernel.money import micros
from packshot.ledger.models import Entry
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def made(provider: build.StandIn, reference: str, cost: str | None = "0.04") -> object:
    """An attempt that ended well under this name, and was charged so much."""
    claim = build.sent(provider)
    done = build.delivered(claim, cost=cost)
    build.end(
        Completion(claim.attempt_id, images=done.images, cost_micros=done.cost_micros, request_id=reference)
    )
    return claim


def compare(*lines: tuple[str, str]) -> reconcile.Reconciliation:
    now = timezone.now()
    return reconcile.compare(
        "openai",
        [BillLine(reference, Fraction(dollars)) for reference, dollars in lines],
        start=now - timedelta(hours=1),
        end=now + timedelta(hours=1),
        simulated=True,
    )


def kinds(found: reconcile.Reconciliation) -> list[tuple[str, str]]:
    return [(each.kind, each.reference) for each in found.differences]


def test_a_bill_that_says_the_same_names_nothing(provider):
    made(provider, "a")
    made(provider, "b", "0.05")
    found = compare(("a", "0.04"), ("b", "0.02"), ("b", "0.03"))
    assert kinds(found) == []
    assert (found.billed_micros, found.booked_micros, found.held_micros) == (90_000, 90_000, 0)


def test_lines_of_one_request_are_added_up_exactly_and_rounded_up_once(provider):
    made(provider, "a", "0.000001")
    third = Fraction(1, 3_000_000)
    now = timezone.now()
    found = reconcile.compare(
        "openai",
        [BillLine("a", third)] * 3,
        start=now - timedelta(hours=1),
        end=now + timedelta(hours=1),
        simulated=True,
    )
    assert kinds(found) == []


def test_every_difference_is_named_by_what_it_is(provider):
    made(provider, "dearer")
    made(provider, "twice")
    made(provider, "forgotten")
    made(provider, "unpriced", None)
    lost = build.sent(provider)
    build.end(build.failed(lost, Unsure("cut", kind="cut_off", request_id="lost")))
    silent = build.sent(provider)
    build.end(build.failed(silent, Unsure("cut", kind="cut_off")))
    found = compare(
        ("dearer", "0.06"),
        ("twice", "0.04"),
        ("twice", "0.04"),
        ("unpriced", "0.03"),
        ("lost", "0.04"),
        ("nobody", "0.09"),
    )
    assert kinds(found) == [
        ("amount", "dearer"),
        ("billed_twice", "twice"),
        ("held_billed", "lost"),
        ("held_billed", "unpriced"),
        ("held_unnamed", ""),
        ("not_billed", "forgotten"),
        ("unknown_request", "nobody"),
    ]
    assert [each.reference for each in found.differences if each.bookable] == [
        "dearer",
        "twice",
        "lost",
        "unpriced",
    ]
    assert all(each.words and "None" not in each.words for each in found.differences)


def test_booking_puts_the_ledger_right_with_evidence_and_a_second_time_changes_nothing(provider):
    dearer = made(provider, "dearer")
    made(provider, "cheaper")
    made(provider, "unpriced", None)
    lost = build.sent(provider)
    build.end(build.failed(lost, Unsure("cut", kind="cut_off", request_id="lost")))
    bill = (("dearer", "0.06"), ("cheaper", "0.01"), ("unpriced", "0.03"), ("lost", "0.04"))
    found = compare(*bill)
    assert reconcile.book(found.differences, build.ADMIN, note="bill of November") == 4
    assert kinds(compare(*bill)) == []
    assert build.balances() == (micros("0.14"), 0)
    assert sum(Entry.objects.values_list("amount_micros", flat=True)) == micros("0.14")
    assert set(Evidence.objects.values_list("kind", flat=True)) == {"reconciliation", "person"}
    assert build.generation(dearer).actual_micros == micros("0.06")
    assert reports.rebuild_rollups() == []
    entries = Entry.objects.count()
    assert reconcile.book(found.differences, build.ADMIN, note="bill of November") == 0
    assert Entry.objects.count() == entries


def test_of_several_open_charges_the_one_that_the_bill_names_is_settled(provider):
    me = build.process().id
    first = build.sent(provider, process_id=me)
    build.end(
        build.failed(first, Refused("drawn", kind="refused", charge="unknown", request_id="first")),
    )
    generate.retry([first.generation.id], build.EDITOR)
    (second,) = build.claimed(provider, process_id=me)
    admit.start_sending([second], process_id=me)
    build.end(build.failed(second, Unsure("cut", kind="cut_off", request_id="second")))
    assert reconcile.book(compare(("first", "0.03")).differences, build.ADMIN, note="bill") == 1
    assert build.attempt(first).cost_micros == 30_000
    assert build.attempt(second).state == "uncertain"
    assert build.generation(first).status == "uncertain"
    assert build.balances() == (30_000, 40_000)


def test_an_image_that_comes_after_the_bill_is_not_booked_once_more(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("cut", kind="cut_off", request_id="late")))
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="a guess", amount_micros=30_000)
    assert reconcile.book(compare(("late", "0.04")).differences, build.ADMIN, note="bill") == 1
    build.end(build.delivered(claim))
    assert build.balances() == (40_000, 0)
    assert build.generation(claim).actual_micros == 40_000


def test_what_nobody_can_name_is_never_booked(provider):
    made(provider, "forgotten")
    found = compare(("nobody", "0.09"))
    assert reconcile.book(found.differences, build.ADMIN, note="bill") == 0
    assert Entry.objects.count() == 1


def test_only_an_administrator_books_and_names_the_bill(provider):
    found = compare()
    with pytest.raises(BadInput):
        reconcile.book(found.differences, build.EDITOR, note="bill")
    with pytest.raises(BadInput):
        reconcile.book(found.differences, build.ADMIN, note=" ")


def test_a_bill_is_read_by_the_names_people_give_its_columns(tmp_path: Path):
    file = tmp_path / "bill.csv"
    file.write_text("\ufeffRequest ID,Cost\nabc, $1,0.5\n", encoding="utf-8")
    file.write_text('Request ID,When,Cost\nabc,now,"$1,200.50"\nxyz,now,0.000000333\n', encoding="utf-8")
    assert reconcile.read_bill(file) == [
        BillLine("abc", Fraction("1200.50")),
        BillLine("xyz", Fraction("0.000000333")),
    ]
    file.write_text("Request ID,Cost\nabc,free\n")
    with pytest.raises(BadInput, match="row 2: 'free'"):
        reconcile.read_bill(file)
    file.write_text("when,what\n1,2\n")
    with pytest.raises(BadInput, match="it has when, what"):
        reconcile.read_bill(file)
