"""Stored images are looked at in a bounded child, and renditions are made once, by whoever comes first."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import pyvips
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from packshot import preferences
from packshot.catalogue.models import Image, Rendition
from packshot.events.models import Event
from packshot.flows import look, upkeep
from packshot.flows.close import Completion, Stored
from packshot.generations.models import Generation
from packshot.imaging.provenance import Provenance, read_xmp
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    build.provider_row()
    return build.StandIn()


def picture(side: int = 400) -> bytes:
    shade = pyvips.Image.xyz(side, side)[0] % 256
    return shade.cast("uchar").bandjoin([shade.cast("uchar"), shade.cast("uchar")]).pngsave_buffer()


def landed(provider, content: bytes) -> Image:
    """An image whose attempt was closed and whose bytes are stored, not yet looked at."""
    claim = build.sent(provider)
    stored = Stored(look.store().put(content), "image/png", 400, 400, len(content))
    build.end(Completion(claim.attempt_id, images=(stored,), cost_micros=40_000, request_id="r"))
    return Image.objects.get(attempt_id=claim.attempt_id)


def test_closing_asks_for_a_look_in_the_same_transaction(provider):
    image = landed(provider, picture())
    job = ProcrastinateJob.objects.get(task_name="look")
    assert job.args == {"image_ids": [str(image.id)]}


def test_the_first_rendition_is_told_before_the_others_are_made(provider):
    image = landed(provider, picture(1500))
    look.look_at(image.id)
    image.refresh_from_db()
    assert image.state == "ready"
    made = {each.spec: (each.width_px, each.media_type) for each in Rendition.objects.filter(image=image)}
    assert made == {
        "webp-320": (320, "image/webp"), "webp-96": (96, "image/webp"), "webp-1200": (1200, "image/webp"),
    }  # fmt: skip
    kinds = list(Event.objects.filter(topic="image").order_by("id").values_list("kind", flat=True))
    assert kinds == ["landed", "rendered"]


def test_every_rendition_says_that_a_simulated_image_came_from_no_trained_model(provider):
    image = landed(provider, picture())
    look.look_at(image.id)
    look.make_rendition(image.id, "avif-320")
    for rendition in Rendition.objects.filter(image=image):
        assert read_xmp(look.store().get(rendition.blob)) == Provenance("algorithmicMedia", "stand-in")


def test_bytes_that_are_no_picture_are_marked_and_kept(provider):
    bomb = picture()[:200] + b"\0" * 500
    image = landed(provider, bomb)
    look.look_at(image.id)
    image.refresh_from_db()
    assert image.state == "broken"
    assert image.problem
    assert look.store().get(image.blob) == bomb
    assert build.generation(image.generation_id).status == "completed"


def test_looking_twice_changes_nothing(provider):
    image = landed(provider, picture())
    look.look_at(image.id)
    before = list(Rendition.objects.order_by("id").values_list("id", "blob"))
    look.look_at(image.id)
    assert list(Rendition.objects.order_by("id").values_list("id", "blob")) == before


def test_many_wishes_for_avif_make_one_job_and_then_one_rendition(provider):
    image = landed(provider, picture())
    look.look_at(image.id)
    for _ in range(5):
        look.wish_for(image.id, "avif-320")
    assert ProcrastinateJob.objects.filter(task_name="rendition").count() == 1
    look.make_rendition(image.id, "avif-320")
    look.make_rendition(image.id, "avif-320")
    assert Rendition.objects.filter(image=image, spec="avif-320", media_type="image/avif").count() == 1


def test_an_image_whose_look_got_lost_is_found_again(provider):
    landed(provider, picture())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert upkeep.look_again(older_than_s=0) == 1
    assert ProcrastinateJob.objects.filter(task_name="look").count() == 1


def test_a_signpost_leads_to_the_webp_until_the_avif_is_made(provider, client):
    from packshot.accounts.models import User

    image = landed(provider, picture())
    look.look_at(image.id)
    client.force_login(User.objects.create(username="vic", role="viewer"))
    first = client.get(f"/images/{image.id}/avif-320")
    assert first.status_code == 302
    assert first["Location"].endswith(".webp")
    assert first["Cache-Control"] == "no-store"
    look.make_rendition(image.id, "avif-320")
    second = client.get(f"/images/{image.id}/avif-320")
    assert second["Location"].endswith(".avif")
    assert client.get(second["Location"])["Content-Type"] == "image/avif"
    assert client.get(f"/images/{image.id}/webp-31337").status_code == 404
    assert client.get(f"/images/{uuid.uuid4()}/webp-320").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_processes_looking_at_once_leave_one_rendition_a_size():
    build.provider_row()
    image = landed(build.StandIn(), picture(1300))

    def look_once(_: int) -> None:
        try:
            look.look_at(image.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(look_once, range(2)))
    assert sorted(Rendition.objects.values_list("spec", flat=True)) == ["webp-1200", "webp-320", "webp-96"]


@pytest.mark.parametrize(
    ("fit", "shape", "size"),
    [
        ("crop", "4:5", (320, 400)),
        ("pad", "4:5", (400, 500)),
        ("keep", "4:5", (400, 400)),
        ("crop", "input", (400, 400)),
    ],
)
def test_copies_of_what_was_asked_for_before_fits_were_written_down_are_as_the_site_says(
    provider, fit, shape, size
):
    preferences.set("shape_fit", fit, "ada")
    image = landed(provider, picture())
    Generation.objects.update(shape=shape)
    look.look_at(image.id)
    made = Rendition.objects.get(image=image, spec="webp-1200")
    assert (made.width_px, made.height_px) == size
    image.refresh_from_db()
    assert (image.width_px, image.height_px) == (400, 400), "the image itself stays as it came"


def test_a_later_word_of_the_site_does_not_change_what_was_asked_for(provider):
    image = landed(provider, picture())
    Generation.objects.update(shape="4:5", shape_fit="pad")
    look.look_at(image.id)
    preferences.set("shape_fit", "crop", "ada")
    look.make_rendition(image.id, "avif-1200")
    sizes = Rendition.objects.filter(image=image, spec__endswith="-1200").values_list("width_px", "height_px")
    assert set(sizes) == {(400, 500)}
