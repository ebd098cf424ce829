"""What a scorer measured and what a person decided."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7


class Review(models.Model):
    """One decision about an image. The newest counts; earlier ones stay."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    image = models.ForeignKey("Image", on_delete=models.PROTECT, related_name="+", db_index=False)
    decision = models.CharField(max_length=8)
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+")
    decided_by_name = models.TextField()
    at = models.DateTimeField(db_default=Now())
    current = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(decision__in=["approved", "rejected"]), name="packshot_review_is_known"
            ),
            models.UniqueConstraint("image", condition=Q(current=True), name="packshot_review_one_current"),
        ]
        indexes: ClassVar = [
            models.Index("image", F("at").desc(), name="packshot_review_by_image"),
            models.Index("decision", "image", condition=Q(current=True), name="packshot_review_by_decision"),
        ]


class Score(models.Model):
    """What one scorer measured on one image, 0 to 100."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    image = models.ForeignKey("Image", on_delete=models.PROTECT, related_name="+", db_index=False)
    scorer = models.CharField(max_length=40)
    value = models.FloatField()
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("image", "scorer", name="packshot_score_once"),
            models.CheckConstraint(condition=Q(value__gte=0, value__lte=100), name="packshot_score_0_to_100"),
        ]
