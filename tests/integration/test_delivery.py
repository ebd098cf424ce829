"""Images for shoppers: the lasting address of a product's active image, over the wire and in all trouble."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
import pyvips
from django.conf import settings
from django.db import OperationalError, connections
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from packshot import events, preferences
from packshot.blobs import StoreDown
from packshot.catalogue import public
from packshot.catalogue.models import Image, Product, Rendition
from packshot.flows import delivery, look, publish, upkeep
from packshot.generations.models import Generation
from packshot.imaging.provenance import Provenance, read_xmp
from packshot.imaging.renditions import DecoderDied
from packshot.kernel.errors import BadInput
from packshot.web import delivery as web
from packshot.web.delivery import Delivery
from packshot.worker import chores as chores_process
from tests import build
from tests.browser import story
from tests.browser.server import Server
from tests.build import ADMIN, EDITOR

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def shopper(server: Server) -> Iterator[httpx.Client]:
    """Somebody without a session."""
    if server.process is None:
        server.start()
    with httpx.Client(base_url=server.url, timeout=30) as shopper:
        yield shopper


@pytest.fixture
def chores() -> Iterator[None]:
    """What the chores process does with copies that are wished for."""
    done = threading.Event()

    def work() -> None:
        try:
            while not done.is_set():
                for job in ProcrastinateJob.objects.filter(task_name="seal", status="todo"):
                    delivery.make(UUID(job.args["image_id"]), job.args["spec"])
                    finish(job.id)
                done.wait(0.02)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    done.set()
    thread.join()


def finish(job_id: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [job_id])


def wishes() -> list[dict[str, Any]]:
    return [each.args for each in ProcrastinateJob.objects.filter(task_name="seal")]


def active(provider: build.StandIn, sku: str = "TEA-1", *, number: int = 0) -> Image:
    """A product's active image."""
    image = story.land(build.sent(provider), number=number)
    Product.objects.filter(pk=image.product_id).update(sku=sku)
    publish.activate(image.pk, ADMIN)
    return image


def followed(shopper: httpx.Client, url: str, **headers: str) -> tuple[httpx.Response, httpx.Response]:
    """The signpost and what it leads to."""
    signpost = shopper.get(url, headers=headers)
    assert signpost.status_code == 302, (signpost.status_code, signpost.text)
    return signpost, shopper.get(signpost.headers["location"], headers=headers)


@pytest.fixture
def door() -> Iterator[Delivery]:
    """The door alone, in this process, so that trouble can be made behind it."""
    threads = ThreadPoolExecutor(1)
    yield Delivery(threads)
    threads.submit(connections.close_all).result()
    threads.shutdown()


def ask(door: Delivery, path: str, query: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    async def one() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        await door(scope, send)
        return sent

    start, body = asyncio.run(one())
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, body["body"]


# -- the lasting address -----------------------------------------------------------------------------


def test_an_address_leads_to_the_active_image_in_the_format_and_the_width_asked_for(
    provider, shopper, chores
):
    active(provider)
    for ending, media_type in (
        ("webp", "image/webp"),
        ("avif", "image/avif"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("png", "image/png"),
    ):
        signpost, found = followed(shopper, f"/i/TEA-1.{ending}?w=320")
        assert signpost.headers["cache-control"].startswith("public, max-age=60,")
        assert "vary" not in signpost.headers
        assert found.status_code == 200
        assert found.headers["content-type"] == media_type
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        picture = pyvips.Image.new_from_buffer(found.content, "")
        assert (picture.width, picture.height) == (320, 320)
        assert read_xmp(found.content) == Provenance("algorithmicMedia", "stand-in")
        assert b"c2pa" in found.content
        assert "set-cookie" not in found.headers


def test_without_a_format_the_browser_s_own_words_choose_it(provider, shopper, chores):
    active(provider)
    for accepts, media_type in (
        ("image/avif,image/webp,image/*,*/*;q=0.8", "image/avif"),
        ("image/webp,*/*;q=0.8", "image/webp"),
        ("image/avif;q=0,image/webp", "image/webp"),
        ("image/avif;q=0.1,image/jpeg", "image/jpeg"),
        ("image/png,*/*", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("nonsense;q=x, ;;", "image/jpeg"),
    ):
        signpost, found = followed(shopper, "/i/TEA-1", accept=accepts)
        assert signpost.headers["vary"] == "Accept"
        assert found.headers["content-type"] == media_type, accepts


def test_bytes_that_a_browser_has_are_not_sent_again(provider, shopper, chores):
    active(provider)
    _, found = followed(shopper, "/i/TEA-1.webp")
    url, etag = found.url.path, found.headers["etag"]
    again = shopper.get(url, headers={"if-none-match": f'W/"other", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag and "immutable" in again.headers["cache-control"]
    head = shopper.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(found.content))
    assert shopper.get(url, headers={"if-none-match": '"other"'}).content == found.content


@pytest.mark.parametrize(
    "sku",
    [
        "with/slashes//twice",
        "with spaces",
        "no\u00a0break and a joined 👩\u200d🎨",
        "Täschchen-№ 7 🫖",
        "quoted%2Fslash?and=query#hash",
        "ends-like-a.png",
        "ends-like-a.webp.jpeg",
        "+plus&and;more",
        "dots/../up/./",
        "trailing/",
    ],
)
def test_every_sku_has_an_address(provider, shopper, chores, sku):
    image = active(provider, sku)
    for format_ in (None, "webp", "png"):
        url = delivery.address(sku, format_, product_id=image.product_id)
        signpost, found = followed(shopper, url + "?w=160")
        assert found.status_code == 200
        blob = re.fullmatch(r"/r/([0-9a-f]{64})\.\w+", signpost.headers["location"])[1]
        assert Rendition.objects.get(blob=blob).image_id == image.pk


def test_a_sku_that_ends_like_a_file_is_found_as_it_is_unless_another_is_meant(provider, shopper, chores):
    ends = active(provider, "A.png", number=1)
    url = "/i/A.png?w=160"
    first = shopper.get(url).headers["location"]
    assert Rendition.objects.get(blob=first[3:67]).image_id == ends.pk
    other = active(provider, "A", number=2)
    second = shopper.get(url).headers["location"]
    assert Rendition.objects.get(blob=second[3:67]).image_id == other.pk
    assert second.endswith(".png")
    third = shopper.get("/i/A.png.webp?w=160").headers["location"]
    assert Rendition.objects.get(blob=third[3:67]).image_id == ends.pk


def test_only_widths_on_the_list_are_made(provider, door, chores):
    preferences.set("public_widths", "640 200", "test")
    active(provider)
    for width in ("201", "0", "-1", "9999999999", "200px", "", "٢٠٠", "1e3"):
        status, _, body = ask(door, "/i/TEA-1.webp", f"w={quote(width)}")
        assert (status, b"200, 640" in body) == (400, True), width
    assert wishes() == [] and not Rendition.objects.filter(spec__startswith="sealed-").exists()
    for query, width in (("w=200", 200), ("", 640)):
        status, headers, _ = ask(door, "/i/TEA-1.webp", query)
        assert status == 302
        content = ask(door, headers["location"])[2]
        assert pyvips.Image.new_from_buffer(content, "").width == width


def test_only_what_is_asked_for_politely_is_answered(shopper):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        for path in ("/i/A", "/r/" + "0" * 64 + ".webp", "/s/x/1.webp"):
            answer = shopper.request(method, path, content=b"x" * 1000)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/i/", "/i/.webp", "/i/none", "/i/%00", "/i/a%00b.webp", "/i/%FF%FE.webp", "/i/%0a", "/i//",
        "/i/" + "x" * 5000, "/i/" + "%F0%9F" * 300, "/i/..%2f..%2fetc%2fpasswd", "/r/", "/r/x.webp",
        "/r/" + "0" * 64, "/r/" + "0" * 64 + ".webp", "/r/" + "0" * 64 + ".svg", "/r/" + "G" * 64 + ".webp",
        "/r/" + "%00" * 64 + ".webp",
        "/r/..%2f..%2fetc%2fpasswd", "/s/", "/s/x/y.webp?until=1&key=2", "/s/%00/1.webp",
        f"/s/{UUID(int=0)}/640.webp", f"/s/{UUID(int=0)}/640.webp?until=99999999999&key=" + "0" * 48,
        f"/s/{UUID(int=0)}/٦٤٠.webp?until=x&key=é", f"/s/{UUID(int=0)}/640.svg?until=1&key=x",
        f"/i/{UUID(int=0)}.webp",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found_and_never_an_error(shopper, path):
    answer = shopper.get(path)
    assert answer.status_code == 404, (answer.status_code, answer.text)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_product_s_page_names_the_address_once_an_image_is_active(provider, client):
    client.force_login(story.person("viewer"))
    image = story.land(build.sent(provider))
    Product.objects.filter(pk=image.product_id).update(sku="TEA 1/b.png")
    page = f"/products/{quote('TEA 1/b.png')}"
    assert "/i/TEA" not in client.get(page).text
    publish.activate(image.pk, ADMIN)
    shown = client.get(page).text
    assert f'href="{settings.SITE_URL}/i/TEA%201/b.png.webp"' in shown
    Product.objects.filter(pk=image.product_id).update(archived_at=timezone.now())
    assert "/i/TEA" not in client.get(f"/products/{image.product_id}").text


# -- who may see what --------------------------------------------------------------------------------


def test_only_the_active_image_of_an_unarchived_product_is_public(provider, shopper, chores):
    image = active(provider)
    url = shopper.get("/i/TEA-1.webp").headers["location"]
    other = story.land(build.sent(provider), number=3)
    hidden = delivery.make(other.pk, "sealed-webp-320")
    thumbnail = Rendition.objects.get(image=image, spec="webp-320").blob
    assert shopper.get(url).status_code == 200
    # Not active, not a public copy, not a copy at all.
    for blob in (hidden, thumbnail, image.blob):
        assert shopper.get(f"/r/{blob}.webp").status_code == 404
    Product.objects.filter(pk=image.product_id).update(archived_at=timezone.now())
    assert shopper.get("/i/TEA-1.webp").status_code == 404
    assert shopper.get(f"/i/{image.product_id}.webp").status_code == 404


def test_another_choice_shows_at_once_and_signposts_handed_out_before_still_lead_somewhere(
    provider, shopper, chores
):
    first = active(provider)
    before = shopper.get("/i/TEA-1.webp").headers["location"]
    assert shopper.get(before).status_code == 200
    second = story.land(build.sent(provider), number=2)
    Image.objects.filter(pk=second.pk).update(product_id=first.product_id)
    publish.activate(second.pk, ADMIN)
    after = shopper.get("/i/TEA-1.webp").headers["location"]
    assert after != before
    assert shopper.get(after).status_code == shopper.get(before).status_code == 200


def test_what_was_archived_is_gone_at_once_also_from_memory(provider, door, chores, monkeypatch):
    image = active(provider)
    url = ask(door, "/i/TEA-1.webp")[1]["location"]
    assert ask(door, url)[0] == 200
    monkeypatch.setattr(web, "SURE_FOR_S", -1.0)
    # Another choice leads on; a product that is taken out of the catalogue does not, whatever it showed last.
    Product.objects.filter(pk=image.product_id).update(active_image_id=None)
    assert ask(door, url)[0] == 200
    Product.objects.filter(pk=image.product_id).update(archived_at=timezone.now())
    assert ask(door, url)[0] == 404
    assert door._kept == {} and door._kept_bytes == 0


def test_the_site_can_keep_its_images_to_itself(provider, door, chores, monkeypatch):
    image = active(provider)
    url = ask(door, "/i/TEA-1.webp")[1]["location"]
    assert ask(door, url)[0] == 200
    preferences.set("public_images", "no", "test")
    # Within seconds, which pass at once here.
    monkeypatch.setattr(web, "RULES_FOR_S", -1.0)
    monkeypatch.setattr(web, "SURE_FOR_S", -1.0)
    assert ask(door, "/i/TEA-1.webp")[0] == ask(door, url)[0] == 404
    path, _, query = delivery.link(image.pk, "webp", 320, ADMIN, for_s=600).partition("?")
    assert ask(door, path, query)[0] == 200
    preferences.set("public_images", "yes", "test")
    assert (ask(door, "/i/TEA-1.webp")[0], ask(door, url)[0]) == (302, 200)


def test_a_link_shows_one_copy_of_an_image_to_who_has_it_until_it_ends(
    provider, shopper, chores, monkeypatch
):
    image = story.land(build.sent(provider), number=4)
    link = delivery.link(image.pk, "webp", 640, ADMIN, for_s=3600)
    shown = shopper.get(link)
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/webp"
    assert shown.headers["cache-control"].startswith("private, max-age=")
    path, _, query = link.partition("?")
    until, key = (part.partition("=")[2] for part in query.split("&"))
    other = f"/s/{story.land(build.sent(provider)).pk}/640.webp?{query}"
    for forged in (
        path,
        f"{path}?until={until}&key=",
        f"{path}?until={int(until) + 1}&key={key}",
        f"{path}?until={until}&key={key[:-1]}{'0' if key[-1] != '0' else '1'}",
        path.replace("640.webp", "320.webp") + f"?{query}",
        path.replace("640.webp", "640.png") + f"?{query}",
        other,
    ):
        assert shopper.get(forged).status_code == 404, forged
    monkeypatch.setattr(delivery.time, "time", lambda: time.monotonic() * 0 + int(until) - 3600 * 24)
    ended = delivery.link(image.pk, "webp", 640, ADMIN, for_s=3600)
    assert shopper.get(ended).status_code == 410


def test_who_may_not_review_makes_no_link_and_nobody_makes_one_for_ever(provider):
    image = story.land(build.sent(provider))
    for refused in (
        {"actor": EDITOR},
        {"for_s": 59},
        {"for_s": 31 * 24 * 3600},
        {"format": "svg"},
        {"width_px": 641},
        {"image_id": UUID(int=0)},
    ):
        given = {"image_id": image.pk, "format": "webp", "width_px": 640, "actor": ADMIN, "for_s": 60}
        with pytest.raises(BadInput):
            delivery.link(**(given | refused))


# -- made once ---------------------------------------------------------------------------------------


def test_many_who_ask_at_once_cost_one_copy(provider, shopper, chores, server):
    active(provider)

    def ask(_: int) -> str:
        with httpx.Client(base_url=server.url, timeout=30) as each:
            return each.get("/i/TEA-1.webp?w=480").headers["location"]

    with ThreadPoolExecutor(16) as threads:
        places = set(threads.map(ask, range(48)))
    assert len(places) == 1
    assert Rendition.objects.filter(spec="sealed-webp-480").count() == 1


def test_processes_that_make_the_same_copy_at_once_make_it_once(provider, monkeypatch):
    image = active(provider)
    began = []
    decode = look.decoder().make

    def counted(*args, **more):
        began.append(1)
        return decode(*args, **more)

    monkeypatch.setattr(look.decoder(), "make", counted)

    def make(_: int) -> str | None:
        try:
            return delivery.make(image.pk, "sealed-webp-320")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        blobs = set(threads.map(make, range(6)))
    assert len(blobs) == 1 and len(began) == 1
    assert Rendition.objects.filter(image=image, spec="sealed-webp-320").count() == 1


def test_a_maker_that_fails_lets_the_next_one_try(provider, monkeypatch):
    image = active(provider)

    def dies(*_, **__):
        raise DecoderDied("The image decoder crashed; the image is not shown.")

    with monkeypatch.context() as patch:
        patch.setattr(look.decoder(), "make", dies)
        with pytest.raises(DecoderDied):
            delivery.make(image.pk, "sealed-webp-320")
    assert delivery.make(image.pk, "sealed-webp-320")


def test_copies_come_in_the_shape_that_was_asked_for_and_portraits_have_the_width_asked_for(provider):
    tall = pyvips.Image.black(600, 1500, bands=3).copy(interpretation="srgb").invert()
    image = story.land(build.sent(provider))
    blob = look.store().put(tall.cast("uchar").write_to_buffer(".png"))
    Image.objects.filter(pk=image.pk).update(blob=blob, width_px=600, height_px=1500)
    sizes = {}
    for shape, width in (("1:1", 160), ("", 320), ("", 640)):  # never enlarged
        Generation.objects.filter(pk=image.generation_id).update(shape=shape)
        made = Rendition.objects.get(blob=delivery.make(image.pk, f"sealed-webp-{width}"))
        sizes[width] = (made.width_px, made.height_px)
    assert sizes == {160: (160, 160), 320: (320, 800), 640: (600, 1500)}


# -- trouble -----------------------------------------------------------------------------------------


def test_a_database_or_a_store_that_is_away_is_said_and_when_to_ask_again(provider, door, monkeypatch):
    image = active(provider)
    blob = delivery.make(image.pk, "sealed-webp-320")

    def away(*_, **__):
        raise OperationalError("the connection is closed")

    for function in ("find", "rules"):
        with monkeypatch.context() as patch:
            patch.setattr(delivery, function, away)
            status, headers, body = ask(Delivery(door._threads), "/i/TEA-1.webp", "w=320")
        assert (status, headers["cache-control"]) == (503, "no-store")
        assert int(headers["retry-after"]) > 0
        assert b"connection" not in body  # what is wrong inside is for the log
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "content", lambda _: (_ for _ in ()).throw(StoreDown("the disk is away")))
        assert ask(door, f"/r/{blob}.webp")[0] == 503
    assert ask(door, f"/r/{blob}.webp")[0] == 200
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "published", away)
        patch.setattr(web, "SURE_FOR_S", 0.0)
        # What was public a moment ago is shown on.
        assert ask(door, f"/r/{blob}.webp")[0] == 200
        assert ask(Delivery(door._threads), f"/r/{blob}.webp")[0] == 503


def test_a_copy_whose_bytes_are_gone_is_not_found_and_logged(provider, door, caplog):
    image = active(provider)
    blob = delivery.make(image.pk, "sealed-webp-320")
    lost(blob)
    with caplog.at_level(logging.ERROR):
        assert ask(door, f"/r/{blob}.webp")[0] == 404
    assert "not in the store" in caplog.text


def test_an_image_whose_bytes_are_gone_has_no_new_copies_and_the_site_s_answer_for_none(provider, door):
    image = active(provider, number=9)
    lost(image.blob)
    assert ask(door, "/i/TEA-1.webp")[0] == 404
    assert wishes() == []
    preferences.set("missing_image", "placeholder", "test")
    status, headers, body = ask(Delivery(door._threads), "/i/TEA-1.webp")
    assert (status, headers["content-type"]) == (200, "image/webp")
    assert pyvips.Image.new_from_buffer(body, "").width == 960


def lost(blob: str) -> None:
    (Path(settings.DATA) / "blobs" / blob[:2] / blob[2:4] / blob).unlink()


def test_without_an_active_image_the_site_says_so_or_shows_a_placeholder_in_every_format(provider, door):
    image = story.land(build.sent(provider))
    Product.objects.filter(pk=image.product_id).update(sku="NONE")
    status, headers, _ = ask(door, "/i/NONE", accept="image/avif")
    assert (status, headers["vary"]) == (404, "Accept")
    preferences.set("missing_image", "placeholder", "test")
    door = Delivery(door._threads)
    for format_ in ("avif", "webp", "jpeg", "png"):
        status, headers, body = ask(door, f"/i/NONE.{format_}")
        assert (status, headers["content-type"]) == (200, f"image/{format_}")
        assert pyvips.Image.new_from_buffer(body, "").avg() > 200
    status, headers, _ = ask(door, "/i/NONE", accept="image/avif")
    assert (headers["content-type"], headers["vary"]) == ("image/avif", "Accept")


def test_an_image_that_cannot_be_decoded_is_none_and_one_that_takes_long_is_on_its_way(
    provider, door, monkeypatch
):
    image = active(provider)
    monkeypatch.setattr(web, "WAIT_S", 0.2)
    # Nobody makes it: the worker is down.
    status, headers, body = ask(door, "/i/TEA-1.webp", "w=320")
    assert status == 503 and "retry-after" in headers and b"being made" in body
    assert wishes() == [{"image_id": str(image.pk), "spec": "sealed-webp-320"}]
    ask(door, "/i/TEA-1.webp", "w=320")
    assert len(wishes()) == 1
    blob = look.store().put(b"\x89PNG\r\n\x1a\nno picture at all")
    Image.objects.filter(pk=image.pk).update(blob=blob, state="stored")
    assert delivery.make(image.pk, "sealed-webp-320") is None
    assert Image.objects.get(pk=image.pk).state == "broken"
    assert ask(door, "/i/TEA-1.webp", "w=320")[0] == 404


def test_no_more_copies_are_waited_for_than_the_limit(provider, door, monkeypatch):
    active(provider)
    monkeypatch.setattr(web, "WAITED_FOR_AT_ONCE", 0)
    assert ask(door, "/i/TEA-1.webp", "w=320")[0] == 503
    assert wishes() == []


def test_wishes_beyond_what_can_wait_are_put_off_and_cost_no_job(provider, door, monkeypatch):
    active(provider)
    monkeypatch.setattr(web, "WAIT_S", 0.05)
    monkeypatch.setattr(delivery, "WISHED_FOR_AT_ONCE", 2)
    assert [ask(door, "/i/TEA-1.webp", f"w={width}")[0] for width in (320, 640)] == [503, 503]
    assert len(wishes()) == 2
    status, headers, _ = ask(door, "/i/TEA-1.png", "w=320")
    assert (status, headers["retry-after"]) == (503, "2")
    assert len(wishes()) == 2 and not any("png" in spec for _, spec in door._makings.waiting)
    # One that failed and comes again later takes nobody's place.
    later = timezone.now() + timedelta(minutes=5)
    ProcrastinateJob.objects.filter(task_name="seal").update(scheduled_at=later)
    ask(door, "/i/TEA-1.png", "w=320")
    assert len(wishes()) == 3


def test_other_work_is_done_while_copies_are_made(provider, monkeypatch):
    from procrastinate.contrib.django import app

    held, looked, busy = threading.Event(), threading.Event(), threading.Event()

    def make(image_id: UUID, spec: str) -> None:
        busy.set()
        held.wait(60)

    monkeypatch.setattr(app.periodic_registry, "periodic_tasks", {})
    monkeypatch.setattr(delivery, "make", make)
    monkeypatch.setattr(upkeep, "look_again", looked.set)
    for width in (320, 640, 960, 1200):
        delivery.wish(public.Wanted(uuid4(), look.store().put(b"any"), False, f"sealed-webp-{width}", None))

    async def scene() -> bool:
        working = asyncio.create_task(chores_process._run_workers(uuid4()))
        try:
            assert await asyncio.to_thread(busy.wait, 30)
            await asyncio.to_thread(events.defer, "look_again", [{"timestamp": 0}])
            return await asyncio.to_thread(looked.wait, 30)
        finally:
            held.set()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    assert asyncio.run(scene())


def test_a_wish_that_takes_longer_than_anybody_waits_is_put_off_and_no_trouble(provider, door, monkeypatch):
    """Whoever looks for copies gives up on one whose wish is still on its way to the database."""
    image = active(provider)
    wanted, other = (public.any_image(image.pk, f"sealed-webp-{width}") for width in (320, 640))
    assert wanted and other
    monkeypatch.setattr(web, "WAIT_S", 0.1)
    slow = threading.Event()

    async def on_a_thread(work: Any, *args: Any) -> Any:
        if work is delivery.made:
            return {}
        if args == (wanted,):
            await asyncio.to_thread(slow.wait, 30)
        return True

    monkeypatch.setattr(door, "on_a_thread", on_a_thread)

    async def scene() -> list[str | None]:
        first = asyncio.create_task(door.made(wanted))
        await asyncio.sleep(0)
        second = await door.made(other)
        while door._makings.waiting:
            await asyncio.sleep(0.01)
        slow.set()
        return [await first, second]

    assert asyncio.run(scene()) == [None, None]


def test_of_two_widths_the_first_counts(provider, door):
    active(provider)
    assert ask(door, "/i/TEA-1.webp", "w=9&w=320")[0] == 400


def test_bytes_in_memory_stay_within_the_limit(provider, door, monkeypatch):
    image = active(provider)
    blobs = [delivery.make(image.pk, f"sealed-{kind}-320") for kind in ("webp", "jpeg", "png")]
    sizes = {blob: Rendition.objects.get(blob=blob).size_bytes for blob in blobs}
    monkeypatch.setattr(web, "CACHE_BYTES", max(sizes.values()) + 10)
    for blob, kind in zip(blobs, ("webp", "jpeg", "png"), strict=True):
        assert ask(door, f"/r/{blob}.{kind}")[0] == 200
        assert door._kept_bytes == sum(len(each.content) for each in door._kept.values())
        assert door._kept_bytes <= web.CACHE_BYTES
    assert blobs[0] not in door._kept


def test_a_hash_under_another_ending_is_not_found(provider, door):
    image = active(provider)
    blob = delivery.make(image.pk, "sealed-webp-320")
    assert ask(door, f"/r/{blob}.png")[0] == 404
    assert ask(door, f"/r/{blob}.webp")[0] == 200
    assert ask(door, f"/r/{blob}.png")[0] == 404


def test_a_certificate_of_the_team_s_that_cannot_be_used_delivers_nothing_unsigned(provider, settings):
    image = active(provider)
    settings.SIGNING_CERT = settings.SIGNING_KEY = "/nowhere/cert.pem"
    from packshot.imaging.signing import BadIdentity

    with pytest.raises(BadIdentity, match="cannot be read"):
        delivery.make(image.pk, "sealed-webp-320")
    assert public.sealed([(image.pk, "sealed-webp-320")]) == {}


def test_the_doctor_says_whose_name_is_signed_and_that_a_broken_certificate_stops_delivery(
    provider, settings, tmp_path
):
    from packshot.cli import doctor

    settings.DATA = tmp_path
    assert "made here with the first" in doctor._signature().said
    delivery.identity()
    found = doctor._signature()
    assert found.ok and "untrusted" in found.said and "unknown signer" in found.said
    settings.SIGNING_CERT = settings.SIGNING_KEY = "/nowhere/cert.pem"
    found = next(each for each in doctor._machine() if each.name == "signature")
    assert not found.ok and "cannot be read" in found.said and "PACKSHOT_SIGNING_CERT" in found.remedy


def test_the_signing_key_stands_in_no_table_and_no_message(provider, caplog):
    image = active(provider)
    with caplog.at_level(logging.DEBUG):
        delivery.make(image.pk, "sealed-webp-320")
    secret = (Path(settings.DATA) / "signing" / "signing.pem").read_text().splitlines()[1]
    assert len(secret) == 64 and secret not in caplog.text
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE %s', [f"%{secret}%"])
            assert cursor.fetchone()[0] == 0, table


def test_an_image_id_that_nobody_has_makes_nothing(provider):
    assert delivery.make(uuid4(), "sealed-webp-320") is None
