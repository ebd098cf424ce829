import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

from packshot.kernel.ids import uuid7

_OPEN = ("intent", "sending", "accepted", "uncertain")


class Migration(migrations.Migration):
    dependencies = [("packshot", "0021_bulk")]
    operations = [
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("provider", models.CharField(max_length=32)),
                ("model", models.CharField(max_length=100)),
                ("simulated", models.BooleanField()),
                ("made_at", models.DateTimeField(db_default=Now())),
                ("look_at", models.DateTimeField(null=True)),
                ("looked_at", models.DateTimeField(null=True)),
                ("state", models.CharField(blank=True, max_length=40)),
                ("done", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
                ("total", models.IntegerField()),
                ("due_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("look_at"),
                        condition=Q(look_at__isnull=False),
                        name="packshot_batch_to_look_at",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="attempt",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="packshot.batch",
            ),
        ),
        migrations.RemoveIndex(model_name="attempt", name="packshot_attempt_in_flight"),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("provider"),
                models.F("state"),
                condition=Q(state__in=_OPEN, batch=None),
                name="packshot_attempt_in_flight",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                models.F("batch"), condition=Q(batch__isnull=False), name="packshot_attempt_by_batch"
            ),
        ),
    ]
