"""A file between its dry run and its import: kept whole, read again from anywhere, imported once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection

from packshot.accounts import Actor
from packshot.blobs import open_store
from packshot.catalogue import imports
from packshot.catalogue.models import ImportRecord, Product
from packshot.flows import import_catalogue, uploads
from packshot.kernel.errors import BadInput
from tests.build import ADMIN, EDITOR

VIEWER = Actor(None, "vic", "viewer")
TWO = "sku,name,price\nA,Hemp oil,3.50\nB,Hemp soap,\n,Nameless,1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """As a browser's upload stands on the disk: under a name of nobody's choice."""
    path = tmp_path / "tmp4f2.upload"
    path.write_text(TWO)
    return path


@pytest.mark.django_db
def test_what_is_planned_is_what_is_imported_and_neither_needs_the_uploaded_file(file, settings):
    upload = uploads.keep(file, "products.csv", EDITOR)
    assert open_store(settings.BLOB_URL).get(upload.blob) == TWO.encode()
    file.unlink()
    plan = uploads.plan(upload, EDITOR)
    assert (plan.file_name, plan.created, plan.changed, plan.rejected) == ("products.csv", 2, 0, 1)
    assert not Product.objects.exists()
    assert uploads.apply(upload, EDITOR) == upload.id
    record = imports.by_id(upload.id)
    assert record is not None
    assert (record.file_name, record.created, record.rejected, record.problem_count) == (
        "products.csv",
        2,
        1,
        1,
    )
    assert record.file_sha256 == upload.blob
    (problem,) = imports.problems(upload.id)
    assert (problem.row, problem.field.lower(), problem.fatal_for_product) == (4, "sku", True)


@pytest.mark.django_db
def test_importing_it_again_makes_no_second_record_and_undoes_nobodys_work(file):
    upload = uploads.keep(file, "products.csv", EDITOR)
    uploads.apply(upload, EDITOR)
    Product.objects.filter(sku="A").update(name="Renamed by hand")
    assert uploads.apply(upload, EDITOR) == upload.id
    assert Product.objects.get(sku="A").name == "Renamed by hand"
    assert ImportRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_import(file):
    upload = uploads.keep(file, "products.csv", EDITOR)
    together = threading.Barrier(4)

    def click(_: int) -> object:
        together.wait()
        try:
            return uploads.apply(upload, EDITOR)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(click, range(4))) == {upload.id}
    assert ImportRecord.objects.count() == 1
    assert Product.objects.count() == 2


@pytest.mark.django_db
def test_the_record_tells_what_happened_and_not_what_was_foreseen(file):
    upload = uploads.keep(file, "products.csv", EDITOR)
    assert uploads.plan(upload, EDITOR).created == 2
    import_catalogue.apply(file, ADMIN)
    uploads.apply(upload, EDITOR)
    record = imports.by_id(upload.id)
    assert record is not None
    assert (record.created, record.changed, record.unchanged) == (0, 0, 2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "products.csv is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG picture"),
        (bytes(range(256)) * 40, "holds binary data"),
        (b"colour,size\nred,4\n", "sku"),
        (b"sku,name\n", "no products"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_the_importers_words(file, content, said):
    file.write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        uploads.keep(file, "products.csv", EDITOR)
    assert file.name not in str(caught.value)
    assert str(file.parent) not in str(caught.value)


@pytest.mark.django_db
def test_a_mapping_is_one_of_the_shipped_and_never_a_file_of_this_machine(file, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[fields]\nsku = "sku"\nname = "name"\n')
    with pytest.raises(BadInput, match="there is no mapping") as caught:
        uploads.keep(file, "products.csv", EDITOR, mapping=str(own))
    assert caught.value.field == "mapping"
    assert uploads.plan(uploads.keep(file, "p.csv", EDITOR, mapping="plain"), EDITOR).created == 2


@pytest.mark.django_db
def test_who_may_not_change_the_catalogue_may_do_none_of_it(file):
    upload = uploads.keep(file, "products.csv", EDITOR)
    for act in (
        lambda: uploads.keep(file, "products.csv", VIEWER),
        lambda: uploads.plan(upload, VIEWER),
        lambda: uploads.apply(upload, VIEWER),
    ):
        with pytest.raises(BadInput, match="your role"):
            act()
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_a_file_that_left_the_store_is_asked_for_again(file):
    gone = uploads.Upload(uuid4(), "0" * 64, "products.csv")
    with pytest.raises(BadInput, match="upload it again"):
        uploads.plan(gone, EDITOR)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("products.csv", "products.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ed\\products.csv", "products.csv"),
        ("/", "catalogue"),
        ("", "catalogue"),
        ("..", "catalogue"),
        (".csv", "csv"),
        ("a\x00b\n\u202ec.csv", "abc.csv"),
        ("ä" * 300 + ".jsonl", "ä" * 97 + ".jsonl"),
        ("<img src=x>.csv", "<img src=x>.csv"),
    ],
)
def test_a_files_name_is_a_name_and_nothing_else(told, kept):
    assert uploads.plain_name(told) == kept
    assert len(kept.encode()) <= 200


@pytest.mark.django_db
def test_the_history_shows_the_newest_first_a_page_at_a_time(file):
    ids = []
    for number in range(5):
        file.write_text(f"sku,name\nA,Name {number}\n")
        ids.append(uploads.apply(uploads.keep(file, f"{number}.csv", EDITOR), EDITOR))
    # Applied last, though uploaded first: it stands where it was applied.
    ImportRecord.objects.filter(pk=ids[0]).update(applied_at="2100-01-01T00:00Z")
    order = [ids[0], *ids[:0:-1]]
    first = imports.newest(limit=2)
    assert [each.id for each in first] == order[:2]
    rest = imports.newest(limit=9, before=first[-1].id)
    assert [each.id for each in rest] == order[2:]
    assert imports.newest(before=uuid4()) == []
