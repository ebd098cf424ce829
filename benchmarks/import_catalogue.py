"""A catalogue of 100,000 products, twice: how long, how much memory, and that the second changes nothing.

Every row of the file is a product of its own, the most work that a row can be: a Shopify export has rows that
only add a variant or an image. Descriptions are HTML of 500 to 1,300 characters.
"""

import csv
import sys
import time
from pathlib import Path
from random import Random

from measure import below, describe_machine, exactly, in_a_process_of_its_own, report, site, tell

ROWS = 100_000
# fmt: off
COLUMNS = ["Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Option1 Name",
           "Option1 Value", "Variant SKU", "Variant Price", "Variant Barcode", "Image Src", "Image Position"]
KINDS = ["shirt", "lamp", "bowl", "oil", "soap", "blanket", "chair", "notebook", "kettle", "rope"]
COLOURS = ["moss green", "cream", "slate", "sand", "rust", "sky blue", "charcoal", "natural"]
PHRASES = ["woven from long fibres", "washed twice", "so that it keeps its shape", "for years of daily use",
           "in a kitchen", "or workshop", "with a soft edge", "that will not fray", "&amp; a colour",
           "fast to light", "at 40 °C"]
# fmt: on


def main() -> int:
    describe_machine()
    with site() as environment:
        file = Path(environment["PACKSHOT_DATA"]) / "catalogue.csv"
        write_catalogue(file)
        first, again = (
            in_a_process_of_its_own(__file__, str(file), environment=environment) for _ in ("first", "again")
        )
    met = [
        report("import 100,000 rows, products created", first["created"], "products", exactly(ROWS)),
        report("import 100,000 rows, time", first["seconds"], "s", below(30)),
        report("import 100,000 rows, processor time of the importing process", first["busy_seconds"], "s"),
        report("import 100,000 rows, peak memory", first["peak_mb"], "MB", below(300)),
        report("import them again, created or changed", again["differing"], "products", exactly(0)),
        report("import them again, time", again["seconds"], "s"),
        report("import them again, peak memory", again["peak_mb"], "MB", below(300)),
    ]
    return 0 if all(met) else 1


def write_catalogue(file: Path) -> None:
    random = Random(20)
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(COLUMNS)
        for number in range(ROWS):
            kind, colour = random.choice(KINDS), random.choice(COLOURS)
            picture = "placeholder.png" if number % 50 == 0 else f"{kind}-{number}.jpg"
            rows.writerow(
                [
                    f"{kind}-{number}",
                    f"{colour.capitalize()} {kind} No. {number}",
                    description(random),
                    f"Maker {number % 97}",
                    f"Home & Garden > {kind.capitalize()}s > Range {number % 23}",
                    kind,
                    f"{colour}, {kind}, season {number % 4}",
                    "Colour",
                    colour,
                    f"SKU-{number:06}",
                    f"{random.randrange(100, 90_000) / 100:.2f}",
                    f"40{number:011}",
                    f"https://images.example.com/{number % 256:02x}/{picture}?v=1",
                    "1",
                ]
            )


def description(random: Random) -> str:
    """Two to four paragraphs and a list, as a shop's editor writes them."""

    def words(most: int) -> str:
        return " ".join(random.choices(PHRASES, k=random.randrange(most // 2, most) + 1))

    paragraphs = "".join(
        f"<p>{words(12)}, <strong>{words(3)}</strong>.</p>\n" for _ in range(random.randrange(2, 5))
    )
    points = "".join(f"<li>{words(3)}</li>" for _ in range(3))
    return f'<div class="rte">{paragraphs}<ul>{points}</ul></div>'


def import_once(file: Path) -> None:
    """What the process that is measured does."""
    import django

    django.setup()
    from packshot import accounts
    from packshot.flows import import_catalogue

    began, busy = time.perf_counter(), time.process_time()
    done = import_catalogue.apply(file, accounts.this_shell())
    tell(
        seconds=time.perf_counter() - began,
        busy_seconds=time.process_time() - busy,
        created=done.created,
        differing=done.created + done.changed + done.rejected + done.problem_count,
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        import_once(Path(sys.argv[1]))
    else:
        sys.exit(main())
