"""A window: some shards of a data set, opened together, with random access to their sound.

It has what mixing asks of a store (`tinyse.recordings.store`), but decodes a recording when it is wanted: FLAC decodes about
4000 times as fast as it sounds, so nothing is kept but the last few.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from tinyse.audio import from_pcm16
from tinyse.recordings.manifest import Recording
from tinyse.recordings.shard_file import ShardFile

DECODED = 8
"""Recordings whose samples are kept."""


class Window:
    """The recordings of a few shards of one kind."""

    notices: tuple[str, ...] = ()

    def __init__(self, files: Sequence[ShardFile], data_hash: str) -> None:
        """`data_hash` names the sound of the whole data set, of which this is a part."""
        self.data_hash, self.sample_rate = data_hash, files[0].sample_rate
        self._places = [(file, number) for file in files for number in range(len(file.items))]
        self.recordings: tuple[Recording, ...] = tuple(file.items[number].recording for file, number in self._places)
        self._decoded: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def length(self, i: int) -> int:
        """Samples in recording `i`."""
        file, number = self._places[i]
        return file.items[number].frames

    def read(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Samples of recording `i`, int16; fewer than `frames` where it ends before. Raises BrokenItem, or InputError where
        its shard changed."""
        if i in self._decoded:
            self._decoded.move_to_end(i)
        else:
            file, number = self._places[i]
            self._decoded[i] = file.sound(number)
            if len(self._decoded) > DECODED:
                self._decoded.popitem(last=False)
        return self._decoded[i][start : None if frames is None else start + frames]

    def sound(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        """The same as float32 without the recording's constant offset."""
        file, number = self._places[i]
        return from_pcm16(self.read(i, start, frames)) - np.float32(file.items[number].offset)
