"""The active images of a list of products, as CSV and as ZIP: whole, in pieces, what is missing named."""

import csv
import io
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from django.conf import settings
from django.test import Client
from typer.testing import CliRunner

from packshot.catalogue.finding import Sought
from packshot.catalogue.models import Category, Image, Product
from packshot.cli.images import app
from packshot.flows import export, look, publish
from packshot.imaging.provenance import read_xmp
from packshot.kernel.errors import BadInput
from tests import build
from tests.browser import story
from tests.browser.server import Server
from tests.build import ADMIN
from tests.integration.test_delivery import chores  # noqa: F401 - a fixture

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
def visitor(server: Server) -> Iterator[httpx.Client]:
    if server.process is None:
        server.start()
    client = Client()
    client.force_login(story.person("viewer"))
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
    with httpx.Client(base_url=server.url, cookies=cookies, timeout=60) as visitor:
        yield visitor


def active(provider: build.StandIn, sku: str, *, number: int = 0) -> Image:
    image = story.land(build.sent(provider), number=number)
    Product.objects.filter(pk=image.product_id).update(sku=sku, name=f"Name of {sku}")
    publish.activate(image.pk, ADMIN)
    return image


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_the_sheet_names_each_active_image_with_its_lasting_address_and_origin(provider, visitor):
    first, second = active(provider, "A/1"), active(provider, "＝cmd()")
    story.land(build.sent(provider))  # of a product that shows none
    answer = visitor.get("/products.csv")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    found = {row["image_id"]: row for row in rows(answer.content)}
    assert found.keys() == {str(first.pk), str(second.pk)}
    row = found[str(first.pk)]
    assert (row["sku"], row["simulated"]) == ("A/1", "yes")
    assert row["digital_source_type"] == "algorithmicMedia"
    assert row["url"].endswith("/i/A/1")
    assert found[str(second.pk)]["sku"] == "'＝cmd()"


def test_a_list_s_filter_says_what_is_taken(provider, visitor):
    for sku in ("TEA-1", "TEA-2", "OIL-1"):
        active(provider, sku)
    tea = Category.objects.create(path="Drinks > Tea")
    Product.objects.filter(sku="TEA-2").update(category=tea)
    assert {each["sku"] for each in rows(visitor.get("/products.csv?q=tea").content)} == {"TEA-1", "TEA-2"}
    assert {each["sku"] for each in rows(visitor.get("/products.csv?category=Drinks").content)} == {"TEA-2"}
    assert rows(visitor.get("/products.csv?state=no-image").content) == []
    Product.objects.filter(sku="TEA-1").update(archived_at="2026-01-01T00:00Z")
    assert {each["sku"] for each in rows(visitor.get("/products.csv?q=tea").content)} == {"TEA-2"}


def test_the_pages_of_a_long_list_join_without_a_gap(provider, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 3)
    images = [active(provider, f"P-{number:02}") for number in range(10)]
    Product.objects.update(name="All the same name")
    found = rows(b"".join(export.csv_pieces(Sought())))
    assert sorted(each["image_id"] for each in found) == sorted(str(each.pk) for each in images)


def test_a_zip_holds_the_images_as_the_public_gets_them_and_names_what_is_missing(
    provider,
    visitor,
    chores,  # noqa: F811
):
    for number, sku in enumerate(("A", "B/../x", "Täsch chen", "a")):
        active(provider, sku, number=number)
    broken = active(provider, "BROKEN", number=7)
    Image.objects.filter(pk=broken.pk).update(state="broken")
    gone = active(provider, "GONE", number=8)
    (Path(settings.DATA) / "blobs" / gone.blob[:2] / gone.blob[2:4] / gone.blob).unlink()
    answer = visitor.get("/products.zip?format=webp&w=320")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as held:
        assert held.testzip() is None
        names = held.namelist()
        pictures = [each for each in names if each.startswith("images/")]
        assert len({each.lower() for each in pictures}) == len(pictures) == 4
        assert not [each for each in names if ".." in each.split("/") or each.startswith("/")]
        for each in pictures:
            content = held.read(each)
            assert content.startswith(b"RIFF") and b"c2pa" in content and read_xmp(content)
        listed = {row["file"] for row in rows(held.read("active.csv"))}
        assert set(pictures) < listed and len(listed) == 6
        assert {row["sku"] for row in rows(held.read("missing.csv"))} == {"BROKEN", "GONE"}


@pytest.mark.parametrize("sku", ["con", "nul.jpg", "com1", "LPT9"])
def test_no_file_of_a_zip_is_called_like_a_device(sku, provider):
    image = active(provider, sku)
    (row,) = export.page(Sought(state="active"), None)
    name = export.file_name(row, "webp")
    assert name.startswith("images/_") and name.endswith(f"-{image.pk.hex[-8:]}.webp")


def test_two_spellings_of_one_name_are_two_files(provider):
    for number, sku in enumerate(unicodedata.normalize(form, "\u00e9tui") for form in ("NFC", "NFD")):
        active(provider, sku, number=number)
    names = [export.file_name(each, "webp") for each in export.page(Sought(state="active"), None)]
    assert len({unicodedata.normalize("NFC", each) for each in names}) == 2


def test_what_is_never_made_is_refused_in_words(visitor, monkeypatch):
    for query, says in (("format=svg", "none of"), ("w=321", "must be one of"), ("format=../x", "none of")):
        answer = visitor.get(f"/products.zip?{query}")
        assert (answer.status_code, says in answer.text) == (400, True), answer.text


def test_more_than_fits_a_zip_is_refused_before_anything_is_sent(provider, monkeypatch):
    for sku in ("A", "B", "C"):
        active(provider, sku)
    monkeypatch.setattr(export, "MOST_IN_A_ZIP", 2)
    with pytest.raises(BadInput, match="narrow the list"):
        next(export.zip_pieces(Sought(), export.size("webp", 320)))
    assert b"".join(export.zip_pieces(Sought(text="B"), export.size("webp", 320)))


def test_a_zip_of_many_large_files_takes_no_more_memory_than_one(monkeypatch):
    held = export.Archive()
    before, peak, sent = psutil.Process().memory_info().rss, 0, 0
    for number in range(200):
        held.add(f"images/{number}.jpeg", bytes(2 * 2**20))
        sent += len(held.taken())
        peak = max(peak, psutil.Process().memory_info().rss)
    held.close()
    sent += len(held.taken())
    assert sent > 400 * 2**20
    assert (peak - before) / 2**20 < 60


def test_the_shell_writes_both_whole_or_not_at_all(provider, tmp_path, monkeypatch):
    active(provider, "TEA-1")
    runner = CliRunner()
    sheet, held = tmp_path / "a.csv", tmp_path / "a.zip"
    done = runner.invoke(app, ["export", "--csv", str(sheet), "--zip", str(held), "--width", "320"])
    assert done.exit_code == 0, done.output
    assert [row["sku"] for row in rows(sheet.read_bytes())] == ["TEA-1"]
    with zipfile.ZipFile(held) as archive:
        assert archive.namelist() == ["active.csv", next(n for n in archive.namelist() if "images/" in n)]

    def fails(*_: object, **__: object) -> bytes:
        raise OSError("the disk is gone")

    monkeypatch.setattr(look.store(), "get", fails)
    with pytest.raises(OSError, match="disk"):
        runner.invoke(app, ["export", "--zip", str(tmp_path / "b.zip")], catch_exceptions=False)
    assert {each.name for each in tmp_path.iterdir()} == {"a.csv", "a.zip"}
