"""Site settings that people change while it runs."""

from django.db import models
from django.db.models.functions import Now


class Preference(models.Model):
    """One setting by key; `preferences.DEFAULTS` lists them all with their defaults."""

    key = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField()
    changed_at = models.DateTimeField(db_default=Now())
    changed_by_name = models.TextField(blank=True)
