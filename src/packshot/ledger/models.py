"""Money: budgets, what is held, what was charged. Integer micro-dollars throughout."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7

SCOPES = ("everything", "provider", "category", "person", "run")
PERIODS = ("day", "week", "month", "total")


class Budget(models.Model):
    """A limit on spend for a scope and a period. It counts real money or simulated money, never both."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=12, default="everything")
    scope_value = models.TextField(blank=True)
    period = models.CharField(max_length=8, default="month")
    zone = models.CharField(max_length=64, default="UTC")
    limit_micros = models.BigIntegerField()
    simulated = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "scope",
                "scope_value",
                "period",
                "simulated",
                condition=Q(archived_at=None),
                name="packshot_budget_once",
            ),
            models.CheckConstraint(condition=Q(scope__in=SCOPES), name="packshot_budget_scope_is_known"),
            models.CheckConstraint(condition=Q(period__in=PERIODS), name="packshot_budget_period_is_known"),
            models.CheckConstraint(condition=Q(limit_micros__gte=0), name="packshot_budget_not_negative"),
        ]


class BudgetWindow(models.Model):
    """One period of a budget with its balances. Locked in (budget, start) order, after attempts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    budget = models.ForeignKey("Budget", on_delete=models.PROTECT, related_name="+", db_index=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)  # null: a total has no end
    reserved_micros = models.BigIntegerField(default=0)
    spent_micros = models.BigIntegerField(default=0)
    alerted = models.SmallIntegerField(db_default=0)  # the highest share, in percent, that was told

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("budget", "starts_at", name="packshot_window_once"),
            models.CheckConstraint(
                condition=Q(reserved_micros__gte=0, spent_micros__gte=0), name="packshot_window_not_negative"
            ),
        ]


class Reservation(models.Model):
    """Money held for one attempt, in every budget window that applies. Ends exactly once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.OneToOneField("Attempt", on_delete=models.PROTECT, related_name="+")
    amount_micros = models.BigIntegerField()
    simulated = models.BooleanField()
    # In the row, not in a table of its own: one reservation is one insert, however many budgets apply.
    window_ids = ArrayField(models.UUIDField(), default=list)
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(amount_micros__gte=0), name="packshot_reservation_not_negative"
            ),
        ]
        indexes: ClassVar = [
            # With what the dashboard adds up, so that it reads no row.
            models.Index(
                fields=["opened_at"],
                condition=Q(closed_at=None),
                include=["simulated", "amount_micros"],
                name="packshot_reservation_open",
            ),
        ]


class Entry(models.Model):
    """One line of the ledger. Append-only (trigger). Names are copied: a bill outlives what it names."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.ForeignKey("Attempt", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12)  # charge, adjustment
    amount_micros = models.BigIntegerField()
    simulated = models.BooleanField()
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    category_path = models.TextField(blank=True)
    person_name = models.TextField(blank=True)
    run = models.ForeignKey("Run", null=True, on_delete=models.PROTECT, related_name="+")
    # When the money was reserved: the instant that decides the period (invariant I9).
    charged_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("attempt", condition=Q(kind="charge"), name="packshot_entry_one_charge"),
            models.CheckConstraint(
                condition=Q(kind="adjustment") | Q(kind="charge", amount_micros__gte=0),
                name="packshot_entry_charge_not_negative",
            ),
        ]
        indexes: ClassVar = [
            models.Index("charged_at", name="packshot_entry_by_charged_at"),
            models.Index("provider", F("charged_at").desc(), name="packshot_entry_by_provider"),
        ]


class PriceEdit(models.Model):
    """What the site itself says a model costs. Append-only (trigger): the newest that is valid holds."""

    id = models.BigAutoField(primary_key=True)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    key = models.CharField(max_length=200, blank=True)  # quality=high, shape=1:1; empty: whatever is chosen
    kind = models.CharField(max_length=10)
    amount_micros = models.BigIntegerField(null=True)  # of one image
    most_micros = models.BigIntegerField(null=True)  # what one can cost at most
    source = models.TextField()
    valid_from = models.DateTimeField()
    by_name = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "packshot_price"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind="price", amount_micros__gte=0, most_micros__gte=F("amount_micros"))
                | Q(kind__in=["unknown", "withdrawn"], amount_micros=None, most_micros=None),
                name="packshot_price_is_one_or_none",
            ),
        ]
        indexes: ClassVar = [models.Index("provider", "id", name="packshot_price_by_provider")]


class StopSwitch(models.Model):
    """The one row that every `sending` reads under a share lock and "stop spending" locks for itself."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    stopped = models.BooleanField(default=False)
    version = models.IntegerField(default=1)
    changed_at = models.DateTimeField(db_default=Now())
    changed_by_name = models.TextField(blank=True)

    class Meta:
        db_table = "packshot_stop_switch"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="packshot_stop_switch_is_one_row"),
        ]
