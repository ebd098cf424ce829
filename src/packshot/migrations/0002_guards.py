from django.core.management import call_command
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from packshot.sql import InstallSQL


def make_cache_table(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    call_command("createcachetable", verbosity=0, database=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("packshot", "0001_initial")]
    operations = [
        InstallSQL("guards", 1),
        migrations.RunPython(make_cache_table, migrations.RunPython.noop),
    ]
