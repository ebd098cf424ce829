from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0019_triage")]
    operations = [
        migrations.AddField(
            model_name="generation",
            name="shape_fit",
            field=models.CharField(blank=True, db_default="", default="", max_length=4),
        ),
        migrations.AddField(
            model_name="prompttemplate",
            name="shape_fit",
            field=models.CharField(blank=True, db_default="", default="", max_length=4),
        ),
        migrations.AddConstraint(
            model_name="prompttemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(("shape_fit__in", ["", "crop", "pad"])),
                name="packshot_template_fit_is_known",
            ),
        ),
    ]
