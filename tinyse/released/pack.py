"""A released model's folder from its recipe: weights, quantized model, golden vectors, reports, card, hashes.

    python -m tinyse.released.pack recipes/student-62k.yaml --set data=FOLDER

trains what is not trained yet, exports, scores, and writes the folder named after the recipe. For maintainers, from a
checkout: it needs the extras `train` and `metrics`.

    python -m tinyse.released.pack recipes/teacher.yaml --teacher --set data=FOLDER

does so for a model that only teaches: weights in bfloat16 and a card; no .tflite.
"""

from __future__ import annotations

import json
import shutil
import string
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tinyse import audio, corpus, released
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for, rate_of
from tinyse.evaluation.chain import DEFAULT_METRICS, score
from tinyse.evaluation.metrics import si_sdr
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import as_json, as_markdown, tables
from tinyse.files import newer, sha256, write_bytes, write_json, write_text
from tinyse.models.files import load_model, load_tensors, save_rounded, save_tensors
from tinyse.models.network import parameters
from tinyse.progress import counted
from tinyse.recordings.manifest import KINDS, Manifest, hours
from tinyse.streaming.denoiser import Denoiser

FILES = ("model.safetensors", "model.tflite", "golden.npz", "report.json", "scores.json")
"""What a released folder holds beside its card: `card.json` has the SHA-256 of each."""
MODELS = ("model.tflite", "model.safetensors")
"""The first of these that a folder holds is the one that runs."""
TEACHER_FILES = ("model.safetensors", "scores.json")
"""The same of a teacher."""
GOLDEN_SECONDS = 2.0
TEMPLATE, TEACHER_TEMPLATE = (Path(__file__).with_name(name) for name in ("card.md.in", "teacher.md.in"))


def pack(run: Path, name: str, recipe_file: str, manifest: Manifest, pairs: str) -> Path:
    """Write the folder of the model `name` from a finished run's last stage, scored on `pairs`. Returns the folder.

    `run` holds `model.safetensors`, `model.tflite`, `model-report.json`, `scores.json` and `scores.md`.
    """
    folder = released.FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in (("model.safetensors",) * 2, ("model.tflite",) * 2, ("model-report.json", "report.json")):
        shutil.copyfile(run / source, folder / target)
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    scores.pop("files")  # single values of every clip: long, and made again by `tinyse evaluate`
    write_json(folder / "scores.json", {"pairs": pairs, **scores})
    write_bytes(folder / "golden.npz", golden(folder / "model.tflite"))
    card = facts(folder, name, recipe_file, manifest)
    write_json(folder / "card.json", card)
    write_text(folder / "card.md", prose(card, (run / "scores.md").read_text(encoding="utf-8")))
    return folder


def pack_teacher(
    model: Path, name: str, recipe_file: str, manifest: Manifest, pairs: Path, metrics: Sequence[str] = DEFAULT_METRICS
) -> Path:
    """Write the folder of the teacher `name` from trained weights, and score what is in it on `pairs`. Returns the folder."""
    folder = released.FOLDER / name
    weights = folder / "model.safetensors"
    save_rounded(weights, model)
    with_names = find_pairs(pairs)
    with counted("scoring", len(with_names)) as advance:
        backends = backends_for(weights, names=["float-clip"])
        scores = score(backends, with_names, metrics, progress=advance, sample_rate=rate_of(weights))
    summary = as_json(scores)
    summary.pop("files")
    write_json(folder / "scores.json", {"pairs": pairs.name, **summary})
    card = facts(folder, name, recipe_file, manifest, TEACHER_FILES)
    write_json(folder / "card.json", card)
    write_text(folder / "card.md", prose(card, as_markdown(tables(scores)), TEACHER_TEMPLATE))
    return folder


def without_places(model: Path, folder: Path, name: str) -> Path:
    """Write the weights again in `folder`, with a header that tells what they learned from but not where that lay.

    Returns the new file, which is left as it is where it is newer than `model`.
    """
    target = folder / "model.safetensors"
    if not newer(target, model):
        tensors, header = load_tensors(model)
        recipe = header["whole_recipe"]
        whole = {**recipe, "data": _file_names(recipe["data"]), "output": f"runs/{name}"}
        stage = {**header["recipe"], "data": _file_names(header["recipe"]["data"])}
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(target, tensors, {**header, "whole_recipe": whole, "recipe": stage})
    return target


def _file_names(data: str | Sequence[str]) -> list[str]:
    return [Path(place).name for place in ([data] if isinstance(data, str) else data)]


def golden(model: Path) -> bytes:
    """Vectors to check an implementation with, as an .npz (no pickles): what goes in and what must come out.

    `noisy` and `denoised` are PCM16 (samples,), aligned, of the reference engine; `masks` uint8 (frames, bands) are its
    masks in units of 1 / 256, one frame per hop of the stream.
    """
    first = find_pairs(corpus.pairs())[0]
    denoiser = Denoiser(model, engine="reference")
    rate = denoiser.sample_rate
    noisy = audio.to_pcm16(first.load(rate).noisy[: round(GOLDEN_SECONDS * rate)])
    masks: list[np.ndarray] = []
    step = denoiser.engine.step

    def recorded(features: np.ndarray, state: Any) -> Any:
        mask, state = step(features, state)
        masks.append(np.round(mask * 256).astype(np.uint8))
        return mask, state

    denoiser.engine.step = recorded  # type: ignore[method-assign]
    denoised = denoiser.denoise(noisy)
    file = BytesIO()
    np.savez_compressed(file, noisy=noisy, denoised=denoised, masks=np.stack(masks))
    return file.getvalue()


def built_in_gain_db(model: Path) -> float:
    """Mean gain in SI-SDR on the pairs of the built-in corpus, in the integer reference where there are integers: a score
    that any installation can check, whichever engines it has."""
    denoiser = Denoiser(model, engine="reference" if model.suffix == ".tflite" else None)
    pairs = [pair.load(denoiser.sample_rate) for pair in find_pairs(corpus.pairs())]
    return float(np.mean([si_sdr(p.clean, denoiser.denoise(p.noisy)) - si_sdr(p.clean, p.noisy) for p in pairs]))


def facts(
    folder: Path, name: str, recipe_file: str, manifest: Manifest, files: Sequence[str] = FILES
) -> dict[str, Any]:
    """`card.json`: what a machine may want to know of a released model, whose folder holds `files`."""
    network, _, header = load_model(folder / "model.safetensors")
    recipe, teachers = header["whole_recipe"], header.get("teachers", [])
    if not recipe["ship"]:
        raise InputError(f"{recipe_file}: released weights are trained with ship: true")
    for place in sorted(_words(recipe["stages"])):
        if Path(place).is_absolute():
            raise InputError(
                f"{recipe_file} names {place}: a recipe that others are to run names files by relative paths"
            )
    if not teachers and any(stage["distillation"] for stage in recipe["stages"].values()):
        raise InputError(f"{folder / 'model.safetensors'} does not say who taught it, though {recipe_file} has a teacher: "
                         "train it again")  # fmt: skip
    licensed = [r for r in manifest.recordings if r.split == "train" and r.ship]
    kinds = {kind: [r for r in licensed if r.kind == kind] for kind in KINDS}
    return {
        "name": name,
        "task": header["task"],
        "parameters": parameters(network),
        "recipe_file": recipe_file,
        "recipe": recipe,
        "teachers": teachers,
        "data": {
            kind: {
                "files": len(rows),
                "hours": round(hours(rows), 2),
                "corpora": {
                    corpus: sorted({r.license for r in rows if r.corpus == corpus})
                    for corpus in sorted({r.corpus for r in rows})
                },
            }
            for kind, rows in kinds.items()
        },
        "data_hash": header["data_hash"],
        "built_in_gain_db": round(built_in_gain_db(folder / next(file for file in MODELS if file in files)), 3),
        "sha256": {file: sha256(folder / file) for file in files},
    }


def _words(values: Any) -> set[str]:
    """All text in the values of a document."""
    if isinstance(values, str):
        return {values}
    children = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    return {word for child in children for word in _words(child)}


def prose(card: Mapping[str, Any], scores: str, template: Path = TEMPLATE) -> str:
    """`card.md`: the same for a reader, with the tables of the scores."""
    rows = [
        f"| {kind} | {part['files']:,} | {part['hours']:.2f} | "
        + "; ".join(f"{corpus} ({', '.join(licenses)})" for corpus, licenses in part["corpora"].items())
        + " |"
        for kind, part in card["data"].items()
    ]
    stages = [
        f"- `{name}`: {stage['updates']:,} updates of {stage['batch']} clips of {stage['seconds']:g} s"
        + (f", from `{stage['start']}`" if stage["start"] else "")
        + (f", quantization-aware in {stage['quantize']['precision']}" if stage["quantize"] else "")
        + (f", losses {_weights(stage['losses'])}" if stage["losses"] else "")
        + (f", taught by {_distillation_text(stage['distillation'])}" if stage["distillation"] else "")
        + "".join(f", {key.replace('_', ' ')} {value}" for key, value in (stage.get("mixture") or {}).items())
        + (f", {stage['learned']:g} of the way from its start" if stage.get("learned", 1) != 1 else "")
        + (", last weights kept" if stage.get("keep") == "last" else "")
        for name, stage in card["recipe"]["stages"].items()
    ]
    values = {
        "name": card["name"],
        "parameters": f"{card['parameters']:,}",
        "recipe": card["recipe_file"],
        "seed": str(card["recipe"]["seed"]),
        "data": "\n".join(rows),
        "stages": "\n".join([*stages, "", *_teachers(card["teachers"])]),
        "scores": scores.replace("\n### ", "\n#### ").replace("### ", "#### ", 1).strip(),
        "built_in": f"{card['built_in_gain_db']:.2f}",
        "hashes": "\n".join(f"{digest}  {file}" for file, digest in card["sha256"].items()),
    }
    return string.Template(template.read_text(encoding="utf-8")).substitute(values)


def _weights(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{weight:g} x {name.replace('_', ' ')}" for name, weight in losses.items())


def _distillation_text(distillation: Mapping[str, Any]) -> str:
    given = distillation["teacher"]
    teachers = given if isinstance(given, list) else [given]
    names = ", ".join(f"`{each if isinstance(each, str) else each['onnx']}`" for each in teachers)
    weights = {f"{view} similarities": weight for view, weight in distillation["views"].items()}
    weights |= {name: distillation[name] for name in ("output", "target") if distillation.get(name)}
    return f"{names}: {_weights(weights)}"


def _teachers(teachers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who taught the model, a line each with what holds for its file."""
    if not teachers:
        return ["No teacher: supervised only."]
    lines = [
        f"- `{t['file']}`, {'external: its own license applies' if t['external'] else 'a network of tinyse'}; SHA-256 "
        f"{t['sha256']}"
        for t in teachers
    ]
    return ["It learned from the teachers:", "", *lines]


def main(
    recipe: Annotated[Path, typer.Argument(help="A file of recipes/.")],
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    name: Annotated[str, typer.Option(help="The folder's name; default: the recipe's.")] = "",
    teacher: Annotated[bool, typer.Option("--teacher", help="It only teaches: bfloat16 weights, no .tflite.")] = False,
) -> None:
    """Train RECIPE where it is not trained, and write the folder of the released model."""
    from tinyse.commands.screen import Screen
    from tinyse.recordings import open_data
    from tinyse.training.finish import finish, plan
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    chosen = load_recipe(recipe, settings or [])
    planned = plan(chosen)
    if planned.pairs is None:
        raise InputError("a released model has scores: " + "; ".join(planned.notes))
    with Screen() as screen:
        model = run(chosen, screen.show, screen.say)
    name, place, manifest = name or recipe.stem, f"recipes/{recipe.name}", open_data(chosen.data_paths)
    model = without_places(model, Path(chosen.output) / "release", name)
    if teacher:
        print(pack_teacher(model, name, place, manifest, planned.pairs, planned.metrics))
        return
    finish(chosen, planned, model, print)
    print(pack(model.parent, name, place, manifest, planned.pairs.name))


if __name__ == "__main__":
    typer.run(main)
