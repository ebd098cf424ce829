from django.db import migrations

# For whom version 0023 dropped it, before anybody had seen that the products list counts by it.
_AGAIN = """
    CREATE INDEX IF NOT EXISTS packshot_product_active
    ON packshot_product (active_image_id, last_generation_status)
    WHERE archived_at IS NULL AND active_image_id IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("packshot", "0025_queue_indexes")]
    operations = [migrations.RunSQL(_AGAIN, migrations.RunSQL.noop)]
