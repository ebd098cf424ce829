"""Own photos: what may come in, what is kept of it, and what it never counts in."""

import hashlib
import io
import zipfile
import zlib

import pytest
import pyvips
from django.db import connection
from typer.testing import CliRunner

from packshot import preferences
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry
from packshot.catalogue.models import Image, Product
from packshot.catalogue.photo_models import Photo
from packshot.cli.images import app as cli
from packshot.events.models import Event
from packshot.flows import delivery, export, look, photos, publish, review
from packshot.imaging.provenance import VOCABULARY, read_xmp
from packshot.kernel.errors import BadInput
from packshot.reports import choices, products, reviewing
from packshot.reports.models import Rollup
from tests import build
from tests.browser import story
from tests.unit.test_hostile_images import chunk, jpeg_with, segment, with_chunks

pytestmark = pytest.mark.django_db

INES = "ines"
PLACE = b"GPS 52.5200 N 13.4050 E"


@pytest.fixture
def ines() -> Actor:
    person = story.person("editor", INES)
    return Actor(person.pk, INES, "editor")


@pytest.fixture
def product() -> Product:
    return build.product()


def photo(number: int = 0, *, suffix: str = ".jpg", width_px: int = 64, alpha: bool = False) -> bytes:
    place = pyvips.Image.xyz(width_px, 48)
    picture = place[0].bandjoin([place[1], number]).cast("uchar").copy(interpretation="srgb")
    if alpha:
        picture = picture.bandjoin(picture[0])
    return bytes(picture.write_to_buffer(suffix))


def camera_photo() -> bytes:
    """As a phone writes it: lying on its side, with where it was taken."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    return jpeg_with(segment(0xE1, b"Exif\0\0" + tiff + PLACE), segment(0xFE, PLACE))


def declaring(source: str) -> bytes:
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{VOCABULARY}{source}</x:xmpmeta>'.encode()
    return jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))


def with_archive(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run.js", "alert(1)")
    return content + packed.getvalue()


def test_a_photo_is_looked_at_before_what_a_run_of_hundreds_brought(product, ines):
    build.provider_row()
    build.budget("100")
    made = story.land(build.sent(build.StandIn()), look=False)
    added = photos.add(product.pk, photo(), "front.jpg", ines)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args -> 'image_ids' ->> 0 FROM procrastinate_jobs WHERE task_name = 'look'"
            " ORDER BY priority DESC, id"
        )
        assert [row[0] for row in cursor.fetchall()] == [str(added.image_id), str(made.pk)]


# -- what is kept --------------------------------------------------------------------------------------


def test_a_photo_is_an_image_that_nobody_made_and_that_cost_nothing(product, ines):
    added = photos.add(product.pk, photo(), "front view.jpg", ines)
    image = Image.objects.get(pk=added.image_id)
    assert added.new
    assert (image.product_id, image.generation_id, image.attempt_id) == (product.pk, None, None)
    assert (image.provider, image.model, image.simulated) == ("upload", INES, False)
    assert image.digital_source_type == "digitalCapture"
    assert (image.width_px, image.height_px, image.media_type) == (64, 48, "image/jpeg")
    (shown,) = products.images_of(product.pk, 10)
    assert (shown.cost_micros, shown.asked_by_name) == (0, INES)
    kept = Photo.objects.get()
    assert (kept.file_name, kept.brought_by_id) == ("front view.jpg", ines.id)
    entry = AuditEntry.objects.get(action="add photo")
    assert (entry.actor_name, entry.subject, entry.detail["file"]) == (INES, product.sku, "front view.jpg")
    told = Event.objects.get(topic="image")
    assert (told.kind, told.data) == ("brought", {"product": str(product.pk), "by": INES})


def test_it_is_looked_at_like_any_other_and_becomes_what_shoppers_see(product, ines):
    added = photos.add(product.pk, photo(), "a.jpg", ines)
    look.look_at(added.image_id)
    product.refresh_from_db()
    assert product.newest_image_id == added.image_id
    assert publish.activate(added.image_id, build.ADMIN).after == added.image_id


def test_what_a_camera_wrote_into_it_is_nowhere_and_the_picture_stands_upright(product, ines):
    brought = camera_photo()
    assert PLACE in brought
    image = Image.objects.get(pk=photos.add(product.pk, brought, "a.jpg", ines).image_id)
    kept = look.store().get(image.blob)
    assert PLACE not in kept
    picture = pyvips.Image.new_from_buffer(kept, "")
    assert not [name for name in picture.get_fields() if name.startswith("exif-")]
    assert (image.width_px, image.height_px) == (30, 40), "it was lying on its side"
    assert not look.store().exists(hashlib.sha256(brought).hexdigest()), "the file is not kept"


@pytest.mark.parametrize(
    ("suffix", "alpha", "kept"),
    [(".jpg", False, "jpeg"), (".png", False, "png"), (".webp", False, "jpeg"), (".webp", True, "png")],
)
def test_it_is_kept_without_visible_loss_and_with_its_transparency(product, ines, suffix, alpha, kept):
    content = photo(suffix=suffix, alpha=alpha)
    image = Image.objects.get(pk=photos.add(product.pk, content, f"a{suffix}", ines).image_id)
    assert image.media_type == f"image/{kept}"
    before = pyvips.Image.new_from_buffer(content, "")
    after = pyvips.Image.new_from_buffer(look.store().get(image.blob), "")
    assert bool(after.hasalpha()) is alpha
    assert (before.cast("int") - after.cast("int")).abs().avg() < 2


def test_the_public_copy_says_nothing_of_a_model_and_nothing_of_who_brought_it(product, ines):
    added = photos.add(product.pk, photo(), "secret name.jpg", ines)
    blob = delivery.make(added.image_id, "sealed-jpeg-640")
    assert blob is not None
    copy = delivery.content(blob)
    said = read_xmp(copy)
    assert said is not None
    assert (said.source, said.tool) == (None, "Packshot")
    assert b"lgorithmicMedia" not in copy
    assert INES.encode() not in copy
    assert b"secret name" not in copy


@pytest.mark.parametrize(
    "source", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"]
)
def test_a_mark_that_a_file_brings_stays_on_its_picture(product, ines, source):
    image = Image.objects.get(pk=photos.add(product.pk, declaring(source), "a.jpg", ines).image_id)
    assert image.digital_source_type == source
    kept = read_xmp(look.store().get(image.blob))
    assert kept is not None
    assert kept.source == source


# -- twice, and at once ----------------------------------------------------------------------------------


def test_the_same_bytes_are_one_image_of_a_product_and_another_of_the_next(product, ines):
    first = photos.add(product.pk, photo(), "a.jpg", ines)
    again = photos.add(product.pk, photo(), "the same under another name.jpg", build.ADMIN)
    assert (again.image_id, again.new) == (first.image_id, False)
    assert Event.objects.filter(topic="image").count() == 1
    other = photos.add(build.product().pk, photo(), "a.jpg", ines)
    assert other.new
    assert Image.objects.count() == 2


def test_of_two_who_bring_the_same_at_once_the_later_finds_it(product, ines, monkeypatch):
    first = photos.add(product.pk, photo(), "a.jpg", ines)
    asked = iter([None])
    really = photos.catalogue.photo_of
    monkeypatch.setattr(
        photos.catalogue, "photo_of", lambda *given: next(asked, really(*given))
    )  # it was not there yet at the first look
    again = photos.add(product.pk, photo(), "a.jpg", ines)
    assert (again.image_id, again.new) == (first.image_id, False)
    assert Image.objects.count() == 1


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "Not a PNG"),
        ("page.jpg", jpeg_with(segment(0xFE, b"<script>alert(1)</script>")), "a web page or a script, too"),
        ("archive.jpg", with_archive(photo()), "a ZIP archive, too"),
        ("paper.png", with_chunks(chunk(b"tEXt", b"a\0%PDF-1.7")), "a PDF, too"),
        ("cut.jpg", photo()[:-200], "cannot be decoded"),
        ("nothing.png", b"", "empty"),
        ("gif.gif", b"GIF89a" + bytes(100), "Not a PNG"),
    ],
)
def test_what_is_no_picture_or_more_than_one_is_refused_by_name(product, ines, name, content, why):
    with pytest.raises(BadInput, match=why) as refused:
        photos.add(product.pk, content, f"C:\\photos\\{name}", ines)
    assert str(refused.value).startswith(f"{name}: ")
    assert not Image.objects.exists()
    assert not Event.objects.filter(topic="image").exists()


def test_a_bomb_is_refused_before_any_child_sees_it(product, ines, monkeypatch):
    monkeypatch.setattr(photos.look, "decoder", lambda: pytest.fail("it was decoded"))
    bomb = bytearray(photo(suffix=".png"))
    bomb[16:24] = (60_000).to_bytes(4) * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4)
    with pytest.raises(BadInput, match=r"bomb\.png: The image is 60,000 x 60,000 px"):
        photos.add(product.pk, bytes(bomb), "bomb.png", ines)


def test_an_archived_product_a_strange_one_and_a_viewer_add_nothing(product, ines):
    with pytest.raises(BadInput, match="role"):
        photos.add(product.pk, photo(), "a.jpg", Actor(None, "vic", "viewer"))
    with pytest.raises(BadInput, match="no such product"):
        photos.add(ines.id, photo(), "a.jpg", ines)
    Product.objects.filter(pk=product.pk).update(archived_at="2026-01-01T00:00Z")
    with pytest.raises(BadInput, match="archived"):
        photos.add(product.pk, photo(), "a.jpg", ines)
    assert not Image.objects.exists()


def test_the_shell_adds_them_too(product, tmp_path):
    (tmp_path / "a.jpg").write_bytes(photo())
    (tmp_path / "logo.svg").write_bytes(b"<svg/>")
    done = CliRunner().invoke(cli, ["add", product.sku, str(tmp_path / "a.jpg")])
    assert done.exit_code == 0, done.output
    image = Image.objects.get()
    assert (image.product_id, image.provider) == (product.pk, "upload")
    again = CliRunner().invoke(cli, ["add", product.sku, str(tmp_path / "a.jpg")])
    assert "already" in again.output
    refused = CliRunner().invoke(cli, ["add", product.sku, str(tmp_path / "logo.svg")])
    assert str(refused.exception).startswith("logo.svg: Not a PNG")
    gone = CliRunner().invoke(cli, ["add", product.sku, str(tmp_path / "gone.jpg")])
    assert "cannot be read" in str(gone.exception)


# -- what it counts in ------------------------------------------------------------------------------------


def test_it_counts_in_no_providers_figures(product, ines):
    added = photos.add(product.pk, photo(), "a.jpg", ines)
    look.look_at(added.image_id)
    review.decide([added.image_id], "rejected", "wrong colour", build.ADMIN)
    review.decide([added.image_id], "approved", "", build.ADMIN)
    assert not Rollup.objects.exists()
    assert reviewing.approvals(30) == []
    for number in range(1, choices.FEW + 1):
        photos.add(product.pk, photo(number), f"{number}.jpg", ines)
    assert choices.favourites(simulated=False) == {}


def test_a_rejected_photo_gives_no_provider_a_reason(product, ines):
    added = photos.add(product.pk, photo(), "a.jpg", ines)
    look.look_at(added.image_id)
    review.decide([added.image_id], "rejected", "wrong colour", build.ADMIN)
    assert reviewing.reasons(30) == []


def test_with_four_eyes_nobody_decides_about_a_photo_of_their_own(product):
    reviewer = story.person("reviewer", "rita")
    rita = Actor(reviewer.pk, "rita", "reviewer")
    added = photos.add(product.pk, photo(), "a.jpg", rita)
    look.look_at(added.image_id)
    preferences.set("four_eyes", True, "ada")
    with pytest.raises(BadInput, match="somebody else"):
        review.decide([added.image_id], "approved", "", rita)
    assert review.decide([added.image_id], "approved", "", build.ADMIN).turned


def test_the_view_that_compares_providers_shows_it_beside_them(product, ines):
    added = photos.add(product.pk, photo(), "a.jpg", ines)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT images -> 'upload' ->> 'image_id', (images -> 'upload' ->> 'cost')::numeric,"
            " images -> 'upload' ->> 'model' FROM image_comparison_view WHERE product_id = %s",
            [product.pk],
        )
        assert cursor.fetchone() == (str(added.image_id), 0, INES)


def test_it_is_taken_away_with_the_others_and_says_what_it_is(product, ines):
    added = photos.add(product.pk, photo(), "a.jpg", ines)
    publish.activate(added.image_id, build.ADMIN)
    lines = b"".join(export.csv_pieces(export.Sought())).decode().splitlines()
    assert f",upload,{INES},no,digitalCapture," in lines[1]
