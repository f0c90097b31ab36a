"""Public sound by name: fetched, verified, unpacked, and listed in a manifest with its licenses."""

from tinyse.catalog.corpus import get
from tinyse.catalog.entries import Archive, Catalog, Corpus, Rule, read_catalog

__all__ = ["Archive", "Catalog", "Corpus", "Rule", "get", "read_catalog"]
