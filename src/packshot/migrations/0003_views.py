from django.db import migrations

from packshot.sql import InstallSQL, InstallView


class Migration(migrations.Migration):
    dependencies = [("packshot", "0002_guards")]
    operations = [
        InstallSQL("site", 1),
        InstallSQL("budget_window", 1),
        InstallSQL("rollups", 1),
        InstallSQL("report_indexes", 1),
        InstallView("image_generation_dashboard", 1),
        InstallView("image_generation_monitor", 1),
        InstallView("provider_performance_stats", 1),
        InstallView("products_needing_attention", 1),
        InstallView("image_comparison_view", 1),
        InstallSQL("grants", 1),
    ]
