"""People, what they may do by role, and what they did."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models

from packshot.kernel.ids import uuid7


class Role(models.TextChoices):
    """From least to most. Rights per role stand in rights.toml, and nowhere else."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    REVIEWER = "reviewer", "Reviewer"
    PUBLISHER = "publisher", "Publisher"
    ADMINISTRATOR = "administrator", "Administrator"


class User(AbstractUser):
    """A person who signs in. Never deleted: money and history name them; `is_active` ends their access."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="packshot_user_role_is_known"
            ),
            # Django's own superuser flag would be a second way to hold rights.
            models.CheckConstraint(condition=models.Q(is_superuser=False), name="packshot_user_no_superuser"),
        ]


class AuditEntry(models.Model):
    """Who did what to which thing, when. Append-only (trigger)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey("User", null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.TextField()  # a person's user name, or `cli:<system user>`
    action = models.TextField()
    subject = models.TextField()
    detail = models.JSONField(default=dict)
