"""Files on disk -> manifests with splits that do not leak, and sound in memory."""

from tinyse.recordings.data import open_data, scan
from tinyse.recordings.manifest import Kind, Manifest, Recording, Split, join
from tinyse.recordings.splits import FRACTIONS, check_leaks, draw_splits, find_leaks
from tinyse.recordings.store import AudioStore, write_shards

__all__ = [
    "FRACTIONS",
    "AudioStore",
    "Kind",
    "Manifest",
    "Recording",
    "Split",
    "check_leaks",
    "draw_splits",
    "find_leaks",
    "join",
    "open_data",
    "scan",
    "write_shards",
]
