"""What the tasks on mixtures share: speech and noise become noisy and clean pairs, to learn from, calibrate on and score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.clips import refuse_scored, refuse_trained, valid_clips
from tinyse.corpus import data_paths
from tinyse.errors import InputError
from tinyse.evaluation.pairs import find_pairs, own_pairs
from tinyse.mixtures import AnyMixer, MixtureConfig, MixtureDataset, open_mixer, valid_mixtures
from tinyse.mixtures.pairs import write_pairs
from tinyse.models.front_end import TorchFrontEnd
from tinyse.recipe import Recipe, Stage
from tinyse.recordings import Manifest, content, open_data
from tinyse.recordings.broken import RECORD, Broken, named_in
from tinyse.spectra.front_end import rate_in
from tinyse.tasks.task import Plan, Task


class MixtureTask(Task):
    """A task whose truth is the clean side of a mixture."""

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        super().check(recipe)
        for stage in recipe.stages.values():
            recipe.mixture_of(stage).check_rate(recipe.front_end.sample_rate)

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.manifest = open_data(recipe.data_paths)
        self.torch_front_end = TorchFrontEnd(recipe.front_end)
        self._content: list[str] | None = None

    def record(self) -> list[dict[str, Any]]:
        return self.manifest.summary()

    def open(self, stage: Stage) -> dict[str, str]:
        self.mixer = training_mixer(self.recipe, stage, self.manifest, record=True)
        if self._content is None:
            self._content = content.check_splits(
                self.manifest, self.recipe.ship or None, sample_rate=self.recipe.front_end.sample_rate
            )
        self.notices = (*self.mixer.notices, *self._content)
        rate = self.recipe.front_end.sample_rate
        valid = open_mixer(self.manifest, MixtureConfig().plain(), stage.seconds, 0, "valid", sample_rate=rate)
        return {"data_hash": self.mixer.data_hash, "valid_hash": valid.data_hash}

    def broken(self) -> list[str]:
        return named_in(Path(self.recipe.output))

    def examples(self, epoch: int, length: int) -> MixtureDataset:
        return MixtureDataset(self.mixer, epoch, length)

    def valid(self, stage: Stage) -> list[tuple[np.ndarray, np.ndarray]]:
        count, rate = self.recipe.valid_clips, self.recipe.front_end.sample_rate
        shares = self.recipe.mixture_of(stage).corpus_shares
        made = valid_mixtures(self.manifest, count, stage.seconds, sample_rate=rate, corpus_shares=shares)
        return [(mixture.noisy, mixture.clean) for mixture in made]

    def to(self, device: Any) -> None:
        self.torch_front_end.to(device)

    @classmethod
    def calibration(cls, recipe: Recipe, clips: int) -> list[tuple[str, np.ndarray]]:
        rate = recipe.front_end.sample_rate
        return [(clip.name, clip.sound) for clip in valid_clips(open_data(recipe.data_paths), clips, rate)]

    @classmethod
    def calibration_for(cls, header: Mapping[str, Any], data: str, clips: int) -> list[tuple[str, np.ndarray]]:
        places, rate = data_paths(data), rate_in(header)
        chosen = valid_clips(open_data(places), clips, rate)
        if (scored := own_pairs(places)) is not None:
            refuse_scored(chosen, find_pairs(scored), rate)
        return [(clip.name, clip.sound) for clip in chosen]

    @classmethod
    def plan(cls, recipe: Recipe) -> Plan:
        """Mixtures that will be scored are written now."""
        manifest = open_data(recipe.data_paths)
        limit = recipe.evaluation.limit or None
        pairs, notes = scored_pairs(recipe, manifest)
        rate = recipe.front_end.sample_rate
        clips = valid_clips(manifest, recipe.export.clips, rate)
        if pairs is not None:
            refuse_scored(clips, find_pairs(pairs, limit), rate)
            notes += refuse_trained(manifest, find_pairs(pairs, limit), recipe.ship or None, rate)
        return Plan(pairs, limit, notes=tuple(notes))


def training_mixer(
    recipe: Recipe,
    stage: Stage,
    manifest: Manifest,
    seconds: float | None = None,
    seed: int | None = None,
    record: bool = False,
) -> AnyMixer:
    """What mixes the training clips of a stage; of another length or seed where given. Broken recordings are named in the
    run's folder if `record`."""
    return open_mixer(
        manifest,
        recipe.mixture_of(stage),
        stage.seconds if seconds is None else seconds,
        recipe.seed if seed is None else seed,
        "train",
        recipe.ship or None,
        sample_rate=recipe.front_end.sample_rate,
        broken=Broken(recipe.broken, Path(recipe.output) / RECORD if record else None),
    )


def scored_pairs(recipe: Recipe, manifest: Manifest) -> tuple[Path | None, list[str]]:
    """The folder that will be scored on, its pairs made where there are none, and what to say of it."""
    given = recipe.evaluation.pairs
    if (found := Path(given) if given else own_pairs(recipe.data_paths)) is not None:
        return found, []
    if missing := [kind for kind in ("speech", "noise") if not manifest.has(kind, "test")]:
        return None, [
            f"no pairs are given, and the test split has no {' and no '.join(missing)}: the model will be exported, not "
            "scored; evaluation.pairs names a folder of pairs"
        ]
    folder, count = Path(recipe.output) / "pairs", recipe.evaluation.mixtures
    write_pairs(manifest, folder, count, sample_rate=recipe.front_end.sample_rate)
    return folder, [f"no pairs are given: {count} mixtures of the test split will be scored; they are in {folder}"]


def usable(names: Sequence[str], check: Callable[[str], object], notes: list[str]) -> tuple[str, ...]:
    """Those of `names` that `check` lets pass; why the others do not goes to the notes."""
    passed = []
    for name in names:
        try:
            check(name)
            passed.append(name)
        except InputError as error:
            notes.append(f"{name} will be left out: {error}")
    return tuple(passed)
