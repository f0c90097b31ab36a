"""What follows training: integers of the last stage's model, and the chain of numbers on pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tinyse import audio
from tinyse.clips import refuse_scored, valid_clips
from tinyse.evaluation.chain import score
from tinyse.evaluation.links import links_for
from tinyse.evaluation.pairs import Pair, find_pairs
from tinyse.evaluation.report import as_json, markdown
from tinyse.export import export_model
from tinyse.files import write_json, write_text
from tinyse.progress import counted
from tinyse.recordings import open_data
from tinyse.spectra.picture import draw_spectrograms
from tinyse.streaming.denoiser import Denoiser
from tinyse.training.finish_tagging import export_and_score_tags
from tinyse.training.recipe import Recipe
from tinyse.training.run import data_path


def export_and_evaluate(recipe: Recipe, model: Path, say: Callable[[str], None]) -> None:
    """Write the .tflite beside `model`, score every link on the recipe's pairs and write both reports.

    What is there already and newer than the model is not made again. A tagger is scored on mixtures of its test folds.
    """
    if recipe.task == "tagging":
        export_and_score_tags(recipe, model, say)
        return
    pairs = find_pairs(pairs_folder(recipe), recipe.evaluation.limit or None)
    integers, scores = model.with_suffix(".tflite"), model.parent / "scores.json"
    if not newer(integers, model):
        clips = valid_clips(open_data(data_path(recipe.data)), recipe.export.clips)
        refuse_scored(clips, pairs)
        named = [(clip.name, clip.sound) for clip in clips]
        say(export_model(model, named, precision=recipe.export.precision).text)
    if newer(scores, integers):
        say(f"scored before: {scores}")
        return
    say(f"examples to hear and see: {write_examples(integers, pairs, Path(recipe.output) / 'examples')}")
    with counted("scoring", len(pairs)) as advance:
        result = score(links_for(model), pairs, processes=2, progress=advance)
    write_json(scores, as_json(result))
    write_text(scores.with_suffix(".md"), markdown(result))
    say(markdown(result))


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


def pairs_folder(recipe: Recipe) -> Path:
    """Where the recipe's pairs lie."""
    return Path(recipe.evaluation.pairs) if recipe.evaluation.pairs else data_path(recipe.data) / "benchmark"


def newer(path: Path, than: Path) -> bool:
    """Whether `path` is there and not older than `than`."""
    return path.exists() and path.stat().st_mtime >= than.stat().st_mtime
