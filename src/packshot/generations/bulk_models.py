"""What a person does to many generations at once, and what became of each."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7

KINDS = ("retry", "hand_over", "cancel", "reprioritise", "undo")
OUTCOMES = ("", "done", "failed", "skipped")  # empty: its turn has not come


class BulkAction(models.Model):
    """One action on many generations: their ids, frozen when it was accepted, are its items."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request_key = models.CharField(max_length=100, unique=True)  # client-made: a repeat finds the first
    kind = models.CharField(max_length=12)
    asked_by = models.ForeignKey(
        "User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asked_by_name = models.TextField()
    filter = models.JSONField(default=dict)  # as it was then; says no more what belongs to it
    chosen = models.BooleanField(default=False)  # row by row, and not by the filter
    arguments = models.JSONField(default=dict)  # provider, model, priority
    undo_of = models.OneToOneField("BulkAction", null=True, on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey("Run", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    size = models.IntegerField()
    # What the quote said before the click, by provider: provider, simulated, count, unknown, micros.
    quoted = models.JSONField(default=list)
    quoted_micros = models.BigIntegerField(null=True)  # null: not every price was known
    next_place = models.IntegerField(default=0)
    done = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    stopped_by_name = models.TextField(blank=True)  # who aborted it

    class Meta:
        db_table = "packshot_bulk_action"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="packshot_bulk_kind_is_known"),
            models.CheckConstraint(
                condition=Q(size__gte=F("done") + F("failed") + F("skipped")),
                name="packshot_bulk_counts_no_item_twice",
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("updated_at"), condition=Q(finished_at=None), name="packshot_bulk_unfinished"),
        ]


class BulkItem(models.Model):
    """One generation of an action, in its turn."""

    pk = models.CompositePrimaryKey("action_id", "place")
    action = models.ForeignKey("BulkAction", on_delete=models.PROTECT, related_name="+", db_index=False)
    place = models.IntegerField()
    generation = models.ForeignKey("Generation", on_delete=models.PROTECT, related_name="+", db_index=False)
    quoted_micros = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=8, blank=True, default="", db_default="")
    reason = models.TextField(blank=True, default="", db_default="")
    before = models.CharField(max_length=12, blank=True, default="", db_default="")  # its status or priority
    made = models.ForeignKey(
        "Generation", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField(null=True)

    class Meta:
        db_table = "packshot_bulk_item"
        constraints: ClassVar = [
            models.UniqueConstraint(F("action"), F("generation"), name="packshot_bulk_item_once"),
            models.CheckConstraint(condition=Q(outcome__in=OUTCOMES), name="packshot_bulk_outcome_is_known"),
        ]
