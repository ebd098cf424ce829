from django.db import migrations, models

# Images that were ready before lists read this column.
_FILL = """
    UPDATE packshot_product AS product SET newest_image_id = newest.id
    FROM (
        SELECT DISTINCT ON (product_id) product_id, id FROM packshot_image
        WHERE state = 'ready' ORDER BY product_id, id DESC
    ) AS newest
    WHERE newest.product_id = product.id
"""


class Migration(migrations.Migration):
    dependencies = [("packshot", "0003_views")]
    operations = [
        migrations.AddField(
            model_name="product",
            name="newest_image",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=models.PROTECT,
                related_name="+",
                to="packshot.image",
            ),
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="product",
            index=models.Index(
                "name",
                "id",
                condition=models.Q(active_image=None, archived_at=None, newest_image__isnull=False),
                name="packshot_product_to_choose",
            ),
        ),
        migrations.AddIndex(
            model_name="product",
            index=models.Index(
                "name",
                "id",
                condition=models.Q(archived_at=None, last_generation_status="pending"),
                name="packshot_product_in_progress",
            ),
        ),
    ]
