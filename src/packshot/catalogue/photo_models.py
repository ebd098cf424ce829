"""Photos that people brought as images of a product."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from packshot.kernel.ids import uuid7


class Photo(models.Model):
    """Of an image that nobody generated: who brought it, and by which bytes it is known again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    image = models.OneToOneField("Image", on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey("Product", on_delete=models.PROTECT, related_name="+", db_index=False)
    # Of the file as it was brought, which is not kept itself: it says where it was taken, and by whom.
    sha256 = models.CharField(max_length=64)
    file_name = models.TextField()
    brought_by = models.ForeignKey(
        "User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    brought_by_name = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("product", "sha256", name="packshot_photo_once_per_product"),
            models.CheckConstraint(
                condition=Q(sha256__regex="^[0-9a-f]{64}$"), name="packshot_photo_is_sha256"
            ),
        ]
