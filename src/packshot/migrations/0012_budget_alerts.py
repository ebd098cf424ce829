from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0006_generation_by_provider")]
    operations = [
        migrations.AddField(
            model_name="budgetwindow",
            name="alerted",
            field=models.SmallIntegerField(db_default=0),
        ),
    ]
