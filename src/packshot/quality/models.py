"""What a scorer measured, what a person decided, and which of two images a person found better."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Least, Now

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


class Vote(models.Model):
    """What one person said of two images of one product that stood beside each other without their providers.

    Who made them stands here as it was: ratings are counted from this table alone. `verdict` is of `image`:
    it is `better` than `other`, both are `equal`, or `neither` is good. Withdrawn, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    round = models.UUIDField()  # what was answered with one click
    product = models.ForeignKey("Product", on_delete=models.PROTECT, related_name="+", db_index=False)
    category_path = models.TextField(blank=True)
    image = models.ForeignKey("Image", on_delete=models.PROTECT, related_name="+", db_index=False)
    other = models.ForeignKey("Image", on_delete=models.PROTECT, related_name="+", db_index=False)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    other_provider = models.CharField(max_length=32)
    other_model = models.CharField(max_length=100)
    simulated = models.BooleanField()  # one of the two is
    verdict = models.CharField(max_length=7)
    # Nothing had shown this person before who made them: only such votes count in ratings.
    blind = models.BooleanField()
    person = models.ForeignKey("User", on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(db_default=Now())
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict__in=["better", "equal", "neither"]), name="packshot_vote_is_known"
            ),
            models.CheckConstraint(condition=~Q(image=F("other")), name="packshot_vote_between_two"),
            models.UniqueConstraint(
                "person",
                Least("image", "other"),
                Greatest("image", "other"),
                condition=Q(withdrawn_at=None),
                name="packshot_vote_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index("person", "product", condition=Q(withdrawn_at=None), name="packshot_vote_by_person"),
        ]
