"""Products, their images and the prompt templates."""

from typing import ClassVar

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7


class Category(models.Model):
    """A place in the catalogue's tree, by its full path."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    path = models.TextField(unique=True)  # "Food > Seeds"
    name = models.TextField()  # "Seeds"


class Product(models.Model):
    """An item of the catalogue that needs images. Archived, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sku = models.CharField(max_length=200)
    name = models.CharField(max_length=500)
    description = models.TextField(blank=True)  # text: never rendered as HTML
    category = models.ForeignKey(
        "Category", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    attributes = models.JSONField(default=dict)
    price = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    reference_image_urls = models.JSONField(default=list)
    external_ids = models.JSONField(default=dict)
    # Where the shop's own main image is, when the shop has one; `placeholder` says it is only a stand-in.
    listed_image_url = models.TextField(blank=True)
    placeholder = models.BooleanField(default=False)
    active_image = models.ForeignKey("Image", null=True, on_delete=models.PROTECT, related_name="+")
    # The newest that can be shown, kept when its renditions are made: what a list shows, and what there is to
    # choose, without a look at the images of every product.
    newest_image = models.ForeignKey(
        "Image", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Kept by the closing flow, so that lists of products need no look at ten million generations.
    last_generation_status = models.CharField(max_length=12, blank=True)
    last_generation_at = models.DateTimeField(null=True)
    failures_in_row = models.IntegerField(default=0)
    # Of the active image, kept by triggers (sql/attention.v1.sql): when it was made, whether a person
    # rejected it, its lowest score.
    active_image_at = models.DateTimeField(null=True)
    active_rejected = models.BooleanField(default=False, db_default=False)
    active_score = models.FloatField(null=True)
    # The worst that is wrong with it, as products_needing_attention numbers it; what depends on settings and
    # on the day is left to the view.
    severity = models.GeneratedField(
        expression=Case(
            When(archived_at__isnull=False, then=Value(None)),
            When(last_generation_status="uncertain", then=Value(1)),
            When(last_generation_status="failed", then=Value(2)),
            When(active_image=None, listed_image_url="", then=Value(3)),
            When(active_image=None, placeholder=True, then=Value(4)),
            When(active_image__isnull=False, active_rejected=True, then=Value(5)),
        ),
        output_field=models.SmallIntegerField(null=True),
        db_persist=True,
    )
    # What it is found by (sql/product_words.v1.sql): name, SKU and attributes.
    words = models.GeneratedField(
        expression=models.Func(
            "name", "sku", "attributes", function="packshot_product_words", output_field=models.TextField()
        ),
        output_field=models.TextField(),
        db_persist=True,
    )
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("sku", condition=Q(archived_at=None), name="packshot_product_sku_once"),
            models.CheckConstraint(condition=~Q(sku=""), name="packshot_product_has_sku"),
            models.CheckConstraint(condition=~Q(name=""), name="packshot_product_has_name"),
        ]
        indexes: ClassVar = [
            models.Index("sku", name="packshot_product_by_sku"),
            models.Index("name", "id", condition=Q(archived_at=None), name="packshot_product_by_name"),
            models.Index("category", "id", name="packshot_product_by_category"),
            models.Index(
                "id", condition=Q(archived_at=None, active_image=None), name="packshot_product_no_active"
            ),
            models.Index(
                F("last_generation_at").desc(),
                condition=Q(archived_at=None, last_generation_status__in=["failed", "uncertain"]),
                name="packshot_product_trouble",
            ),
            models.Index(
                F("severity"),
                F("id").desc(),
                condition=Q(severity__isnull=False),
                name="packshot_product_severity",
            ),
            # Of those that have none: what depends on settings and on the day, by the index alone.
            models.Index(
                fields=["active_score"],
                condition=Q(archived_at=None, severity=None, active_score__isnull=False),
                include=["id"],
                name="packshot_product_active_score",
            ),
            models.Index(
                fields=["active_image_at", "active_score"],
                condition=Q(archived_at=None, severity=None, active_image_at__isnull=False),
                include=["id"],
                name="packshot_product_active_age",
            ),
            # What lists of one image state are read and counted by.
            models.Index(
                "name",
                "id",
                condition=Q(archived_at=None, active_image=None, newest_image__isnull=False),
                name="packshot_product_to_choose",
            ),
            models.Index(
                "name",
                "id",
                condition=Q(archived_at=None, last_generation_status="pending"),
                name="packshot_product_in_progress",
            ),
        ]


class Triage(models.Model):
    """What people decided of a product that needs attention: not now, or who sees to it."""

    product = models.OneToOneField(
        "Product", primary_key=True, on_delete=models.PROTECT, related_name="+", serialize=False
    )
    # Not shown until then, as long as this is what is wrong with it: another issue is shown at once.
    snoozed_issue = models.CharField(max_length=20, blank=True)
    snoozed_until = models.DateTimeField(null=True)
    snoozed_by_name = models.TextField(blank=True)
    assignee = models.ForeignKey(
        "User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(snoozed_issue="", snoozed_until=None)
                | (~Q(snoozed_issue="") & Q(snoozed_until__isnull=False)),
                name="packshot_triage_snoozes_an_issue",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                "snoozed_until", condition=Q(snoozed_until__isnull=False), name="packshot_triage_snoozed"
            ),
            models.Index("assignee", condition=Q(assignee__isnull=False), name="packshot_triage_by_assignee"),
        ]


class Image(models.Model):
    """A stored result: bytes by content hash, where they came from, what was found in them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey("Product", on_delete=models.PROTECT, related_name="+", db_index=False)
    generation = models.ForeignKey(
        "Generation", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    attempt = models.ForeignKey(
        "Attempt", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    position = models.SmallIntegerField(default=0)  # among the images of one attempt
    blob = models.CharField(max_length=64)  # sha256 of the bytes as the provider sent them
    media_type = models.CharField(max_length=12)
    width_px = models.IntegerField()
    height_px = models.IntegerField()
    size_bytes = models.BigIntegerField()
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    simulated = models.BooleanField()
    digital_source_type = models.CharField(max_length=64)  # IPTC NewsCodes, last path part
    handle = models.JSONField(null=True)  # how to go on from it at its provider
    # stored: bytes are kept; ready: decoded and renditions made; broken: could not be decoded.
    state = models.CharField(max_length=8, default="stored")
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("attempt", "position", name="packshot_image_once_per_attempt"),
            models.CheckConstraint(
                condition=Q(state__in=["stored", "ready", "broken"]), name="packshot_image_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(blob__regex="^[0-9a-f]{64}$"), name="packshot_image_blob_is_sha256"
            ),
            models.CheckConstraint(
                condition=Q(width_px__gt=0, height_px__gt=0, size_bytes__gt=0),
                name="packshot_image_has_size",
            ),
        ]
        indexes: ClassVar = [
            models.Index("product", "provider", F("id").desc(), name="packshot_image_by_product"),
            models.Index("generation", name="packshot_image_by_generation"),
            models.Index("blob", name="packshot_image_by_blob"),
            models.Index("id", condition=Q(state="stored"), name="packshot_image_to_do"),
        ]


class Rendition(models.Model):
    """A resized, re-encoded copy of an image, made from a spec such as `webp-320`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    image = models.ForeignKey("Image", on_delete=models.PROTECT, related_name="renditions", db_index=False)
    spec = models.CharField(max_length=20)
    blob = models.CharField(max_length=64)
    media_type = models.CharField(max_length=12)
    width_px = models.IntegerField()
    height_px = models.IntegerField()
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("image", "spec", name="packshot_rendition_once"),
        ]
        indexes: ClassVar = [models.Index("blob", name="packshot_rendition_by_blob")]


class PromptTemplate(models.Model):
    """Text with placeholders, by name. Its wording lives in versions, which never change."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    category = models.ForeignKey("Category", null=True, on_delete=models.PROTECT, related_name="+")
    # How copies come into the shape that was asked for: crop, pad; empty: as the site says.
    shape_fit = models.CharField(max_length=4, blank=True, default="", db_default="")
    # The version that generations use. It is one of its own, and moves only with a line of its history
    # (sql/prompt_labels.v1.sql).
    production_number = models.IntegerField(default=1, db_default=1)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(shape_fit__in=["", "crop", "pad"]), name="packshot_template_fit_is_known"
            ),
            models.UniqueConstraint(
                "name", condition=Q(archived_at=None), name="packshot_template_name_once"
            ),
            models.UniqueConstraint(
                "category",
                condition=Q(archived_at=None),
                name="packshot_template_one_per_category",
                nulls_distinct=True,
            ),
        ]


class PromptTemplateVersion(models.Model):
    """One wording of a template."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.ForeignKey(
        "PromptTemplate", on_delete=models.PROTECT, related_name="versions", db_index=False
    )
    number = models.IntegerField()
    text = models.TextField()
    created_by = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("template", "number", name="packshot_template_version_once"),
        ]


class PromptMove(models.Model):
    """One move of the label "production" to another version of a template. Append-only (trigger)."""

    pk = models.CompositePrimaryKey("template_id", "number")
    template = models.ForeignKey("PromptTemplate", on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.IntegerField()  # of the move, from 1
    from_number = models.IntegerField(null=True)  # null: its first version
    to_number = models.IntegerField()
    moved_by_name = models.TextField(blank=True)  # empty: Packshot
    # As its version's own time, where it was put in use as it was saved.
    at = models.DateTimeField(db_default=Now())


class ImportRecord(models.Model):
    """One applied catalogue file: what it was and what it changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file_name = models.TextField()
    file_sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=32)
    created = models.IntegerField()
    changed = models.IntegerField()
    unchanged = models.IntegerField()
    rejected = models.IntegerField()
    problems = models.JSONField(default=list)  # the first 1,000: row, field, reason, what to do
    applied_by = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+")
    applied_at = models.DateTimeField(db_default=Now())
