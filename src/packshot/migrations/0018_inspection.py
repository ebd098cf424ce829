import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("packshot", "0017_route")]
    operations = [
        migrations.CreateModel(
            name="InspectionRecord",
            fields=[
                (
                    "provider",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="packshot.providerrecord",
                    ),
                ),
                ("simulated", models.BooleanField()),
                ("key_works", models.BooleanField(null=True)),
                ("detail", models.TextField(blank=True)),
                ("balance_micros", models.BigIntegerField(null=True)),
                ("stops", models.JSONField(default=dict)),
                ("told", models.JSONField(default=dict)),
                ("checked_at", models.DateTimeField(db_default=Now())),
            ],
            options={"db_table": "packshot_inspection"},
        ),
    ]
