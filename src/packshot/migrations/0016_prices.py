import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import F, Q

from packshot.sql import InstallSQL


class Migration(migrations.Migration):
    # Prices that the site edits; providers that take no new request; failed calls by the time they were made.
    dependencies = [("packshot", "0015_inputs")]
    operations = [
        migrations.CreateModel(
            name="PriceEdit",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("provider", models.CharField(max_length=32)),
                ("model", models.CharField(max_length=100)),
                ("key", models.CharField(blank=True, max_length=200)),
                ("kind", models.CharField(max_length=10)),
                ("amount_micros", models.BigIntegerField(null=True)),
                ("most_micros", models.BigIntegerField(null=True)),
                ("source", models.TextField()),
                ("valid_from", models.DateTimeField()),
                ("by_name", models.TextField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "packshot_price",
                "indexes": [models.Index("provider", "id", name="packshot_price_by_provider")],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind="price", amount_micros__gte=0, most_micros__gte=F("amount_micros"))
                        | Q(kind__in=["unknown", "withdrawn"], amount_micros=None, most_micros=None),
                        name="packshot_price_is_one_or_none",
                    )
                ],
            },
        ),
        InstallSQL("prices", 1),
        migrations.AddField(
            model_name="providerrecord",
            name="draining",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                "provider", "id", condition=~Q(error_kind=""), name="packshot_attempt_trouble"
            ),
        ),
    ]
