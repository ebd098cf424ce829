"""What was decided is listed by decision, newest images first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packshot", "0023_attention_state")]
    operations = [
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                "decision", "image", condition=models.Q(current=True), name="packshot_review_by_decision"
            ),
        ),
    ]
