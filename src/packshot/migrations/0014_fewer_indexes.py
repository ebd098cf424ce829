import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    # Indexes that nothing reads. The newest images are found in the primary key, read backwards.
    dependencies = [("packshot", "0013_callbacks")]
    operations = [
        migrations.AlterField(
            model_name="generation",
            name="asked_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                db_index=False,
            ),
        ),
        migrations.AlterField(
            model_name="generation",
            name="retry_of",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="packshot.generation",
                db_index=False,
            ),
        ),
        migrations.AlterField(
            model_name="generation",
            name="template_version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="packshot.prompttemplateversion",
                db_index=False,
            ),
        ),
        migrations.RemoveIndex(model_name="image", name="packshot_image_newest"),
    ]
