import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

import packshot.kernel.ids


class Migration(migrations.Migration):
    dependencies = [("packshot", "0012_budget_alerts")]
    operations = [
        migrations.CreateModel(
            name="Callback",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=packshot.kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sha256", models.CharField(max_length=64)),
                ("task", models.TextField(blank=True)),
                ("body", models.TextField(blank=True)),
                ("received_at", models.DateTimeField(db_default=Now())),
                ("handled_at", models.DateTimeField(null=True)),
                (
                    "attempt",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.attempt",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("id"), condition=models.Q(handled_at=None), name="packshot_callback_new"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("attempt"), models.F("sha256"), name="packshot_callback_once"
                    )
                ],
            },
        ),
    ]
