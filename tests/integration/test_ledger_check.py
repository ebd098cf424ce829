"""`packshot ledger check`: a site that is right is found right, and each thing that is planted is named."""

import json
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.template import engines
from django.utils import timezone
from typer.testing import CliRunner

from packshot import events, generations, reports
from packshot.catalogue.models import Image
from packshot.cli.commands import app
from packshot.events import Happening
from packshot.events.models import Event
from packshot.flows import check as checking
from packshot.flows import generate, look
from packshot.flows.check import check
from packshot.generations.models import Attempt, Generation, Process
from packshot.kernel.errors import Refused, TryLater, Unsure
from packshot.kernel.money import micros
from packshot.ledger import Limit, add_budget
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def images(tmp_path, settings):
    """A store of images of this test's own."""
    settings.BLOB_URL = f"file://{tmp_path / 'blobs'}"
    yield tmp_path / "blobs"


@pytest.fixture
def site():
    """Every state that money can rest in, and all of it right."""
    provider = build.StandIn()
    build.provider_row()
    build.budget("100.00")
    add_budget(Limit(micros("50.00"), scope="category", scope_value="Food", period="day", simulated=True))
    blob = look.store().put(build.PNG)
    build.end(build.delivered(build.sent(provider), blob=blob))
    build.end(build.failed(build.sent(provider), Refused("no", kind="refused")))
    build.end(build.failed(build.sent(provider), Refused("no", kind="refused", charge="charged")))
    build.end(build.failed(build.sent(provider), Unsure("cut", kind="cut_off")))
    settled = build.sent(provider)
    build.end(build.failed(settled, Unsure("cut", kind="cut_off")))
    generate.resolve(settled.generation.id, "charged", build.ADMIN, note="line 7", amount_micros=30_000)
    build.end(build.delivered(settled, blob=blob))
    build.sent(provider)
    build.end(build.failed(build.sent(provider), TryLater("busy", after_s=5)))
    cancelled, _ = build.asked(provider, 2)
    generate.cancel([cancelled], build.ADMIN)
    # A budget that is made in the middle of its period, with spend and holds before it.
    add_budget(Limit(micros("40.00"), scope="provider", scope_value="openai", period="total", simulated=True))
    return provider


def test_a_site_that_works_is_found_right(site):
    proof = check()
    assert [str(each) for each in proof.problems] == []
    assert proof.attempts == 7
    assert proof.blobs == proof.of_blobs == 2
    assert check(strict=True).problems == ()


def living(kind: str) -> Process:
    """A process that has been there for a while."""
    process = Process.objects.get(pk=generations.enrol(kind).id)
    Process.objects.filter(pk=process.pk).update(started_at=timezone.now() - timedelta(hours=1))
    return process


def plant(sql: str) -> int:
    """Do to the tables what no client may do to them. Returns how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)
        changed = cursor.rowcount
        cursor.execute("SET LOCAL session_replication_role = origin")
    return changed


OF_COMPLETED = "(SELECT id FROM packshot_attempt WHERE state = 'succeeded')"

PLANTED = {
    "a second charge": (
        f"""
        INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
            category_path, person_name, run_id, charged_at, created_at)
        SELECT gen_random_uuid(), attempt_id, 'adjustment', amount_micros, simulated,
            provider, model, category_path, person_name, run_id, charged_at, created_at
        FROM packshot_entry WHERE attempt_id IN {OF_COMPLETED}
        """,
        {
            "was corrected 1 times, and nobody wrote down why",
            "says that it cost 40000, and 80000 is booked",
            "is 80000 and should be 120000",
            "says that 80000 is spent, and its entries add up to 120000",
        },
    ),
    "an entry that is gone": (
        f"DELETE FROM packshot_entry WHERE attempt_id IN {OF_COMPLETED}",
        {"is succeeded at a cost of 40000, and nothing is booked"},
    ),
    "an entry of another amount": (
        f"UPDATE packshot_entry SET amount_micros = 1 WHERE attempt_id IN {OF_COMPLETED}",
        {"cost 40000, and 1 is booked"},
    ),
    "money of the other kind": (
        f"UPDATE packshot_entry SET simulated = false WHERE attempt_id IN {OF_COMPLETED}",
        {"is simulated, and booked as the other kind of money"},
    ),
    "a charge in another period": (
        f"""
        UPDATE packshot_entry SET charged_at = charged_at - interval '40 days'
        WHERE attempt_id IN {OF_COMPLETED}
        """,
        {"and its money was reserved at"},
    ),
    "a hold of another period": (
        """
        UPDATE packshot_budgetwindow
        SET starts_at = starts_at + interval '1 year', ends_at = ends_at + interval '1 year'
        """,
        {"and counts in the period from"},
    ),
    "a hold that counts against nothing": (
        f"""
        UPDATE packshot_reservation SET window_ids = ARRAY[gen_random_uuid()]
        WHERE attempt_id IN {OF_COMPLETED}
        """,
        {"counts against a period that does not exist"},
    ),
    "a hold that never ended": (
        f"UPDATE packshot_reservation SET closed_at = NULL WHERE attempt_id IN {OF_COMPLETED}",
        {"is succeeded, its cost is known, and its money is still held"},
    ),
    "uncertain money that is not held": (
        """
        UPDATE packshot_reservation SET closed_at = now()
        WHERE attempt_id IN (SELECT id FROM packshot_attempt WHERE state = 'uncertain')
        """,
        {"is uncertain, and its money is no longer held"},
    ),
    "an attempt without money": (
        f"DELETE FROM packshot_reservation WHERE attempt_id IN {OF_COMPLETED}",
        {"is succeeded, and no money was ever held for it"},
    ),
    "a hold of another amount": (
        f"UPDATE packshot_reservation SET amount_micros = 7 WHERE attempt_id IN {OF_COMPLETED}",
        {"reserved 40000 micro-dollars, and its hold says 7"},
    ),
    "a balance that is off by one": (
        "UPDATE packshot_budgetwindow SET reserved_micros = reserved_micros + 1",
        {"is held, and its holds add up to"},
    ),
    "spend that is forgotten": (
        "UPDATE packshot_budgetwindow SET spent_micros = 0",
        {"says that 0 is spent, and its entries add up to 80000"},
    ),
    "a limit that was passed": (
        """
        UPDATE packshot_budget SET limit_micros = 100, created_at = created_at - interval '2 months'
        WHERE scope = 'everything'
        """,
        {"is over its limit of 100"},
    ),
    "two open attempts": (
        """
        DROP INDEX packshot_attempt_one_open;
        INSERT INTO packshot_attempt (id, number, state, provider, model, simulated, reserved_micros,
            price_version, deadline_s, request_id, error_kind, error_message, answer, created_at, sending_at,
            generation_id, process_id)
        SELECT gen_random_uuid(), number + 1, state, provider, model, simulated, reserved_micros,
            price_version, deadline_s, request_id, error_kind, error_message, answer, created_at, sending_at,
            generation_id, process_id
        FROM packshot_attempt WHERE state = 'uncertain'
        """,
        {"has 2 open attempts at once", "counts 1 attempts and has 2", "is missing"},
    ),
    "an attempt after a success": (
        """
        UPDATE packshot_attempt SET state = 'succeeded', cost_micros = 0, closed_at = now()
        WHERE generation_id IN (SELECT id FROM packshot_generation WHERE wait_reason = 'rate')
        """,
        {"is pending, and its last attempt is succeeded", "succeeded and has no image"},
    ),
    "a generation that claims an end": (
        """
        UPDATE packshot_generation SET status = 'completed', completed_at = now() WHERE status = 'uncertain'
        """,
        {"is completed, and its last attempt is uncertain"},
    ),
    "a cost that is not known and said to be": (
        "UPDATE packshot_generation SET cost_unknown = NOT cost_unknown WHERE status = 'failed'",
        {"says that all its costs are known, and one is not", "says that a cost is not known, and all are"},
    ),
    "an image nobody paid for": (
        "UPDATE packshot_image SET attempt_id = (SELECT id FROM packshot_attempt WHERE state = 'sending') "
        f"WHERE attempt_id IN {OF_COMPLETED}",
        {"belongs to an attempt that is sending", "succeeded and has no image"},
    ),
    "an image of another product": (
        """
        UPDATE packshot_image SET product_id =
            (SELECT product_id FROM packshot_generation WHERE status = 'uncertain')
        """,
        {"is of another product, provider or kind of money than its generation"},
    ),
    "a figure of the reports": (
        "UPDATE packshot_rollup SET completed = completed + 3 WHERE images > 0",
        {"is 4 and should be 1"},
    ),
    "a guard that is off": (
        "ALTER TABLE packshot_entry DISABLE TRIGGER packshot_entry_only_grows",
        {"is switched off"},
    ),
    "a guard that is gone": (
        "DROP TRIGGER packshot_guard_attempt ON packshot_attempt",
        {"is missing"},
    ),
    "a rule that is gone": (
        "ALTER TABLE packshot_budgetwindow DROP CONSTRAINT packshot_window_not_negative",
        {"is missing"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_each_thing_that_is_planted_is_named_with_what_to_do(site, name):
    sql, words = PLANTED[name]
    assert plant(sql) != 0
    problems = check().problems
    for expected in words:
        assert any(expected in each.found for each in problems), [str(each) for each in problems]
    assert all(each.remedy.endswith(".") for each in problems)


def test_bytes_that_are_gone_or_changed_are_named(site, images):
    blob = Image.objects.first().blob
    path = images / blob[:2] / blob[2:4] / blob
    path.write_bytes(b"X" * len(build.PNG))
    assert {each.found for each in check().problems} == {"holds other bytes than were paid for"}
    path.unlink()
    assert {each.found for each in check().problems} == {"is not in the store"}


STUCK = {
    "a wait that nobody ends": """
        UPDATE packshot_generation SET not_before = now() - interval '1 hour' WHERE wait_reason = 'rate'
    """,
    "a wait without an end": """
        UPDATE packshot_generation SET not_before = NULL, updated_at = now() - interval '1 hour'
        WHERE wait_reason = 'rate'
    """,
    "an attempt of a dead process": """
        UPDATE packshot_process SET ended_at = now() - interval '1 hour'
        WHERE id IN (SELECT process_id FROM packshot_attempt WHERE state = 'sending')
    """,
    "an attempt that was forgotten": """
        UPDATE packshot_process SET started_at = now() - interval '1 day'
        WHERE id IN (SELECT process_id FROM packshot_attempt WHERE state = 'sending');
        UPDATE packshot_attempt SET sending_at = now() - interval '1 hour' WHERE state = 'sending'
    """,
    "an image that nobody looks at": """
        DELETE FROM procrastinate_jobs;
        UPDATE packshot_image SET created_at = created_at - interval '1 hour'
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", STUCK)
def test_rows_that_nobody_moves_are_named_while_workers_live(site, name):
    plant(STUCK[name])
    Process.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    assert not [each for each in check().problems if each.invariants == "I11"], "nobody is there to move them"
    living("pay")
    living("chores")
    stuck = [each for each in check().problems if each.invariants == "I11"]
    assert stuck, name
    assert all("Restart the workers" in each.remedy for each in stuck)


def test_an_image_whose_look_waits_in_the_queue_is_not_stuck(site):
    living("chores")
    plant("UPDATE packshot_image SET created_at = created_at - interval '1 hour'")
    assert Image.objects.filter(state="stored").exists()
    assert not [each for each in check().problems if each.invariants == "I11"]


def test_the_hourly_look_tells_what_it_found_and_keeps_silent_otherwise(site, caplog):
    checking.watch()
    assert not Event.objects.filter(topic="ledger").exists()
    plant(PLANTED["a balance that is off by one"][0])
    checking.watch()
    assert Event.objects.get(topic="ledger").data["problems"] == 3
    assert "the ledger is not right" in caplog.text


def test_the_overview_says_that_the_ledger_is_not_right_and_that_a_provider_stopped_answering(site):
    with transaction.atomic():
        events.tell(
            [Happening("provider", "stopped", "openai"), Happening("provider", "recovered", "openai")]
        )
    plant(PLANTED["a balance that is off by one"][0])
    checking.watch()
    feed = '{% from "components/activity.html" import activity_list %}{{ activity_list(lines) }}'
    page = engines["jinja2"].from_string(feed).render({"lines": reports.activity(3)})
    for words in (
        "Ledger not right",
        "packshot ledger check says where",
        "stopped answering",
        "answers again",
    ):
        assert words in page, words


def test_the_command_ends_with_1_and_one_line_a_problem(site):
    runner = CliRunner()
    right = runner.invoke(app, ["ledger", "check", "--strict"])
    assert (right.exit_code, right.output.count("\n")) == (0, 1), right.output
    assert "all is right" in right.output
    plant(PLANTED["an entry that is gone"][0])
    wrong = runner.invoke(app, ["ledger", "check"])
    assert wrong.exit_code == 1
    assert "nothing is booked" in wrong.output
    told = json.loads(runner.invoke(app, ["ledger", "check", "--json"]).output)
    assert len(told["problems"]) == len(wrong.output.strip().splitlines()) - 1


def test_nothing_is_changed_by_looking(site):
    plant(PLANTED["a figure of the reports"][0])
    before = len(check(strict=True).problems)
    assert before
    assert len(check(strict=True).problems) == before
    assert Attempt.objects.count() == 7
    assert Generation.objects.count() == 9
