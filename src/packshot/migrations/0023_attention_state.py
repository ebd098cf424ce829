from django.db import migrations, models
from django.db.models import Case, F, Q, Value, When

from packshot.sql import InstallSQL, InstallView


class Migration(migrations.Migration):
    # What is wrong with a product stands in its row; names and SKUs are searched by their trigrams.
    dependencies = [("packshot", "0022_batches")]
    operations = [
        migrations.AddField("product", "active_image_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "product", "active_rejected", models.BooleanField(db_default=False, default=False)
        ),
        migrations.AddField("product", "active_score", models.FloatField(null=True)),
        migrations.AddField(
            "product",
            "severity",
            models.GeneratedField(
                db_persist=True,
                expression=Case(
                    When(archived_at__isnull=False, then=Value(None)),
                    When(last_generation_status="uncertain", then=Value(1)),
                    When(last_generation_status="failed", then=Value(2)),
                    When(active_image=None, listed_image_url="", then=Value(3)),
                    When(active_image=None, placeholder=True, then=Value(4)),
                    When(active_image__isnull=False, active_rejected=True, then=Value(5)),
                ),
                output_field=models.SmallIntegerField(null=True),
            ),
        ),
        InstallSQL("attention", 1),
        migrations.AddIndex(
            "product",
            models.Index(
                F("severity"),
                F("id").desc(),
                condition=Q(severity__isnull=False),
                name="packshot_product_severity",
            ),
        ),
        migrations.AddIndex(
            "product",
            models.Index(
                fields=["active_score"],
                condition=Q(archived_at=None, severity=None, active_score__isnull=False),
                include=["id"],
                name="packshot_product_active_score",
            ),
        ),
        migrations.AddIndex(
            "product",
            models.Index(
                fields=["active_image_at", "active_score"],
                condition=Q(archived_at=None, severity=None, active_image_at__isnull=False),
                include=["id"],
                name="packshot_product_active_age",
            ),
        ),
        InstallView("products_needing_attention", 2),
        InstallSQL("trigrams", 1),
        # What is held is added up from the index alone.
        migrations.RemoveIndex("reservation", "packshot_reservation_open"),
        migrations.AddIndex(
            "reservation",
            models.Index(
                fields=["opened_at"],
                condition=Q(closed_at=None),
                include=["simulated", "amount_micros"],
                name="packshot_reservation_open",
            ),
        ),
    ]
