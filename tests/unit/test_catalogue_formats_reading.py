"""What a file is before anything in it is believed: size, kind, encoding, rows, damage."""

import codecs
import csv
import gzip
import io
import random
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from packshot.catalogue.formats import Limits, ParsedProduct, RowProblem, Unreadable, open_catalogue
from packshot.catalogue.formats.reading import Table, examine
from packshot.kernel.errors import BadInput


def written(folder: Path, content: str | bytes, name: str = "catalogue.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def products(path: Path, **options: object) -> list[ParsedProduct]:
    items = list(open_catalogue(path, **options))  # type: ignore[arg-type]
    assert [item for item in items if isinstance(item, RowProblem)] == []
    return [item for item in items if isinstance(item, ParsedProduct)]


def problems(path: Path, **options: object) -> list[RowProblem]:
    return [item for item in open_catalogue(path, **options) if isinstance(item, RowProblem)]  # type: ignore[arg-type]


PLAIN = "sku,name,description\nA-1,Hemp soap,Kind to hands\nA-2,Hemp balm,In a tin\n"


# -- refused as a whole --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n\n\n", codecs.BOM_UTF8, b" \t\r\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    with pytest.raises(Unreadable, match="is empty"):
        open_catalogue(written(tmp_path, content))


def test_a_header_without_products_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="a header and no products"):
        open_catalogue(written(tmp_path, "sku,name\n\n,\n"))


def test_refusals_are_bad_input():
    assert issubclass(Unreadable, BadInput)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def sqlite_file() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE product (sku TEXT)")
        return connection.serialize()


@pytest.mark.parametrize(
    ("content", "kind", "remedy"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "a PNG picture", "addresses"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture", "addresses"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a WebP picture", "addresses"),
        (b"%PDF-1.7\n", "a PDF document", "Export"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook (.xlsx)", "save it as CSV"),
        (zipped("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), "OpenDocument", "save it as CSV"),
        (zipped("products.csv"), "a ZIP archive", "Unpack"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel workbook", "save it as CSV"),
        (gzip.compress(PLAIN.encode(), mtime=0), "a gzip archive", "Unpack"),
        (sqlite_file(), "an SQLite database", "Export"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page", "sign-in"),
        (b"<?xml version='1.0'?><rss/>", "XML", "Export"),
        (b"products.csv" + bytes(245) + b"ustar\x0000", "a tar archive", "Unpack"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(tmp_path, content, kind, remedy):
    with pytest.raises(Unreadable) as refusal:
        open_catalogue(written(tmp_path, content, "catalogue.csv"))
    assert kind in str(refusal.value)
    assert remedy in str(refusal.value)


def test_unknown_binary_data_is_refused(tmp_path):
    noise = random.Random(7).randbytes(20_000)
    with pytest.raises(Unreadable, match="binary data"):
        open_catalogue(written(tmp_path, noise))


def test_a_file_of_two_gigabytes_is_refused_by_its_size_alone(tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(2 * 1024**3)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was opened"))
    with pytest.raises(Unreadable, match=r"huge\.csv has 2\.0 GB; a catalogue file may have 512 MB"):
        open_catalogue(path)


def test_a_missing_file_and_a_folder_are_refused_in_words(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        open_catalogue(tmp_path / "none.csv")
    with pytest.raises(Unreadable, match="is not a file"):
        open_catalogue(tmp_path)


def test_more_rows_than_the_limit_are_refused_at_the_first_of_them(tmp_path):
    path = written(tmp_path, PLAIN)
    assert len(products(path, limits=Limits(rows=2))) == 2
    with pytest.raises(Unreadable, match="more than 1 rows") as refusal:
        list(open_catalogue(path, limits=Limits(rows=1)))
    assert refusal.value.row == 3


def test_more_columns_than_the_limit_are_refused(tmp_path):
    header = ",".join(["sku", "name", *(f"column {n}" for n in range(1_000))])
    with pytest.raises(Unreadable, match="1,002 columns; at most 1,000"):
        open_catalogue(written(tmp_path, f"{header}\nA-1,Soap\n"))


def test_a_json_document_larger_than_its_limit_is_refused(tmp_path):
    path = written(tmp_path, '[{"sku": "A-1", "name": "Soap"}]', "catalogue.json")
    with pytest.raises(Unreadable, match="JSON document, which is read whole, may have 10 bytes"):
        open_catalogue(path, limits=Limits(json_bytes=10))


def test_a_small_json_document_of_very_many_values_is_refused_before_it_is_built(tmp_path):
    path = written(tmp_path, "[" + "[]," * 4_000_000 + "{}]", "catalogue.json")
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="read whole, may hold 1,000,000"):
            open_catalogue(path, limits=Limits(json_values=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_one_endless_line_is_refused_without_holding_it(tmp_path):
    path = written(tmp_path, PLAIN + "A-3," + "x" * 400_000)
    with pytest.raises(Unreadable, match="a line of more than 300,000 characters"):
        list(open_catalogue(path, limits=Limits(line_chars=300_000)))


# -- encodings -----------------------------------------------------------------------------------------

ACCENTED = "sku,name\nA-1,Crème à mains\nA-2,Öl für Holz – 1 l\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (ACCENTED.encode(), "utf-8"),
        (ACCENTED.encode("utf-8-sig"), "utf-8-sig"),
        (ACCENTED.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + ACCENTED.encode("utf-16-be"), "utf-16"),
        (ACCENTED.encode("utf-16-le"), "utf-16-le"),
        (ACCENTED.encode("utf-16-be"), "utf-16-be"),
        (ACCENTED.encode("utf-32"), "utf-32"),
        (ACCENTED.encode("cp1252"), "cp1252"),
    ],
)
def test_the_usual_encodings_are_read(tmp_path, content, encoding):
    path = written(tmp_path, content)
    assert open_catalogue(path).encoding == encoding
    assert [product.name for product in products(path)] == ["Crème à mains", "Öl für Holz – 1 l"]


def test_reading_as_windows_1252_is_said_with_the_line(tmp_path):
    path = written(tmp_path, ACCENTED.encode("cp1252"))
    assert open_catalogue(path).notes[0] == "Not UTF-8 (line 2): read as Windows-1252 (Western European)."


def test_bytes_that_windows_1252_lacks_make_it_latin_1(tmp_path):
    path = written(tmp_path, b"sku,name\nA-1,Cr\xe8me \x81\n")
    assert open_catalogue(path).encoding == "latin-1"
    assert products(path)[0].name == "Crème"


def test_damage_in_a_utf_8_file_does_not_turn_its_other_letters_into_two(tmp_path):
    many = "".join(f"A-{n},Crème à mains {n}\n" for n in range(50))
    path = written(tmp_path, b"sku,name\nB-1,dam\xffaged\n" + many.encode())
    file = open_catalogue(path)
    assert "1 bytes, the first in line 2, are not UTF-8" in file.notes[0]
    assert [product.name for product in products(path)][:2] == ["dam\ufffdaged", "Crème à mains 0"]


def test_an_accent_far_into_the_file_is_found_before_the_first_row_is_read(tmp_path):
    rows = "".join(f"A-{n},{'soap ' * 20}\n" for n in range(30_000))
    path = written(tmp_path, ("sku,name\n" + rows + "Z-1,Crème\n").encode("latin-1"))
    assert open_catalogue(path).encoding == "cp1252"


def test_a_utf_16_file_that_was_cut_off_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="says it is UTF-16 and is not"):
        open_catalogue(written(tmp_path, ACCENTED.encode("utf-16")[:-1]))


def test_a_character_on_the_border_of_two_pieces_is_whole(tmp_path):
    for padding in range(2):
        rows = "".join(f"A-{n},{'é' * 300}\n" for n in range(2_000))  # 1.2 MB: past the first 64 KB and 1 MB
        path = written(tmp_path, f"sku,name{' ' * padding}\n{rows}")
        assert open_catalogue(path).notes[:-1] == ()
        assert {product.name for product in products(path)} == {"é" * 300}


# -- rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(tmp_path, end):
    assert [one.sku for one in products(written(tmp_path, PLAIN.replace("\n", end)))] == ["A-1", "A-2"]


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolon"), ("|", "vertical bar")])
def test_other_delimiters_are_recognised_and_said(tmp_path, mark, word):
    path = written(tmp_path, PLAIN.replace(",", mark))
    assert [one.name for one in products(path)] == ["Hemp soap", "Hemp balm"]
    assert f"The columns are separated by the {word}." in open_catalogue(path).notes


def test_a_tab_separated_file_is_read(tmp_path):
    assert len(products(written(tmp_path, PLAIN.replace(",", "\t"), "feed.tsv"))) == 2


def test_excels_own_first_line_names_the_delimiter(tmp_path):
    path = written(tmp_path, "sep=;\nsku;name;description\nA-1;Soap;a, b\n")
    product = products(path)[0]
    assert (product.row, product.description) == (3, "a, b")


def test_padded_headers_cells_and_quotation_marks_are_trimmed(tmp_path):
    path = written(tmp_path, 'SKU    , Name          , Description\nA-1    , Soap , "one, two" \n')
    assert (products(path)[0].sku, products(path)[0].description) == ("A-1", "one, two")


def test_rows_count_as_in_a_spreadsheet(tmp_path):
    path = written(tmp_path, '\nsku,name,description\nA-1,Soap,"one\ntwo\n\nthree"\n\n,,\nA-2,Balm,x\n')
    assert [(one.row, one.sku) for one in products(path)] == [(3, "A-1"), (6, "A-2")]
    assert products(path)[0].description == "one\ntwo\n\nthree"


def test_missing_cells_are_empty_and_said(tmp_path):
    path = written(tmp_path, PLAIN + "A-3,Short\n")
    problem = problems(path)[0]
    assert (problem.row, problem.fatal_for_product) == (4, False)
    assert problem.reason == "2 cells, and the header has 3: the missing ones were read as empty"
    assert [one.sku for one in open_catalogue(path) if isinstance(one, ParsedProduct)] == [
        "A-1",
        "A-2",
        "A-3",
    ]


def test_a_row_with_too_many_cells_is_not_guessed_at(tmp_path):
    path = written(tmp_path, PLAIN + "A-3,Soap, green,Kind to hands\nA-4,Bar,x,,\n")
    assert [(p.row, p.fatal_for_product) for p in problems(path)] == [(4, True)]
    assert "a comma is not quoted" in problems(path)[0].reason
    assert [one.sku for one in open_catalogue(path) if isinstance(one, ParsedProduct)] == [
        "A-1",
        "A-2",
        "A-4",
    ]


def test_nul_bytes_are_removed_and_said(tmp_path):
    path = written(tmp_path, PLAIN.replace("balm", "ba\0lm"))
    assert [(p.row, p.fatal_for_product) for p in problems(path)] == [(3, False)]
    assert [one.name for one in open_catalogue(path) if isinstance(one, ParsedProduct)][1] == "Hemp balm"


def test_a_quotation_mark_that_never_closes_is_refused_with_its_row(tmp_path):
    path = written(tmp_path, PLAIN + 'A-3,"Never closed,x\n' + "A-4,Lost,x\n" * 50)
    with pytest.raises(
        Unreadable, match="Row 4: a quotation mark opens there and is never closed"
    ) as refusal:
        list(open_catalogue(path))
    assert refusal.value.row == 4


def test_a_cell_of_more_than_a_megabyte_is_refused_with_its_row(tmp_path):
    path = written(tmp_path, PLAIN + 'A-3,"Never closed,x\n' + "A-4,Lost,xxxxxxxxxxxxxxxxxxxxxxx\n" * 40_000)
    with pytest.raises(Unreadable, match="Row 4: a cell has more than 1,000,000 characters") as refusal:
        list(open_catalogue(path))
    assert refusal.value.row == 4


def test_a_name_that_swallowed_the_next_row_is_not_imported(tmp_path):
    path = written(tmp_path, 'sku,name,description\nA-1,"Broken,x\nA-2,"Balm",y\nA-3,Soap,z\n')
    items = list(open_catalogue(path))
    assert [one.sku for one in items if isinstance(one, ParsedProduct)] == ["A-3"]
    assert "a quotation mark is probably missing" in next(
        p.reason for p in items if isinstance(p, RowProblem)
    )


def test_a_stray_quotation_mark_inside_a_cell_is_text(tmp_path):
    path = written(tmp_path, 'sku,name,description\nA-1,Board 5" thick,Cut to 5" or 10"\n')
    assert products(path)[0].name == 'Board 5" thick'


def test_nothing_in_a_cell_is_evaluated(tmp_path):
    formulas = [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "-2",
        '=HYPERLINK("http://x","y")',
        "{{7*7}}",
        "${7*7}",
    ]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("sku", "name"), *((f"A-{n}", text) for n, text in enumerate(formulas))])
    assert [one.name for one in products(written(tmp_path, buffer.getvalue()))] == formulas


# -- header --------------------------------------------------------------------------------------------


def test_everything_wrong_with_a_header_is_listed_at_once(tmp_path):
    path = written(tmp_path, "Farbe,Preis,Farbe\nred,1,2\n")
    with pytest.raises(Unreadable) as refusal:
        open_catalogue(path)
    assert len(refusal.value.problems) == 2
    assert "no column for sku" in str(refusal.value)
    assert "no column for name" in str(refusal.value)
    # In the browser nobody can send a mapping: where one can be given is said.
    assert "packshot import FILE --mapping MAPPING" in str(refusal.value)
    assert "The file has these columns: Farbe, Preis, Farbe." in str(refusal.value)


def test_a_column_that_decides_and_comes_twice_is_refused_with_both_places(tmp_path):
    path = written(tmp_path, "sku,name,colour,SKU\nA-1,Soap,red,B-1\n")
    with pytest.raises(Unreadable, match=r"the column sku comes 2 times \(columns 1 and 4\)"):
        open_catalogue(path)


def test_an_attribute_that_comes_twice_keeps_both_values(tmp_path):
    path = written(tmp_path, "sku,name,colour,Colour\nA-1,Soap,red,green\n")
    assert products(path)[0].attributes == {"colour": ["red", "green"]}


def test_headers_differ_in_case_marks_and_spaces_without_harm(tmp_path):
    path = written(tmp_path, "\ufeffSku,PRODUCT_NAME,Image-URL\nA-1,Soap,https://images.example.com/a.jpg\n")
    assert products(path)[0].reference_image_urls == ("https://images.example.com/a.jpg",)


def test_columns_without_a_name_are_said_and_ignored(tmp_path):
    path = written(tmp_path, "sku,name,,colour,,\nA-1,Soap,lost,red,,\n")
    assert "Columns without a name are ignored: 3." in open_catalogue(path).notes
    assert products(path)[0].attributes == {"colour": "red"}


def test_the_notes_say_which_column_was_taken_for_what(tmp_path):
    path = written(tmp_path, "Item no,Product name,Image link\nA-1,Soap,\n")
    note = open_catalogue(path).notes[0]
    assert note == "Read sku from “Item no”, name from “Product name”, images from “Image link”."


# -- properties ----------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.lists(cells, min_size=4, max_size=4), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example(rows=[['"', '""', "\n", '",\n"']], delimiter=",", end="\r\n", encoding="utf-8")
def test_whatever_is_written_quoted_is_read_back(tmp_path, rows, delimiter, end, encoding):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["sku", "name", "price", "colour"], *rows])
    path = written(tmp_path, buffer.getvalue().encode(encoding))
    limits = Limits()
    read = [
        item[1] for item in Table(examine(path, limits), limits).rows() if not isinstance(item, RowProblem)
    ]
    assert read == [row for row in rows if any(cell.strip() for cell in row)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    content=st.one_of(
        st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace"))
    )
)
def test_any_bytes_at_all_are_read_or_refused_in_words(tmp_path, content):
    for head in (b"", b"sku,name,image\n", b"Handle,Title,Body (HTML),Image Src\n", b'{"sku": "A"}\n{"sku":'):
        try:
            for item in open_catalogue(written(tmp_path, head + content)):
                assert isinstance(item, ParsedProduct | RowProblem)
        except BadInput as refusal:
            assert str(refusal)


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(rows: int) -> int:
        lines: Iterator[str] = (f"A-{n},Soap {n},{'kind to hands ' * 40}\n" for n in range(rows))
        path = written(tmp_path, "sku,name,description\n" + "".join(lines))
        tracemalloc.start()
        try:
            assert sum(isinstance(item, ParsedProduct) for item in open_catalogue(path)) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # 9,000 further rows are 5 MB of text; what is kept of each is its SKU and row.
    assert peak(10_000) - peak(1_000) < 3_000_000
