"""Catalogue files: from a path to a stream of products. No Django, no database, no network.

for item in open_catalogue("products.csv"):
    ...  # a ParsedProduct or a RowProblem, in file order
"""

from packshot.catalogue.formats.catalogue_file import CatalogueFile, Format, open_catalogue
from packshot.catalogue.formats.mapping import FieldMapping, load_mapping, parse_mapping, shipped_mappings
from packshot.catalogue.formats.product import ParsedProduct, RowProblem
from packshot.catalogue.formats.reading import Limits, Unreadable

__all__ = [
    "CatalogueFile",
    "FieldMapping",
    "Format",
    "Limits",
    "ParsedProduct",
    "RowProblem",
    "Unreadable",
    "load_mapping",
    "open_catalogue",
    "parse_mapping",
    "shipped_mappings",
]
