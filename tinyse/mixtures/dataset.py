"""Mixtures by number, for a data loader or any other loop; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinyse.audio import DEFAULT_RATE
from tinyse.errors import InputError
from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.mixer import Mixer, Mixture
from tinyse.mixtures.streamed import StreamedMixer
from tinyse.recordings import AudioStore, Manifest, Split
from tinyse.recordings.broken import Broken
from tinyse.recordings.shards import Shards

AnyMixer = Mixer | StreamedMixer


class MixtureDataset:
    """One epoch as a sequence of (noisy, clean), each float32, shape (samples,).

    It has what torch's `DataLoader` asks of a map-style dataset, whose default collation makes tensors of the arrays;
    its workers share the recordings' pages.
    """

    def __init__(self, mixer: AnyMixer, epoch: int, length: int) -> None:
        self.mixer, self.epoch, self.length = mixer, epoch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < self.length:
            raise IndexError(index)
        mixture = self.mixer(self.epoch, index)
        return mixture.noisy, mixture.clean


def open_mixer(
    manifest: Manifest,
    config: MixtureConfig,
    seconds: float,
    seed: int,
    split: Split = "train",
    ship: bool | None = None,
    cache_directory: str | Path | None = None,
    sample_rate: int = DEFAULT_RATE,
    broken: Broken | None = None,
) -> AnyMixer:
    """A mixer of one split of a manifest; `ship` True takes only what released weights may be trained on.

    `broken` notes recordings that cannot be used. Raises InputError where the split has no speech or no noise.
    """
    for kind in ("speech", "noise"):
        if not manifest.has(kind, split, ship):
            terms = " whose license lets weights be released (ship is yes)" if ship else ""
            there = ship and manifest.has(kind, split)
            hint = "; --set ship=false trains on all, weights that you may not release" if there else ""
            if split != "train" and not there and manifest.has(kind, "train", ship):
                least = "three talkers" if kind == "speech" else "three sources"
                hint = f": each split takes others, so give recordings of {least} or more, or built-in beside them in `data`"
            raise InputError(f"{manifest.root}: no {kind} recordings in the split {split}{terms}{hint}")
    if isinstance(manifest, Shards):
        manifest.check_rate(sample_rate)
        config.check_rate(sample_rate)
        return StreamedMixer(manifest, config, seconds, seed, split, ship, broken)

    def store(kind: str) -> AudioStore:
        recordings = manifest.select(kind, split, ship)  # type: ignore[arg-type]
        return AudioStore.build(manifest.root, recordings, cache_directory, sample_rate=sample_rate)

    rooms = store("rir") if config.room_probability and manifest.select("rir", split, ship) else None
    mixer = Mixer(store("speech"), store("noise"), rooms, config, seconds, seed, manifest.notices)
    if broken is not None:
        broken.add_left_out(mixer.notices, len(manifest.recordings))
    return mixer


def valid_mixtures(
    manifest: Manifest,
    count: int,
    seconds: float = 4.0,
    cache_directory: str | Path | None = None,
    sample_rate: int = DEFAULT_RATE,
    corpus_shares: Mapping[str, float] | None = None,
) -> list[Mixture]:
    """The fixed list for early stopping: valid voices in one recorded noise at -5 to 15 dB, nothing else done to them.

    The same numbers in every run, so that scores of different trainings compare; `corpus_shares` are the mixtures'.
    """
    shares = dict(corpus_shares or {})
    config = MixtureConfig().plain(snr_db=(-5.0, 15.0), level_db=(-35.0, -15.0), corpus_shares=shares)
    mixer = open_mixer(manifest, config, seconds, 0, "valid", None, cache_directory, sample_rate)
    return [mixer(0, index) for index in range(count)]
