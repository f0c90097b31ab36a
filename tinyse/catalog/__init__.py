"""Public sound by name: fetched, verified, unpacked, and listed in a manifest with its licenses."""

from tinyse.catalog.corpus import disk_use, get
from tinyse.catalog.entries import Archive, Catalog, Corpus, Material, Rule, read_catalog
from tinyse.catalog.materials import get_material

__all__ = ["Archive", "Catalog", "Corpus", "Material", "Rule", "disk_use", "get", "get_material", "read_catalog"]
