"""Rollups: sums by quarter-hour, kept in the closing transaction, one column of rows per writing process."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Rollup(models.Model):
    """Sums of one quarter-hour; the bucket of 1900-01-01 holds those of all time (`reports.ALL_TIME`).

    Views add the slots up; `rebuild_rollups` proves and repairs them.
    """

    pk = models.CompositePrimaryKey("bucket", "provider", "model", "simulated", "slot")
    bucket = models.DateTimeField()
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=100)
    simulated = models.BooleanField()
    slot = models.SmallIntegerField()
    completed = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    images = models.BigIntegerField(default=0)
    approved = models.BigIntegerField(default=0)
    amount_micros = models.BigIntegerField(default=0)
    duration_ms = models.BigIntegerField(default=0)
    durations = models.BigIntegerField(default=0)
    # Completed generations by processing time; upper bounds in reports/histogram.py.
    histogram = ArrayField(models.BigIntegerField())

    class Meta:
        indexes: ClassVar = [models.Index("provider", "bucket", name="packshot_rollup_by_provider")]
