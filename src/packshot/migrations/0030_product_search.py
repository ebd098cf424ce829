from django.db import migrations, models

from packshot.sql import InstallSQL


class Migration(migrations.Migration):
    # Attributes are searched, too: all the words of a product stand in one column.
    dependencies = [("packshot", "0029_own_photos")]
    operations = [
        InstallSQL("product_words", 1),
        migrations.AddField(
            "product",
            "words",
            models.GeneratedField(
                db_persist=True,
                expression=models.Func(
                    "name",
                    "sku",
                    "attributes",
                    function="packshot_product_words",
                    output_field=models.TextField(),
                ),
                output_field=models.TextField(),
            ),
        ),
        InstallSQL("trigrams", 2),
    ]
