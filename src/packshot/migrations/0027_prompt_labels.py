"""Generations use the version of a template that is labelled production, and not whatever is newest."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

from packshot.sql import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("packshot", "0026_active_products")]
    operations = [
        migrations.AddField(
            model_name="prompttemplate",
            name="production_number",
            field=models.IntegerField(db_default=1, default=1),
        ),
        migrations.CreateModel(
            name="PromptMove",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "template_id", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.prompttemplate",
                    ),
                ),
                ("number", models.IntegerField()),
                ("from_number", models.IntegerField(null=True)),
                ("to_number", models.IntegerField()),
                ("moved_by_name", models.TextField(blank=True)),
                ("at", models.DateTimeField(db_default=Now())),
            ],
        ),
        InstallSQL("prompt_labels", 1),
    ]
