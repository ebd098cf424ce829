from django.db import migrations, models
from django.db.models import F, Q

from packshot.sql import InstallSQL


class Migration(migrations.Migration):
    # What is rare in the Queue, found without reading every generation.
    dependencies = [("packshot", "0024_review_by_decision")]
    operations = [
        migrations.AddIndex(
            "generation", models.Index(F("model"), F("id").desc(), name="packshot_generation_by_model")
        ),
        migrations.AddIndex(
            "generation",
            models.Index(F("asked_by_name"), F("id").desc(), name="packshot_generation_by_person"),
        ),
        migrations.AddIndex(
            "generation",
            models.Index(F("template_version"), F("id").desc(), name="packshot_generation_template"),
        ),
        migrations.AddIndex(
            "generation",
            models.Index(
                F("error_kind"),
                F("id").desc(),
                condition=~Q(error_kind=""),
                name="packshot_generation_by_error",
            ),
        ),
        InstallSQL("queue_indexes", 1),
        # With the id, so that the products of a category, and the categories of products, come from it alone.
        migrations.RemoveIndex("product", "packshot_product_by_category"),
        migrations.AddIndex("product", models.Index("category", "id", name="packshot_product_by_category")),
        InstallSQL("rollups", 2),
    ]
