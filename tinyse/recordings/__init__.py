"""Files on disk -> manifests with splits that do not leak, and sound in memory."""

from tinyse.recordings.data import brief, open_data, remarks, scan
from tinyse.recordings.manifest import Kind, Manifest, Recording, Split, join
from tinyse.recordings.packing import write_shards
from tinyse.recordings.shards import Shards
from tinyse.recordings.speakers import name_remarks
from tinyse.recordings.splits import FRACTIONS, check_leaks, draw_splits, find_leaks
from tinyse.recordings.store import AudioStore

__all__ = [
    "FRACTIONS",
    "AudioStore",
    "Kind",
    "Manifest",
    "Recording",
    "Shards",
    "Split",
    "brief",
    "check_leaks",
    "draw_splits",
    "find_leaks",
    "join",
    "name_remarks",
    "open_data",
    "remarks",
    "scan",
    "write_shards",
]
