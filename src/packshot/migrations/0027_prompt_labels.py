from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("packshot", "0026_active_products")]
    operations = []
