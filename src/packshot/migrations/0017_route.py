import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0016_prices")]
    operations = [
        migrations.CreateModel(
            name="Route",
            fields=[
                (
                    "generation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="packshot.generation",
                    ),
                ),
                ("by", models.CharField(max_length=12)),
                ("because", models.TextField()),
                ("then", models.JSONField(default=list)),
                ("most_micros", models.BigIntegerField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "instead_of",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.generation",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("generation"),
                        condition=models.Q(settled_at=None),
                        name="packshot_route_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        "instead_of",
                        condition=models.Q(instead_of__isnull=False),
                        name="packshot_route_followed_once",
                    )
                ],
            },
        ),
    ]
