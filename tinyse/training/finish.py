"""What follows training: integers of the last stage's model, and the chain of numbers on pairs.

`plan` settles all of it before the first update, so that hours of training never end in an error that was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.clips import refuse_scored, refuse_trained, valid_clips
from tinyse.engines.tflite_engines import require_tflm
from tinyse.errors import InputError
from tinyse.evaluation.chain import DEFAULT_METRICS, score
from tinyse.evaluation.links import DEFAULT_LINKS, links_for
from tinyse.evaluation.metrics import measure
from tinyse.evaluation.pairs import Pair, find_pairs, own_pairs
from tinyse.evaluation.report import Table, as_json, markdown, summary_tables
from tinyse.export import export_model
from tinyse.files import write_json, write_text
from tinyse.mixtures.pairs import write_pairs
from tinyse.progress import counted
from tinyse.recordings import Manifest, open_data
from tinyse.spectra.picture import draw_spectrograms, require_matplotlib
from tinyse.streaming.denoiser import Denoiser
from tinyse.training.finish_tagging import export_and_score_tags
from tinyse.training.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """What will follow training, and what of it cannot be done."""

    pairs: Path | None = None
    """The folder that is scored on; None for no scores."""
    limit: int | None = None
    """Only the first pairs."""
    metrics: tuple[str, ...] = DEFAULT_METRICS
    links: tuple[str, ...] = DEFAULT_LINKS
    notes: tuple[str, ...] = ()
    """For the user, before training: what is scored on, what is left out and how to get it."""


@dataclass(frozen=True)
class Finished:
    """What a finished run leaves for the user."""

    integers: Path
    """The .tflite."""
    tables: Sequence[Table]
    """The scores in short; none where nothing was scored now."""
    scores: Path | None
    """All scores, to read; None where there are none."""


def plan(recipe: Recipe) -> Plan:
    """Look at everything that a run needs once it is trained: pairs, calibration, packages.

    Mixtures that will be scored are written now. Raises InputError for what would fail after training and can be mended;
    what is merely left out is in the notes.
    """
    if recipe.task == "tagging":
        return Plan(notes=() if recipe.tagging.test else ("tagging.test names no folds: the model will not be scored",))
    manifest = open_data(recipe.data_paths)
    limit = recipe.evaluation.limit or None
    pairs, notes = _pairs(recipe, manifest)
    clips = valid_clips(manifest, recipe.export.clips)
    if pairs is None:
        return Plan(notes=tuple(notes))
    require_matplotlib()
    refuse_scored(clips, find_pairs(pairs, limit))
    notes += refuse_trained(manifest, find_pairs(pairs, limit), True if recipe.ship else None)
    metrics = _usable(DEFAULT_METRICS, lambda name: measure(np.zeros(1), np.zeros(1), [name]), notes)
    links = _usable(DEFAULT_LINKS, lambda name: require_tflm() if name == "tflm" else None, notes)
    return Plan(pairs, limit, metrics, links, tuple(notes))


def finish(recipe: Recipe, plan: Plan, model: Path, say: Callable[[str], None], processes: int = 2) -> Finished:
    """Write the .tflite beside `model`, score every link on the planned pairs and write both reports.

    What is there already and newer than the model is not made again. A tagger is scored on mixtures of its test folds.
    """
    if recipe.task == "tagging":
        integers, tables = export_and_score_tags(recipe, model, say)
        return Finished(integers, tables, model.parent / "scores.md" if tables else None)
    integers, scores = model.with_suffix(".tflite"), model.parent / "scores.json"
    if not newer(integers, model):
        clips = valid_clips(open_data(recipe.data_paths), recipe.export.clips)
        named = [(clip.name, clip.sound) for clip in clips]
        say(export_model(model, named, precision=recipe.export.precision).summary)
    if plan.pairs is None:
        return Finished(integers, (), None)
    if newer(scores, integers):
        say(f"scored before: {scores}")
        return Finished(integers, (), scores.with_suffix(".md"))
    pairs = find_pairs(plan.pairs, plan.limit)
    say(f"examples to hear and see: {write_examples(integers, pairs, Path(recipe.output) / 'examples')}")
    say(f"scoring {len(pairs)} pairs in {plan.pairs}")
    with counted("scoring", len(pairs)) as advance:
        result = score(links_for(model, names=plan.links), pairs, plan.metrics, processes, progress=advance)
    for notice in result.notices:
        say(f"note: {notice}")
    write_json(scores, as_json(result))
    write_text(scores.with_suffix(".md"), markdown(result))
    return Finished(integers, summary_tables(result), scores.with_suffix(".md"))


def _pairs(recipe: Recipe, manifest: Manifest) -> tuple[Path | None, list[str]]:
    """The folder that will be scored on, its pairs made where there are none, and what to say of it."""
    given = recipe.evaluation.pairs
    if (found := Path(given) if given else own_pairs(recipe.data_paths)) is not None:
        return found, []
    if missing := [kind for kind in ("speech", "noise") if not manifest.select(kind, "test")]:
        return None, [
            f"no pairs are given, and the test split has no {' and no '.join(missing)}: the model will be exported, not "
            "scored; evaluation.pairs names a folder of pairs"
        ]
    folder, count = Path(recipe.output) / "pairs", recipe.evaluation.mixtures
    write_pairs(manifest, folder, count)
    return folder, [f"no pairs are given: {count} mixtures of the test split will be scored; they are in {folder}"]


def _usable(names: Sequence[str], check: Callable[[str], object], notes: list[str]) -> tuple[str, ...]:
    """Those of `names` that `check` lets pass; why the others do not goes to the notes."""
    usable = []
    for name in names:
        try:
            check(name)
            usable.append(name)
        except InputError as error:
            notes.append(f"{name} will be left out: {error}")
    return tuple(usable)


def write_examples(model: Path, pairs: Sequence[Pair], folder: Path, count: int = 3) -> Path:
    """Noisy, denoised and clean wav of `count` pairs spread over the input SNRs, and a picture of them. Returns `folder`."""
    ordered = sorted(pairs, key=lambda pair: pair.snr_db if pair.snr_db is not None else 0.0)
    denoiser = Denoiser(model)
    rows = []
    for place in range(min(count, len(ordered))):
        pair = ordered[(2 * place + 1) * len(ordered) // (2 * min(count, len(ordered)))].load()
        sounds = {"noisy": pair.noisy, "denoised": denoiser.denoise(pair.noisy), "clean": pair.clean}
        for side, sound in sounds.items():
            audio.write(folder / f"{pair.name}-{side}.wav", sound)
        rows.append([(f"{pair.name} {side}, input SNR {pair.snr_db:.0f} dB", sound) for side, sound in sounds.items()])
    draw_spectrograms(rows, folder / "spectrograms.png")
    return folder


def newer(path: Path, than: Path) -> bool:
    """Whether `path` is there and not older than `than`."""
    return path.exists() and path.stat().st_mtime >= than.stat().st_mtime
