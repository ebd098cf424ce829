"""Site settings that people change while it runs, and the views that they save."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from packshot.kernel.ids import uuid7


class Preference(models.Model):
    """One setting by key; `preferences.DEFAULTS` lists them all with their defaults."""

    key = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField()
    changed_at = models.DateTimeField(db_default=Now())
    changed_by_name = models.TextField(blank=True)


class SavedView(models.Model):
    """A filter with its order under a name, of one person or, without an owner, of everybody."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    place = models.CharField(max_length=20)  # the page it is a view of: `queue`
    name = models.CharField(max_length=60)
    query = models.TextField()  # as it stands in an address
    owner = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    # Shown when its owner, or for a shared one whoever has no default, opens the page by its bare address.
    opens = models.BooleanField(default=False)
    saved_by_name = models.TextField()
    saved_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "packshot_saved_view"
        constraints: ClassVar = [
            models.UniqueConstraint(
                F("place"),
                F("owner"),
                Lower("name"),
                name="packshot_saved_view_name_once",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                F("place"),
                F("owner"),
                condition=Q(opens=True),
                name="packshot_saved_view_one_opens",
                nulls_distinct=False,
            ),
        ]
