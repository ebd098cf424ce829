from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("packshot", "0028_votes")]
    operations = []
