"""Mixtures of a data set in shards: each is still a function of (seed, epoch, index), of a few shards at a time.

The window of shuffling: mixtures are made in blocks, and those of block b draw from `WINDOW` shards of speech, as many of
noise and of rooms: number b to b + WINDOW - 1 of an order that is drawn again, from (seed, epoch), each time all shards
have had their turn. The next block drops the oldest of them and takes one more. A block has as many mixtures as make the
sound of one shard of speech, so a pass over the shards uses about as much speech as there is. Which process makes a
mixture, and which mixtures it made before, changes nothing: no two processes make the same one, and one that starts
anywhere makes the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.mixer import Mixer, Mixture, absent_corpora
from tinyse.recordings.broken import Broken, BrokenItem
from tinyse.recordings.manifest import KINDS, Kind, Split
from tinyse.recordings.shard_file import ShardFile
from tinyse.recordings.shards import Shard, Shards
from tinyse.recordings.windows import Window

WINDOW = 4
"""Shards of each kind that mixtures are made of at a time."""
FIXED = 1
"""Shards of each kind that validation and tests use: the first, always."""
ATTEMPTS = 20
"""Attempts at a mixture whose recordings turn out broken."""
ADVICE = "copy the shards again, or write them again with tinyse data shard"


class StreamedMixer:
    """Makes mixtures of `seconds` from shards, as `Mixer` does from stores."""

    def __init__(
        self,
        shards: Shards,
        config: MixtureConfig,
        seconds: float,
        seed: int,
        split: Split = "train",
        ship: bool | None = None,
        broken: Broken | None = None,
    ) -> None:
        """`broken` notes the recordings that turn out so. Raises InputError where one of the kinds has no shards."""
        self.shards, self.config, self.seconds, self.seed, self.split = shards, config, seconds, seed, split
        self.sample_rate = shards.index.sample_rate
        kinds = [kind for kind in KINDS if kind != "rir" or config.room_probability]
        self.chosen: dict[Kind, tuple[Shard, ...]] = {
            kind: found for kind in kinds if (found := shards.chosen(kind, split, ship))
        }
        self.data_hash = "-".join(shards.data_hash(chosen) for chosen in self.chosen.values())
        speech = self.chosen["speech"]
        self.block = max(1, round(sum(shard.seconds for shard in speech) / len(speech) / seconds))
        """Mixtures that have a window in common."""
        self.broken = broken or Broken()
        self._mixers: dict[tuple[int, int], Mixer] = {}
        self._files: dict[str, ShardFile] = {}
        self._read_in_closed = 0
        rows = [row for row in shards.summary() if row["split"] == split and row["kind"] in self.chosen]
        packed = {corpus for row in rows for corpus in row["corpora"]}
        absent = absent_corpora(config, packed) if packed else []  # shards of an earlier tinyse do not say
        self.notices = (*shards.notices, *absent, *self._window_notices())

    def __call__(self, epoch: int, index: int) -> Mixture:
        """The mixture number `index` of an epoch. Raises InputError for a shard that is missing, damaged or replaced, and
        for too many broken recordings."""
        mixer = self._mixer(epoch, 0 if self.split != "train" else index // self.block)
        for attempt in range(ATTEMPTS):
            try:
                return mixer(epoch, index, attempt)
            except BrokenItem as error:
                self.broken.add(error, self._tried())
        raise InputError(
            f"{self.shards.place}: mixture {index} came upon a broken recording {ATTEMPTS} times; {ADVICE}"
        )

    def window(self, epoch: int, block: int) -> dict[Kind, list[Shard]]:
        """The shards of each kind that a block is made of."""
        if self.split != "train":
            return {kind: list(chosen[:FIXED]) for kind, chosen in self.chosen.items()}
        return {
            kind: list(dict.fromkeys(self._at(kind, epoch, block + place) for place in range(WINDOW)))
            if len(chosen) > WINDOW
            else list(chosen)
            for kind, chosen in self.chosen.items()
        }

    def _at(self, kind: Kind, epoch: int, place: int) -> Shard:
        """The shard whose turn it is."""
        chosen = self.chosen[kind]
        turn, number = divmod(place, len(chosen))
        return chosen[_order(self.seed, epoch, turn, KINDS.index(kind), len(chosen))[number]]

    def _mixer(self, epoch: int, block: int) -> Mixer:
        if (epoch, block) not in self._mixers:
            window = self.window(epoch, block)
            self._open([shard for shards in window.values() for shard in shards])
            stores = {kind: self._store(kind, shards) for kind, shards in window.items()}
            mixer = Mixer(stores["speech"], stores["noise"], stores.get("rir"), self.config, self.seconds, self.seed)
            # Batches are mixed by several processes, so a process may come back to the block before.
            self._mixers = dict([*self._mixers.items(), ((epoch, block), mixer)][-2:])
            self._close_others()
            if self.shards.buffer is not None and self.split == "train":
                following = [self._at(kind, epoch, block + WINDOW) for kind in self.chosen]
                threading.Thread(target=self._fetch, args=(following,), daemon=True).start()
        return self._mixers[epoch, block]

    def _store(self, kind: Kind, shards: Sequence[Shard]) -> Window:
        window = Window([self._files[shard.name] for shard in shards], self.shards.data_hash(self.chosen[kind]))
        if not len(window):
            raise InputError(
                f"{self.shards.place}: all recordings of {', '.join(shard.name for shard in shards)} are broken; {ADVICE}"
            )
        return window

    def _open(self, shards: Sequence[Shard]) -> None:
        missing = [shard for shard in shards if shard.name not in self._files]
        with ThreadPoolExecutor(WINDOW) as pool:  # servers answer several requests at once
            paths = list(pool.map(self.shards.path, missing))
        for shard, path in zip(missing, paths, strict=True):
            file = self._files[shard.name] = ShardFile(path, shard, self.shards.index.codec, self.sample_rate)
            for error in file.broken:
                self.broken.add(error, self._tried())

    def _close_others(self) -> None:
        used = {
            shard.name
            for epoch, block in self._mixers
            for shards in self.window(epoch, block).values()
            for shard in shards
        }
        for name in self._files.keys() - used:
            self._read_in_closed += self._files[name].looked_at
            self._files.pop(name).close()

    def _tried(self) -> int:
        """Recordings that were read."""
        return self._read_in_closed + sum(file.looked_at for file in self._files.values())

    def _fetch(self, shards: Sequence[Shard]) -> None:
        """Fetch what the next block needs. A failure is reported once the shard is needed."""
        for shard in shards:
            with suppress(InputError):
                self.shards.path(shard)

    def _window_notices(self) -> list[str]:
        if self.split != "train" or all(len(chosen) <= WINDOW for chosen in self.chosen.values()):
            return []
        hours = {
            kind: sum(shard.seconds for shard in chosen) / len(chosen) * WINDOW / 3600
            for kind, chosen in self.chosen.items()
        }
        held = ", ".join(f"{value:.2g} h of {kind}" for kind, value in hours.items())
        return [f"shuffled within {WINDOW} shards of each kind ({held}); one is exchanged every {self.block} mixtures"]

    def __getstate__(self) -> dict[str, Any]:
        """For a process of its own, which opens shards by itself."""
        return {**self.__dict__, "_mixers": {}, "_files": {}}


@lru_cache(maxsize=16)
def _order(seed: int, epoch: int, turn: int, kind: int, count: int) -> tuple[int, ...]:
    """All numbers below `count`, in the order of their turn."""
    return tuple(np.random.default_rng((seed, epoch, turn, kind)).permutation(count).tolist())
