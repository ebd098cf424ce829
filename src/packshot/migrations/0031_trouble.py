from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    # What failed of a provider is counted from the index alone.
    dependencies = [("packshot", "0030_product_search")]
    operations = [
        migrations.RemoveIndex("attempt", "packshot_attempt_trouble"),
        migrations.AddIndex(
            "attempt",
            models.Index(
                fields=["provider", "id"],
                condition=~Q(error_kind=""),
                include=["simulated", "error_kind", "created_at"],
                name="packshot_attempt_trouble",
            ),
        ),
    ]
