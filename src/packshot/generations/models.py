"""The queue: what was asked for, each paid call made for it, and who is making it."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7

GENERATION_STATUSES = ("pending", "processing", "completed", "failed", "cancelled", "uncertain")
ATTEMPT_STATES = (
    "intent",
    "sending",
    "accepted",
    "uncertain",
    "released",
    "succeeded",
    "failed_free",
    "failed_charged",
    "charged_no_image",
)
OPEN_ATTEMPT_STATES = ("intent", "sending", "accepted", "uncertain")
WAIT_REASONS = ("budget", "rate", "retry", "paused", "circuit", "key", "price")


class ProviderRecord(models.Model):
    """What the site knows of a provider: switch, pause, limits. Its row is the first lock of an admission."""

    name = models.CharField(max_length=32, primary_key=True)
    label = models.CharField(max_length=60)
    # False: real money. A provider with a key is real; without keys it runs on the simulator.
    simulated = models.BooleanField(default=True)
    available = models.BooleanField(default=False)  # a key, or the simulator, is there
    switched_on = models.BooleanField(default=False)  # by an administrator; simulated ones need no switch
    paused_at = models.DateTimeField(null=True)
    paused_kind = models.CharField(max_length=20, blank=True)  # person, bad_key, no_credit, not_verified
    paused_message = models.TextField(blank=True)
    max_in_flight = models.IntegerField()
    per_minute = models.IntegerField(null=True)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(db_default=Now())
    wait_until = models.DateTimeField(null=True)  # the provider said so (Retry-After), or it is unreachable
    busy_in_row = models.IntegerField(default=0)  # answers in a row that said "later"
    draining = models.BooleanField(default=False, db_default=False)  # takes no new request
    archived_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "packshot_provider"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(max_in_flight__gte=0, tokens__gte=0), name="packshot_provider_limits_are_sane"
            ),
        ]


class Process(models.Model):
    """A running web, pay or chores process. A pay process holds session lock `lock_key` while it lives."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=8)
    host = models.TextField()
    pid = models.IntegerField()
    lock_key = models.BigIntegerField(null=True, unique=True)
    slot = models.SmallIntegerField()  # its own column of the rollups
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    draining_at = models.DateTimeField(null=True)
    lock_free_since = models.DateTimeField(null=True)  # first seen free by a rescuer, database clock
    stop_acknowledged = models.IntegerField(default=0)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("slot", condition=Q(ended_at=None), name="packshot_process_slot_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["web", "pay", "chores"]), name="packshot_process_kind_is_known"
            ),
        ]


class Run(models.Model):
    """Many generations asked for together."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    title = models.TextField()
    asked_by = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+")
    asked_by_name = models.TextField()
    size = models.IntegerField()
    created_at = models.DateTimeField(db_default=Now())


class RequestRecord(models.Model):
    """One act of asking, by its client-made key: a repeat finds the first answer instead of paying again."""

    key = models.CharField(max_length=100, primary_key=True)
    fingerprint = models.CharField(max_length=64)  # sha256 of what was asked; another body is refused
    run = models.ForeignKey("Run", null=True, on_delete=models.PROTECT, related_name="+")
    quoted_micros = models.BigIntegerField(null=True)
    asked_by_name = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "packshot_request"


class Generation(models.Model):
    """One request for an image of a product from a provider. This row is the queue."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey("RequestRecord", on_delete=models.PROTECT, related_name="+", db_index=False)
    run = models.ForeignKey("Run", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    product = models.ForeignKey("Product", on_delete=models.PROTECT, related_name="+", db_index=False)
    provider = models.ForeignKey("ProviderRecord", on_delete=models.PROTECT, related_name="+", db_index=False)
    model = models.CharField(max_length=100)
    simulated = models.BooleanField()
    prompt = models.TextField()
    # Not each by an index that nobody asked for: it would be written three times in the life of every row.
    template_version = models.ForeignKey(
        "PromptTemplateVersion", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    shape = models.CharField(max_length=12, default="1:1")
    # How its copies come into that shape, as template and site said when it was asked for: crop, pad, keep.
    # Empty: from before that was written down.
    shape_fit = models.CharField(max_length=4, blank=True, default="", db_default="")
    images = models.SmallIntegerField(default=1)
    seed = models.BigIntegerField(null=True)
    options = models.JSONField(default=dict)
    negative_prompt = models.TextField(blank=True, default="", db_default="")
    # Pictures, each: role, blob, media_type, width_px, height_px, size_bytes, image_id, handle.
    inputs = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    asked_by = models.ForeignKey(
        "User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asked_by_name = models.TextField()
    retry_of = models.ForeignKey(
        "Generation", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    priority = models.SmallIntegerField(default=0)
    lane = models.CharField(max_length=64)  # fairness: run or person

    status = models.CharField(max_length=12, default="pending")
    wait_reason = models.CharField(max_length=12, null=True)
    wait_detail = models.TextField(blank=True)
    not_before = models.DateTimeField(null=True)
    attempts = models.SmallIntegerField(default=0)
    worker_deaths = models.SmallIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True)

    expected_micros = models.BigIntegerField(null=True)
    ceiling_micros = models.BigIntegerField(null=True)  # what one attempt reserves; null: unknown price
    price_version = models.CharField(max_length=40)
    actual_micros = models.BigIntegerField(null=True)  # all its attempts so far; null: nothing settled yet
    cost_unknown = models.BooleanField(default=False)
    error_kind = models.CharField(max_length=20, blank=True)
    error_message = models.TextField(blank=True)

    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)  # first `sending`
    completed_at = models.DateTimeField(null=True)  # completed, failed or cancelled

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=GENERATION_STATUSES), name="packshot_generation_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(wait_reason=None) | Q(wait_reason__in=WAIT_REASONS),
                name="packshot_generation_wait_is_known",
            ),
            models.CheckConstraint(
                condition=Q(wait_reason=None) | Q(status="pending"),
                name="packshot_generation_only_pending_waits",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "failed", "cancelled"], completed_at__isnull=False)
                | Q(status__in=["pending", "processing", "uncertain"], completed_at=None),
                name="packshot_generation_ends_with_a_time",
            ),
            models.CheckConstraint(
                condition=Q(images__gte=1, images__lte=10), name="packshot_generation_images_1_to_10"
            ),
            models.CheckConstraint(
                condition=(Q(ceiling_micros=None) | Q(ceiling_micros__gte=0))
                & (Q(actual_micros=None) | Q(actual_micros__gte=0)),
                name="packshot_generation_money_not_negative",
            ),
        ]
        indexes: ClassVar = [
            # What admission reads: lanes, then each lane's first rows.
            models.Index(
                "provider",
                "lane",
                F("priority").desc(),
                "id",
                condition=Q(status="pending", wait_reason=None),
                name="packshot_generation_ready",
            ),
            models.Index(
                "wait_reason",
                "not_before",
                condition=Q(status="pending", wait_reason__isnull=False),
                name="packshot_generation_parked",
            ),
            models.Index(
                "provider",
                "status",
                condition=Q(status__in=["pending", "processing", "uncertain"]),
                name="packshot_generation_live",
            ),
            models.Index("status", F("id").desc(), name="packshot_generation_by_status"),
            # A rare provider in the Queue: without it every generation is read (16 ms at 50,000).
            models.Index("provider", F("id").desc(), name="packshot_generation_provider"),
            models.Index("product", F("id").desc(), name="packshot_generation_by_product"),
            # What the Queue can be narrowed to. A common value is found from the newest on without them; for
            # a rare one every generation was read, ten million of them.
            models.Index("model", F("id").desc(), name="packshot_generation_by_model"),
            models.Index("asked_by_name", F("id").desc(), name="packshot_generation_by_person"),
            models.Index("template_version", F("id").desc(), name="packshot_generation_template"),
            models.Index(
                "error_kind", F("id").desc(), condition=~Q(error_kind=""), name="packshot_generation_by_error"
            ),
            models.Index("run", F("id").desc(), name="packshot_generation_by_run"),
            models.Index("request", name="packshot_generation_by_request"),
        ]


class Route(models.Model):
    """How a provider was chosen for a generation, and whom to ask next should it refuse or be down."""

    generation = models.OneToOneField(
        "Generation", primary_key=True, on_delete=models.PROTECT, related_name="+"
    )
    by = models.CharField(max_length=12)  # order, cheapest, fastest, best, weighted
    because = models.TextField()  # in words, with the figures that decided
    then = models.JSONField(default=list)  # [[provider, model], ...], the next first
    most_micros = models.BigIntegerField(null=True)  # what the dearest of them was agreed to cost at most
    # The generation that this one was made in place of.
    instead_of = models.ForeignKey(
        "Generation", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Nothing follows any more: it ended well, the next one was asked, or there is none.
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "instead_of", condition=Q(instead_of__isnull=False), name="packshot_route_followed_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index("generation", condition=Q(settled_at=None), name="packshot_route_open"),
        ]


class Batch(models.Model):
    """Requests that go to a provider as one order and come back within a day. Its attempts hold no seat, no
    process owns them once they are accepted, and whoever sweeps looks at it when it is due."""

    # Also the name by which the provider can be asked for the order.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    simulated = models.BooleanField()
    made_at = models.DateTimeField(db_default=Now())
    look_at = models.DateTimeField(null=True)  # the next look; null: nothing of it is open
    # What the last look said.
    looked_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=40, blank=True)  # the provider's own word
    done = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    total = models.IntegerField()
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index("look_at", condition=Q(look_at__isnull=False), name="packshot_batch_to_look_at"),
        ]


class Attempt(models.Model):
    """One paid call on behalf of a generation. Its moves are held by a trigger (DESIGN.md section 5)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    generation = models.ForeignKey("Generation", on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.SmallIntegerField()
    process = models.ForeignKey("Process", on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=18, default="intent")
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    simulated = models.BooleanField()
    reserved_micros = models.BigIntegerField()
    price_version = models.CharField(max_length=40)
    deadline_s = models.IntegerField()
    # One line of it; null: a call of its own.
    batch = models.ForeignKey("Batch", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    ticket = models.JSONField(null=True)
    request_id = models.TextField(blank=True)
    cost_micros = models.BigIntegerField(null=True)  # null while open, and when the cost is not known
    error_kind = models.CharField(max_length=20, blank=True)
    error_message = models.TextField(blank=True)
    answer = models.TextField(blank=True)  # redacted, without image bytes
    created_at = models.DateTimeField(db_default=Now())
    sending_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("generation", "number", name="packshot_attempt_number_once"),
            models.UniqueConstraint(
                "generation",
                condition=Q(state__in=OPEN_ATTEMPT_STATES),
                name="packshot_attempt_one_open",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ATTEMPT_STATES), name="packshot_attempt_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(reserved_micros__gte=0) & (Q(cost_micros=None) | Q(cost_micros__gte=0)),
                name="packshot_attempt_money_not_negative",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                "process", "state", condition=Q(state__in=OPEN_ATTEMPT_STATES), name="packshot_attempt_open"
            ),
            # What holds a seat of its provider: lines of a batch rest for a day and hold none.
            models.Index(
                "provider",
                "state",
                condition=Q(state__in=OPEN_ATTEMPT_STATES, batch=None),
                name="packshot_attempt_in_flight",
            ),
            models.Index("batch", condition=Q(batch__isnull=False), name="packshot_attempt_by_batch"),
            models.Index("request_id", name="packshot_attempt_by_request_id"),
            # What went wrong lately, by the time in the id; it grows with what fails and with nothing else.
            # What failed of a provider, by kind and by time, is counted from the index alone.
            models.Index(
                fields=["provider", "id"],
                condition=~Q(error_kind=""),
                include=["simulated", "error_kind", "created_at"],
                name="packshot_attempt_trouble",
            ),
        ]


class Evidence(models.Model):
    """Why an attempt left `uncertain`, or what was learned of it later. Append-only (trigger)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.ForeignKey("Attempt", on_delete=models.PROTECT, related_name="+")
    # late_answer, callback, lookup, reconciliation, person, policy
    kind = models.CharField(max_length=16)
    verdict = models.CharField(max_length=18)  # the state it argues for
    detail = models.JSONField(default=dict)
    by_name = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())


class Callback(models.Model):
    """What a provider said by itself about an attempt, as it said it. A hint: nothing is settled by it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.ForeignKey("Attempt", on_delete=models.PROTECT, related_name="+", db_index=False)
    sha256 = models.CharField(max_length=64)  # of the raw body: the same one again is stored once
    task = models.TextField(blank=True)  # the provider's number of it, as read from the body
    body = models.TextField(blank=True)  # redacted
    received_at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True)  # a worker took note of it

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("attempt", "sha256", name="packshot_callback_once"),
        ]
        indexes: ClassVar = [
            models.Index("id", condition=Q(handled_at=None), name="packshot_callback_new"),
        ]


class InspectionRecord(models.Model):
    """What a provider last said of an account for nothing: the newest look, a row per provider."""

    provider = models.OneToOneField(
        "ProviderRecord", primary_key=True, on_delete=models.PROTECT, related_name="+"
    )
    simulated = models.BooleanField()  # it was the simulator that said so
    key_works = models.BooleanField(null=True)  # null: it could not be told
    detail = models.TextField(blank=True)
    balance_micros = models.BigIntegerField(null=True)
    stops = models.JSONField(default=dict)  # by model: the day on which it stops
    told = models.JSONField(default=dict)  # the same, of those that people were told of
    checked_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "packshot_inspection"
