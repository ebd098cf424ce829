from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0014_fewer_indexes")]
    operations = [
        migrations.AddField(
            model_name="generation",
            name="negative_prompt",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="generation",
            name="inputs",
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name="image",
            name="handle",
            field=models.JSONField(null=True),
        ),
    ]
