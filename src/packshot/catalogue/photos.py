"""Photos that people bring: images of a product that no provider made, and that cost nothing."""

from dataclasses import dataclass
from uuid import UUID

from packshot.catalogue.models import Image, Product
from packshot.catalogue.photo_models import Photo
from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7

# What stands where other images name their provider. Their `model` is the name of who brought them.
PHOTO = "upload"
# IPTC's word for what a camera took.
CAPTURE = "digitalCapture"
_NAME_LENGTH = 100  # characters of Image.model


@dataclass(frozen=True, slots=True)
class BroughtPhoto:
    """A photo whose cleaned bytes are in the blob store, about to become an image."""

    product_id: UUID
    sha256: str
    file_name: str
    blob: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int
    digital_source_type: str
    by_id: UUID | None
    by_name: str


def photo_of(product_id: UUID, sha256: str) -> UUID | None:
    """The image that these bytes became, if they were brought to this product before."""
    found: UUID | None = (
        Photo.objects.filter(product_id=product_id, sha256=sha256).values_list("image_id", flat=True).first()
    )
    return found


def open_product(product_id: UUID) -> str:
    """The SKU of a product that takes images, and does so until the caller's transaction ends. Raises
    BadInput for one that is archived or not there."""
    product = Product.objects.select_for_update(no_key=True).filter(pk=product_id).first()
    if product is None:
        raise BadInput("there is no such product", field="product")
    if product.archived_at is not None:
        raise BadInput(f"product {product.sku} is archived", field="product")
    return product.sku


def add_photo(brought: BroughtPhoto) -> UUID:
    """Make it an image of its product. The caller holds the product (`open_product`)."""
    image = Image.objects.create(
        id=uuid7(),
        product_id=brought.product_id,
        blob=brought.blob,
        media_type=brought.media_type,
        width_px=brought.width_px,
        height_px=brought.height_px,
        size_bytes=brought.size_bytes,
        provider=PHOTO,
        model=brought.by_name[:_NAME_LENGTH],
        simulated=False,
        digital_source_type=brought.digital_source_type,
    )
    Photo.objects.create(
        image=image,
        product_id=brought.product_id,
        sha256=brought.sha256,
        file_name=brought.file_name,
        brought_by_id=brought.by_id,
        brought_by_name=brought.by_name,
    )
    return image.pk
