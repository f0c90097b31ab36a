"""What `tinyse adapt` gains on the sound of one product and loses elsewhere: noise that no released model has heard.

    python benchmarks/adapt.py make $TINYSE_DATA drilling runs/product
    tinyse adapt --noise runs/product/noise.csv --rehearsal runs/product/rehearsal.csv \\
      --set evaluation.pairs=$TINYSE_DATA/benchmark --output runs/product/adapted
    python benchmarks/adapt.py show runs/product/adapted

`make` takes the recordings of a class, or of a corpus, that the column `ship` keeps from released weights (3 in 5 of them
train, one validates, one is held back) and, as what must not be forgotten, what the released weights were trained on. With
`--speech CORPUS`, the product has talkers of its own, too, divided in the same way, in speech.csv for `tinyse adapt --speech`.
Choose by pairs of the valid split:

    python benchmarks/adapt.py score runs/product runs/product/adapted/adapt/model.safetensors --floats
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import command
import record

from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.evaluation.chain import score
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import TITLES, Table, print_tables
from tinyse.evaluation.statistics import paired
from tinyse.mixtures.pairs import write_pairs
from tinyse.recordings import Manifest, open_data
from tinyse.recordings.manifest import Kind, Recording, Split
from tinyse.recordings.splits import with_splits
from tinyse.released import DEFAULT
from tinyse.streaming.denoiser import Denoiser
from tinyse.training import adaptation

FRACTIONS: dict[Split, float] = {"train": 0.6, "valid": 0.2, "test": 0.2}
GROUPS: dict[Kind, str] = {"noise": "recordings", "speech": "talkers"}
MEASURES = ("own", "general")
METRICS = {"si_sdr": 2, "pesq": 3, "estoi": 3}
"""Measures of `score`, and their decimals."""


def make(data: Path, noise: str, folder: Path, count: int, speech: str | None = None) -> None:
    """Write the manifests of a product's sound and of the rehearsal, and pairs of the valid split to choose by."""
    everything = open_data(data)
    rehearsal = tuple(recording for recording in everything.recordings if recording.ship)
    mine: dict[Kind, tuple[Recording, ...]] = {"noise": _product(everything, "noise", noise)}
    if speech is not None:
        mine["speech"] = _product(everything, "speech", speech)
    for kind, recordings in mine.items():
        replace(everything, recordings=recordings).write(folder / f"{kind}.csv")
        for split in FRACTIONS:
            chosen = [recording for recording in recordings if recording.split == split]
            groups = len({recording.group for recording in chosen})
            print(f"{split}: {groups} {GROUPS[kind]}, {sum(recording.seconds for recording in chosen):.0f} s")
    replace(everything, recordings=rehearsal).write(folder / "rehearsal.csv")
    talkers = mine.get("speech") or tuple(recording for recording in rehearsal if recording.kind == "speech")
    for name, recordings in zip(MEASURES, ((*talkers, *mine["noise"]), rehearsal), strict=True):
        write_pairs(replace(everything, recordings=recordings), folder / "valid" / name, count, "valid")


def _product(everything: Manifest, kind: Kind, name: str) -> tuple[Recording, ...]:
    """Training rows of the class or the corpus that no released model was trained on, nor on another part of the same group,
    in splits. Raises InputError where there is none."""
    heard = {recording.group for recording in everything.recordings if recording.kind == kind and recording.ship}
    chosen = tuple(
        recording
        for recording in everything.select(kind, "train")
        if name in (recording.label, recording.corpus) and not recording.ship and recording.group not in heard
    )
    if not chosen:
        raise InputError(f"{kind}: no class and no corpus {name!r} that is kept from released weights")
    return with_splits(chosen, [recording.path for recording in chosen], FRACTIONS)


def compare(folder: Path, models: Sequence[str], floats: bool, base: str, limit: int | None = None) -> Table:
    """Models on the pairs of the valid split against the base, paired, on noisy and on clean speech."""
    rows = []
    for name in MEASURES:
        backends = {model: _denoise(model, floats) for model in [base, *models]}
        result = score(backends, find_pairs(folder / "valid" / name, limit), tuple(METRICS))
        for model in models:
            changes = (paired(result.quality[base][metric], result.quality[model][metric]) for metric in METRICS)
            clean = paired(result.clean[base]["si_sdr"], result.clean[model]["si_sdr"])
            cells = (each.as_text(decimals, sign="+") for each, decimals in zip(changes, METRICS.values(), strict=True))
            rows.append((name, model, *cells, clean.as_text(sign="+")))
    header = ("pairs", "model", *(TITLES[metric] for metric in METRICS), "clean speech: SI-SDR dB")
    return Table(f"Valid, against {base}", header, tuple(rows), "")


def _denoise(model: str, floats: bool):  # type: ignore[no-untyped-def]
    denoiser = Denoiser(adaptation.find_weights(model) if floats else model)
    return denoiser.denoise_clip if floats else denoiser.denoise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("make")
    step.add_argument("data", type=Path)
    step.add_argument("noise", help="a class of noise, or a corpus")
    step.add_argument("folder", type=Path)
    step.add_argument("--pairs", type=int, default=60)
    step.add_argument("--speech", metavar="CORPUS", help="the product's talkers")
    step = steps.add_parser("score")
    step.add_argument("folder", type=Path)
    step.add_argument("models", nargs="+")
    step.add_argument("--base", default=DEFAULT)
    step.add_argument("--floats", action="store_true")
    step.add_argument("--limit", type=int, help="only the first pairs of each set")
    step = steps.add_parser("show")
    step.add_argument("folder", type=Path)
    record.add_option(step)
    arguments = parser.parse_args()
    if arguments.step == "make":
        make(arguments.data, arguments.noise, arguments.folder, arguments.pairs, arguments.speech)
        return
    if arguments.step == "score":
        table = compare(arguments.folder, arguments.models, arguments.floats, arguments.base, arguments.limit)
    else:
        table = adaptation.table(read_own_json(arguments.folder / adaptation.REPORT, "base", "rows"))
        record.keep(arguments.results, table, "measured")
    from rich.console import Console

    print_tables([table], Console(width=120))


if __name__ == "__main__":
    command.run(main)
