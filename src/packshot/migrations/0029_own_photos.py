import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import packshot.kernel.ids
from packshot.sql import InstallSQL

_OF = {"on_delete": django.db.models.deletion.PROTECT, "related_name": "+"}


class Migration(migrations.Migration):
    dependencies = [("packshot", "0028_votes")]
    operations = [
        migrations.CreateModel(
            name="Photo",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=packshot.kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("image", models.OneToOneField(to="packshot.image", **_OF)),
                ("product", models.ForeignKey(db_index=False, to="packshot.product", **_OF)),
                ("sha256", models.CharField(max_length=64)),
                ("file_name", models.TextField()),
                (
                    "brought_by",
                    models.ForeignKey(db_index=False, null=True, to=settings.AUTH_USER_MODEL, **_OF),
                ),
                ("brought_by_name", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("product"), models.F("sha256"), name="packshot_photo_once_per_product"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")),
                        name="packshot_photo_is_sha256",
                    ),
                ],
            },
        ),
        InstallSQL("photos", 1),
    ]
