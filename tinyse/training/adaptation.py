"""Adapting a model to noise of the user's: their recordings in splits, the recipe, and the scores before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyse import audio, shipped_recipes
from tinyse.clips import refuse_trained
from tinyse.config import as_dict
from tinyse.corpus import BUILT_IN, data_paths
from tinyse.errors import InputError
from tinyse.evaluation.chain import NOISY, score
from tinyse.evaluation.pairs import Pair, digest_of, find_pairs, own_pairs
from tinyse.evaluation.report import Table
from tinyse.evaluation.statistics import Summary, paired, summarize
from tinyse.files import sha256
from tinyse.mixtures import MixtureConfig
from tinyse.mixtures.pairs import write_pairs
from tinyse.models.files import load_model
from tinyse.recipe import Recipe
from tinyse.recordings import Manifest, content, join, open_data, scan
from tinyse.recordings.layouts import layout_of
from tinyse.recordings.manifest import SPLITS, Kind
from tinyse.recordings.splits import check_leaks, with_splits
from tinyse.released import find_weights, names
from tinyse.streaming.denoiser import Denoiser
from tinyse.tasks import perceptual
from tinyse.training.recipe import load_recipe

LEAST_SECONDS = 1.0
"""The least noise that is not silent."""
FEWEST = 3
"""Recordings of noise: one to learn from, one to choose by, one to hold back."""
CORPUS = "own"
"""What the user's recordings are called as a corpus, which the recipe gives a share in `mixture.corpus_shares`."""
OWN, PAIRS, REPORT = "own.csv", "pairs", "report.json"
"""In the output folder: the user's recordings with their splits, what is scored, and the scores."""


@dataclass(frozen=True)
class Base:
    """The model that is adapted."""

    name: str
    """As the user gave it."""
    quantized: Path
    """Its int8 .tflite, which is scored before."""
    settings: tuple[str, ...]
    """Settings of the recipe that follow from it, KEY=VALUE."""


def base_of(model: str) -> Base:
    """The released model of a name, or a .safetensors with its .tflite beside it. Raises InputError for anything else."""
    path = find_weights(model)
    if path.suffix != ".safetensors":
        raise InputError(
            f"--model {model}: adaptation starts from float weights; give a .safetensors or a released name"
        )
    network, front_end, header = load_model(path)
    if header["task"] != "denoise":
        raise InputError(f"--model {model}: its task is {header['task']!r}, only a denoiser adapts to noise")
    quantized = path.with_suffix(".tflite")
    if not quantized.is_file():
        raise InputError(
            f"--model {model}: there is no {quantized} to compare with; make it with tinyse export {model}"
        )
    widths = model if model in names() else as_dict(network.architecture)
    rate, default = front_end.sample_rate, MixtureConfig().low_pass_hz
    settings = [f"front_end={json.dumps(as_dict(front_end))}"]
    if rate < audio.DEFAULT_RATE:  # a band-limited channel is one at this rate, too
        settings.append(f"mixture.low_pass_hz={[edge * rate / audio.DEFAULT_RATE for edge in default]}")
    for stage in ("adapt", "integers"):
        settings.append(f"stages.{stage}.model={json.dumps(widths)}")
        settings.append(f"stages.{stage}.distillation.teacher={json.dumps(model)}")
        if rate != perceptual.SAMPLE_RATE:
            settings.append(f"stages.{stage}.losses.perceptual=0")
    return Base(model, quantized, (*settings, f"stages.adapt.start={json.dumps(model)}"))


def recipe_of(base: Base, rehearsal: str, output: Path, settings: Sequence[str]) -> Recipe:
    """recipes/adapt.yaml for this model and these recordings; `settings` are the user's own, KEY=VALUE."""
    data = [str(output / OWN), rehearsal]
    given = [f"output={json.dumps(str(output))}", f"data={json.dumps(data)}"]
    return load_recipe(shipped_recipes.folder() / "adapt.yaml", [*base.settings, *given, *settings])


def own_recordings(noise: Path, speech: Path | None, rooms: Path | None, sample_rate: int) -> Manifest:
    """The user's recordings with splits in which no recording is torn apart, every noise a class of its own.

    Splits that are all there already (folders train, valid and test, or a manifest) stay. Raises InputError where there is
    less than a second of noise that is not silent, or too few recordings to hold any back.
    """
    noises = _of_kind(noise, "noise")
    heard = {sound.name for sound in content.sounds_of(noises, sample_rate=sample_rate)[0]}
    kept = tuple(recording for recording in noises.recordings if recording.path in heard)
    if sum(recording.seconds for recording in kept) < LEAST_SECONDS:
        raise InputError(f"--noise {noise}: no usable second in {_count(len(noises.recordings))}, all silent, broken or too "
                         "short; record the noise alone, without speech, at the level that the microphone gives")  # fmt: skip
    if len({recording.group for recording in kept}) < FEWEST:
        raise InputError(f"--noise {noise}: {_count(len(kept))} cannot be divided: one trains, one validates, one is held "
                         f"back for the report; give {FEWEST} or more, each from another take")  # fmt: skip
    if {recording.split for recording in kept} != set(SPLITS):
        kept = with_splits(kept, [recording.path for recording in kept])
    kept = tuple(replace(recording, label=f"own {recording.group}") for recording in kept)
    others: list[tuple[Path | None, Kind]] = [(speech, "speech"), (rooms, "rir")]
    given = [replace(noises, recordings=kept), *(_of_kind(path, kind) for path, kind in others if path is not None)]
    own = [tuple(replace(recording, corpus=CORPUS) for recording in manifest.recordings) for manifest in given]
    return join([replace(manifest, recordings=mine) for manifest, mine in zip(given, own, strict=True)])


def _of_kind(path: Path, kind: Kind) -> Manifest:
    """The recordings of a kind in a manifest or a folder; of a folder without a layout all are of that kind."""
    manifest = scan(path, kind) if path.is_dir() and layout_of(path) is None else open_data(path)
    chosen = manifest.select(kind)
    if not chosen:
        raise InputError(f"--{'rooms' if kind == 'rir' else kind} {path}: no sound of the kind {kind} in it")
    return replace(manifest, recordings=chosen)


def _count(recordings: int) -> str:
    return f"{recordings} recording{'' if recordings == 1 else 's'}"


def all_recordings(recipe: Recipe, own: Manifest, rehearsal: str) -> tuple[Manifest, list[str]]:
    """The user's recordings and the rehearsal's together, and notes about them.

    Raises InputError for sound that is in two splits, or trained on and scored, and where the rehearsal lacks speech or
    noise in a split.
    """
    general = open_data(data_paths(rehearsal))
    if any(recording.corpus == CORPUS for recording in general.recordings):
        raise InputError(f"--rehearsal {rehearsal}: its corpus is called {CORPUS!r}, as your own recordings are; rename the "
                         "folder, or the corpus in its manifest")  # fmt: skip
    for kind in ("speech", "noise"):
        for split in SPLITS:
            if not general.has(kind, split):
                raise InputError(f"--rehearsal {rehearsal}: no {kind} in {split}; give a folder with speech and noise enough "
                                 f"for three splits, or leave it out for the {BUILT_IN} corpus")  # fmt: skip
    everything = join([own, general])
    check_leaks(everything.recordings)
    rate = recipe.front_end.sample_rate
    notes = content.check_splits(everything, sample_rate=rate)
    if (scored := general_pairs(recipe, rehearsal)) is not None:
        notes += refuse_trained(everything, pairs_in(recipe, scored), sample_rate=rate)
    return everything, notes


def general_pairs(recipe: Recipe, rehearsal: str) -> Path | None:
    """The general set that exists already: the recipe's, or the rehearsal's own."""
    return Path(recipe.evaluation.pairs) if recipe.evaluation.pairs else own_pairs(data_paths(rehearsal))


def pairs_in(recipe: Recipe, folder: Path) -> list[Pair]:
    """The pairs of a folder that are scored."""
    return find_pairs(folder, recipe.evaluation.limit or None)


def scored_sets(recipe: Recipe, own: Manifest, everything: Manifest, rehearsal: str) -> dict[str, Path]:
    """Folders of pairs by what they measure: held-back recordings of the user's, and the general set of the rehearsal.

    The user's noise is in the user's speech where there is some, else in all that the rehearsal holds back. Mixtures are
    written, always the same.
    """
    folder, count, rate = Path(recipe.output) / PAIRS, recipe.evaluation.mixtures, recipe.front_end.sample_rate
    noises = {recording.label for recording in own.select("noise")}
    speech = everything.select("speech")
    talkers = [each for each in speech if each.corpus == CORPUS] if own.has("speech", "test") else speech
    held_back = [*talkers, *(each for each in everything.select("noise") if each.label in noises)]
    write_pairs(replace(everything, recordings=tuple(held_back)), folder / "own", count, sample_rate=rate)
    general = general_pairs(recipe, rehearsal)
    if general is None:
        general = folder / "general"
        write_pairs(open_data(data_paths(rehearsal)), general, count, sample_rate=rate)
    return {"your noise, held back": folder / "own", "general": general}


def hashes(recipe: Recipe, base: Base, sets: Mapping[str, Path]) -> dict[str, str]:
    """The hashes of what is compared: the model before, and each set of pairs."""
    return {"before": sha256(base.quantized)} | {
        name: digest_of(pairs_in(recipe, folder)) for name, folder in sets.items()
    }


def compare(
    recipe: Recipe, base: Base, adapted: Path, sets: Mapping[str, Path], advance: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Both int8 models on the same pairs: for each set, and for clean speech, means in dB and the change with its interval."""
    backends = {"before": Denoiser(base.quantized).denoise, "after": Denoiser(adapted).denoise}
    rows = []
    clean: dict[str, list[float]] = {name: [] for name in backends}
    for name, folder in sets.items():
        result = score(
            backends, pairs_in(recipe, folder), ("si_sdr",), progress=advance, sample_rate=recipe.front_end.sample_rate
        )
        values = {side: quality["si_sdr"] for side, quality in result.quality.items()}
        gains = {side: paired(values[NOISY], values[side]) for side in backends}
        rows.append(
            _row(f"{name}: SI-SDR gain", gains["before"], gains["after"], paired(values["before"], values["after"]))
        )
        for side in backends:
            clean[side] += result.clean[side]["si_sdr"]
    before, after = clean["before"], clean["after"]
    rows.append(_row("clean speech: SI-SDR", summarize(before), summarize(after), paired(before, after)))
    return {
        "base": base.name,
        "model": str(adapted),
        "pairs": {key: str(path) for key, path in sets.items()},
        "rows": rows,
    }


def _row(name: str, before: Summary, after: Summary, change: Summary) -> dict[str, Any]:
    interval = change.half_width if change.count > 1 else None
    return {"measure": name, "files": change.count, "before_db": before.mean if before.count else None,
            "after_db": after.mean if after.count else None, "change_db": change.mean if change.count else None,
            "interval_db": interval}  # fmt: skip


def table(report: Mapping[str, Any]) -> Table:
    """A report as `compare` gives it, to print."""
    rows = []
    for row in report["rows"]:
        change = _decibels(row["change_db"], "+")
        if row["interval_db"] is not None:
            change += f" ± {row['interval_db']:.2f}"
        rows.append(
            (row["measure"], str(row["files"]), _decibels(row["before_db"]), _decibels(row["after_db"]), change)
        )
    return Table(
        f"{report['base']} before and after, both int8",
        ("dB", "files", "before", "after", "change"),
        tuple(rows),
        "change: paired, file by file, with its 95 % interval",
    )


def _decibels(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"
