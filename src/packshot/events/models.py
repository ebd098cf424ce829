"""What happened, stored with the change itself."""

from django.db import models
from django.db.models.functions import Now


class Event(models.Model):
    """One thing that happened. Ids follow commit order (`events.tell` holds a lock to the commit)."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=20)  # generation, image, run, provider, budget, spending
    kind = models.CharField(max_length=32)  # asked, started, completed, landed, ...
    subject = models.CharField(max_length=60)  # the id of what it happened to
    data = models.JSONField(default=dict)  # small facts; never a secret, never a prompt
    at = models.DateTimeField(db_default=Now())
