import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Greatest, Least, Now

from packshot.kernel.ids import uuid7
from packshot.sql import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("packshot", "0027_prompt_labels")]
    operations = [
        migrations.CreateModel(
            name="Vote",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("round", models.UUIDField()),
                ("category_path", models.TextField(blank=True)),
                ("provider", models.CharField(max_length=32)),
                ("model", models.CharField(max_length=100)),
                ("other_provider", models.CharField(max_length=32)),
                ("other_model", models.CharField(max_length=100)),
                ("simulated", models.BooleanField()),
                ("verdict", models.CharField(max_length=7)),
                ("blind", models.BooleanField()),
                ("at", models.DateTimeField(db_default=Now())),
                ("withdrawn_at", models.DateTimeField(null=True)),
                (
                    "image",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.image",
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.image",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.product",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        "person",
                        "product",
                        condition=models.Q(withdrawn_at=None),
                        name="packshot_vote_by_person",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(verdict__in=["better", "equal", "neither"]),
                        name="packshot_vote_is_known",
                    ),
                    models.CheckConstraint(
                        condition=~models.Q(image=models.F("other")), name="packshot_vote_between_two"
                    ),
                    models.UniqueConstraint(
                        "person",
                        Least("image", "other"),
                        Greatest("image", "other"),
                        condition=models.Q(withdrawn_at=None),
                        name="packshot_vote_once",
                    ),
                ],
            },
        ),
        InstallSQL("votes", 1),
    ]
