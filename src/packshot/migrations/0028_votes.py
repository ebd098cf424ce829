from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("packshot", "0027_prompt_labels")]
    operations = []
