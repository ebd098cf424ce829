from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("packshot", "0029_own_photos")]
    operations = []
