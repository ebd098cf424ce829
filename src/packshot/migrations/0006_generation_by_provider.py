from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0005_newest_image")]
    operations = [
        migrations.AddIndex(
            model_name="generation",
            index=models.Index(
                models.F("provider"),
                models.OrderBy(models.F("id"), descending=True),
                name="packshot_generation_provider",
            ),
        ),
    ]
