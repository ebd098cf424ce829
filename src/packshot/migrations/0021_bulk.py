import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

import packshot.kernel.ids
from packshot.sql import InstallSQL

_KEY = {"default": packshot.kernel.ids.uuid7, "editable": False, "primary_key": True, "serialize": False}
_OF = {"db_index": False, "on_delete": django.db.models.deletion.PROTECT, "related_name": "+"}


class Migration(migrations.Migration):
    dependencies = [("packshot", "0020_shape_fit")]
    operations = [
        InstallSQL("queue", 1),
        migrations.CreateModel(
            name="BulkAction",
            fields=[
                ("id", models.UUIDField(**_KEY)),
                ("request_key", models.CharField(max_length=100, unique=True)),
                ("kind", models.CharField(max_length=12)),
                ("asked_by", models.ForeignKey(null=True, to=settings.AUTH_USER_MODEL, **_OF)),
                ("asked_by_name", models.TextField()),
                ("filter", models.JSONField(default=dict)),
                ("chosen", models.BooleanField(default=False)),
                ("arguments", models.JSONField(default=dict)),
                (
                    "undo_of",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="packshot.bulkaction",
                    ),
                ),
                ("run", models.ForeignKey(null=True, to="packshot.run", **_OF)),
                ("size", models.IntegerField()),
                ("quoted", models.JSONField(default=list)),
                ("quoted_micros", models.BigIntegerField(null=True)),
                ("next_place", models.IntegerField(default=0)),
                ("done", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
                ("skipped", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("updated_at", models.DateTimeField(db_default=Now())),
                ("finished_at", models.DateTimeField(null=True)),
                ("stopped_by_name", models.TextField(blank=True)),
            ],
            options={
                "db_table": "packshot_bulk_action",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind__in=("retry", "hand_over", "cancel", "reprioritise", "undo")),
                        name="packshot_bulk_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(size__gte=F("done") + F("failed") + F("skipped")),
                        name="packshot_bulk_counts_no_item_twice",
                    ),
                ],
                "indexes": [
                    models.Index(
                        F("updated_at"), condition=Q(finished_at=None), name="packshot_bulk_unfinished"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkItem",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "action_id", "place", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("action", models.ForeignKey(to="packshot.bulkaction", **_OF)),
                ("place", models.IntegerField()),
                ("generation", models.ForeignKey(to="packshot.generation", **_OF)),
                ("quoted_micros", models.BigIntegerField(null=True)),
                ("outcome", models.CharField(blank=True, db_default="", default="", max_length=8)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("before", models.CharField(blank=True, db_default="", default="", max_length=12)),
                ("made", models.ForeignKey(null=True, to="packshot.generation", **_OF)),
                ("at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "packshot_bulk_item",
                "constraints": [
                    models.UniqueConstraint(F("action"), F("generation"), name="packshot_bulk_item_once"),
                    models.CheckConstraint(
                        condition=Q(outcome__in=("", "done", "failed", "skipped")),
                        name="packshot_bulk_outcome_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(**_KEY)),
                ("place", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=60)),
                ("query", models.TextField()),
                ("owner", models.ForeignKey(null=True, to=settings.AUTH_USER_MODEL, **_OF)),
                ("opens", models.BooleanField(default=False)),
                ("saved_by_name", models.TextField()),
                ("saved_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "db_table": "packshot_saved_view",
                "constraints": [
                    models.UniqueConstraint(
                        F("place"),
                        F("owner"),
                        Lower("name"),
                        name="packshot_saved_view_name_once",
                        nulls_distinct=False,
                    ),
                    models.UniqueConstraint(
                        F("place"),
                        F("owner"),
                        condition=Q(opens=True),
                        name="packshot_saved_view_one_opens",
                        nulls_distinct=False,
                    ),
                ],
            },
        ),
    ]
