"""How a model does on the sound of strangers: corpora that training and its valid split never heard, talkers and noise alike.

    python benchmarks/elsewhere.py make $TINYSE_DATA runs/elsewhere
    python benchmarks/elsewhere.py score runs/elsewhere/valid --ours student-62k --ours runs/mine/model.safetensors \\
        --onnx $TINYSE_PEERS/ul-unas/ulunas_stream_simple.onnx hann --beside $TINYSE_DATA/benchmark
    python benchmarks/elsewhere.py seeds seed-1.json seed-2.json

`make` takes what no released model was trained or validated on: recordings of the train split whose license keeps weights
from being released (`ship` no; recipes with `ship: true` leave them out). Talkers and sources of noise are halved: choices
are made on valid/, what is reported is test/. talkers/ and noises/ have one kind of these and the other of corpora that
training knows, known/ neither, to tell what a loss comes from. All classes of noise are heard alike. `score` prints means
over all pairs, by corpus of the talkers (against the last row) and by class of noise, and with --beside how much less each
row gains on these pairs than on those. `seeds` takes what `score --json` has written for two models on the same pairs, once
for each seed that they were trained with, and prints what the second has more than the first, by input SNR.
A model that was trained with `ship: false` has heard this sound, and is refused.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import command
import numpy as np
import record
from peers import SHORT, Timed, models_arguments, streams

from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for, header_of
from tinyse.evaluation.chain import NOISY, Backend, Scores, score
from tinyse.evaluation.pairs import LoadedPair, Pair, find_pairs
from tinyse.evaluation.report import DECIMALS, TITLES, Table, as_json, as_markdown, from_json
from tinyse.evaluation.statistics import paired, summarize
from tinyse.files import write_json
from tinyse.mixtures.pairs import write_pairs
from tinyse.recordings import Manifest, Recording, Split, open_data
from tinyse.released import find, find_weights

COMPARED = ("si_sdr", "pesq", "estoi")
HALVES: tuple[Split, ...] = ("valid", "test")


def strangers(manifest: Manifest) -> list[Recording]:
    """The recordings that neither training with `ship: true` nor its valid split has heard, halved between valid and test.

    By corpus and class, talkers and sources alternate, so that each half has some of everything there are two of. A source
    from which anything else was cut as well is left out.
    """
    kept = [
        row for row in manifest.recordings if row.split == "train" and not row.ship and row.kind in ("speech", "noise")
    ]
    known = {row.group for row in manifest.recordings if row.ship or row.split != "train"}
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in sorted(kept, key=lambda row: row.path):
        kin = groups[row.kind, row.corpus if row.kind == "speech" else row.label]
        if row.group not in known and row.group not in kin:
            kin.append(row.group)
    halves = {group: HALVES[place % 2] for kin in groups.values() for place, group in enumerate(kin)}
    return [replace(row, split=halves[row.group]) for row in kept if row.group in halves]


def crossed(manifest: Manifest) -> dict[str, Manifest]:
    """What tells talkers from noises: recordings of the valid half beside those of the valid split that may ship.

    `talkers` has only the speech of the former, `noises` only their noise, and `known` neither.
    """
    known = [row for row in manifest.recordings if row.split == "valid" and row.ship]
    far = [row for row in strangers(manifest) if row.split == "valid"]
    sides = {"known": (known, known), "talkers": (far, known), "noises": (known, far)}
    return {
        name: Manifest(
            manifest.root,
            (*(row for row in speech if row.kind == "speech"), *(row for row in noise if row.kind == "noise")),
        )
        for name, (speech, noise) in sides.items()
    }


def make(data: Path, output: Path, counts: Mapping[Split, int]) -> None:
    """Write valid/ and test/, folders of pairs, with the class of noise of each pair in pairs.csv; then `crossed`."""
    manifest = open_data([data])
    chosen = Manifest(manifest.root, tuple(strangers(manifest)))
    for split, count in counts.items():
        write_pairs(chosen, output / split, count, split, noise_power=0.0)
        kinds: dict[str, set[str]] = {"speech": set(), "noise": set()}
        for row in chosen.recordings:
            if row.split == split:
                kinds[row.kind].add(row.speaker if row.kind == "speech" else row.label)
        print(
            f"{output / split}: {count} pairs, {len(kinds['speech'])} talkers, {len(kinds['noise'])} classes of noise"
        )
    for name, part in crossed(manifest).items():
        write_pairs(part, output / name, counts["valid"], "valid", noise_power=0.0)
        print(f"{output / name}: {counts['valid']} pairs")


def refuse_heard(model: Path) -> None:
    """Raise InputError for a model whose own recipe trained it on sound that may not ship."""
    weights = model.with_suffix(".safetensors")
    recipe = header_of(weights).get("whole_recipe", {}) if weights.is_file() else {}
    if recipe and not recipe.get("ship"):
        raise InputError(f"{model} was trained with ship: false, so it may have heard these talkers and noises")


def rows(arguments: argparse.Namespace, probes: list[LoadedPair]) -> dict[str, Backend]:
    """Every system by name: ours (a .safetensors as a whole clip at once, with the stream's numbers), then the others."""
    found: dict[str, Backend] = {}
    for given in arguments.ours:
        path = find_weights(given) if arguments.floats else find(given)
        refuse_heard(path)
        backend = "float-clip" if path.suffix == ".safetensors" else arguments.engine
        ((kind, stream),) = backends_for(path, names=[backend]).items()
        found[f"{given if not Path(given).suffix else '/'.join(path.parts[-3:-1])}, {kind}"] = stream
    arguments.ours = []
    if arguments.packages or arguments.dtln or arguments.onnx:
        found |= {SHORT.get(name, name): Timed(stream, probes) for name, stream in streams(arguments).items()}
    if not found:
        raise InputError("there is nothing to score: give --ours, --packages, --dtln or --onnx")
    return found


def classes(folder: Path) -> list[str]:
    """The class of noise of each pair: the folder of its recording."""
    return [Path(noise.split(" + ")[0]).parent.name for noise in _column(folder, "noise")]


def corpora(folder: Path) -> list[str]:
    """The corpus of each pair's talker, who is called CORPUS_NUMBER; empty where pairs.csv names none."""
    return [talker.rpartition("_")[0] or talker for talker in _column(folder, "speaker")]


def _column(folder: Path, name: str) -> list[str]:
    """What pairs.csv says of each pair under a title; empty where it has no such title."""
    if not (folder / "pairs.csv").is_file():
        return []
    with open(folder / "pairs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row[name] for row in rows] if rows and name in rows[0] else []


def gains(scores: Scores, name: str, metric: str) -> np.ndarray:
    """What a row adds to each noisy clip."""
    return np.array(scores.quality[name][metric]) - np.array(scores.quality[NOISY][metric])


def overall(scores: Scores) -> Table:
    """Means over all pairs; SI-SDR as the gain over the noisy clip."""
    lines = []
    for name, values in scores.quality.items():
        gain = "0" if name == NOISY else paired(scores.quality[NOISY]["si_sdr"], values["si_sdr"]).as_text()
        clean = "" if name == NOISY else f"{summarize(scores.clean[name]['si_sdr']).mean:.1f}"
        lines.append((name, gain, *(summarize(values[metric]).as_text(3) for metric in COMPARED[1:]), clean))
    header = ("system", "SI-SDR gain dB", *(TITLES[metric] for metric in COMPARED[1:]), "clean dB")
    return Table(
        "All pairs", header, tuple(lines), f"Measured: {len(scores.files)} pairs; ± is the 95 % interval of the mean."
    )


def from_first(scores: Scores) -> list[Table]:
    """What each row has more than the first, pair by pair; no table for one row."""
    first, *others = [name for name in scores.quality if name != NOISY]
    lines = []
    for name in others:
        changes = [paired(scores.quality[first][metric], scores.quality[name][metric]) for metric in COMPARED]
        clean = paired(scores.clean[first]["si_sdr"], scores.clean[name]["si_sdr"])
        decimals = [DECIMALS.get(metric, 2) for metric in (*COMPARED, "si_sdr")]
        lines.append((name, *(each.as_text(n, "+") for each, n in zip((*changes, clean), decimals, strict=True))))
    header = ("system", "SI-SDR dB", *(TITLES[metric] for metric in COMPARED[1:]), "clean dB")
    return [Table(f"Less {first}, pair by pair", header, tuple(lines))] if lines else []


def over_seeds(files: Sequence[Path]) -> Table:
    """What the second model of each file has more than the first: the mean over the files of each pair, then over pairs.

    Raises InputError where a file has other than two models, or other pairs than the first file.
    """
    runs = [_of_two(path) for path in files]
    scored = [(scores.files, scores.snr_db) for scores, _ in runs]
    for path, pairs in zip(files, scored, strict=True):
        if repr(pairs) != repr(scored[0]):  # an SNR that nobody knows is nan, which is not itself
            raise InputError(f"{path} has other pairs than {files[0]}")

    def change(metric: str, kind: str = "quality") -> np.ndarray:
        return np.mean([np.subtract(*(getattr(s, kind)[name][metric] for name in names[::-1])) for s, names in runs], 0)

    def text(metric: str, values: np.ndarray) -> str:
        return summarize(values).as_text(DECIMALS.get(metric, 2), "+")

    changes, level = {metric: change(metric) for metric in COMPARED}, np.array(scored[0][1])
    places = {"all": np.full(len(level), True)}
    places |= {f"{each:g} dB": level == each for each in np.unique(level[np.isfinite(level)])}
    lines = [
        (name, str(here.sum()), *(text(metric, values[here]) for metric, values in changes.items()),
         text("si_sdr", change("si_sdr", "clean")) if name == "all" else "")
        for name, here in places.items()
    ]  # fmt: skip
    header = ("input SNR", "pairs", "SI-SDR dB", *(TITLES[metric] for metric in COMPARED[1:]), "clean dB")
    note = "; ".join(f"{second} less {first}" for _, (first, second) in runs) + "."
    return Table(f"Mean of {len(runs)} seeds", header, tuple(lines), note)


def _of_two(path: Path) -> tuple[Scores, list[str]]:
    """What `score --json` wrote of two models, and their names."""
    try:
        scores = from_json(read_own_json(path))
        names = [name for name in scores.quality if name != NOISY]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} was not written by score --json") from error
    if len(names) != 2:
        raise InputError(f"{path} has {len(names)} models: score two at once")
    return scores, names


def by_class(scores: Scores, labels: list[str]) -> Table:
    """SI-SDR gain in each class of noise, weakest of the first row first."""
    names = [name for name in scores.quality if name != NOISY]
    found = {label: np.array([each == label for each in labels]) for label in sorted(set(labels))}
    means = {label: [gains(scores, name, "si_sdr")[here].mean() for name in names] for label, here in found.items()}
    order = sorted(means, key=lambda label: means[label][0])
    lines = tuple((label, str(found[label].sum()), *(f"{value:+.1f}" for value in means[label])) for label in order)
    return Table("SI-SDR gain in dB by class of noise", ("class", "pairs", *names), lines)


def by_corpus(scores: Scores, folder: Path) -> list[Table]:
    """SI-SDR gain with each corpus of talkers, and against the last row; no table where the talkers are not named."""
    labels = corpora(folder)[: len(scores.files)]
    *names, last = [name for name in scores.quality if name != NOISY]
    lines = []
    for label in sorted(set(labels)):
        here = np.array([each == label for each in labels])
        found = {name: gains(scores, name, "si_sdr")[here] for name in (*names, last)}
        means = (f"{value.mean():+.2f}" for value in found.values())
        leads = (paired(found[last], found[name]).as_text(sign="+") for name in names)
        lines.append((label, str(here.sum()), *means, *leads))
    header = ("talkers", "pairs", *names, last, *(f"{name}: against {last}" for name in names))
    title = f"SI-SDR gain in dB by corpus of the talkers, {folder.name}"
    return [Table(title, header, tuple(lines))] if lines else []


def gap(here: Scores, beside: Scores) -> Table:
    """What each row gains less on these pairs than on those beside, and that less what the last row does."""
    names = [name for name in here.quality if name != NOISY]
    gaps = {
        name: float(np.mean(gains(beside, name, "si_sdr")) - np.mean(gains(here, name, "si_sdr"))) for name in names
    }
    lines = tuple((name, f"{gaps[name]:+.2f}", f"{gaps[name] - gaps[names[-1]]:+.2f}") for name in names)
    return Table(
        "SI-SDR gain on the pairs beside less that on these",
        ("system", "gap dB", f"less the gap of {names[-1]}"),
        lines,
    )


def kept(table: Table, gaps: Table | None) -> Table:
    """What pages quote: the means over all pairs and, where it is known, the gap to others."""
    if gaps is None:
        return table
    found = {row[0]: row[1:] for row in gaps.rows}
    rows = tuple((*row, *found.get(row[0], ("", ""))) for row in table.rows)
    return Table(table.title, (*table.header, *gaps.header[1:]), rows, table.note)


def _scored(backends: Mapping[str, Backend], pairs: Iterable[Pair | LoadedPair]) -> Scores:
    result = score(backends, pairs, COMPARED, progress=lambda: print(".", end="", file=sys.stderr, flush=True))
    print(file=sys.stderr)
    return result


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = result.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the pairs")
    making.add_argument("data", type=Path, help="recordings with columns ship and split")
    making.add_argument("output", type=Path, help="folder for valid/, test/, known/, talkers/ and noises/")
    making.add_argument("--count", type=int, default=165, help="pairs of each half [165]")
    joining = commands.add_parser("seeds", help="join the scores of two models that were trained with several seeds")
    joining.add_argument("files", type=Path, nargs="+", help="what `score --json` has written of the two, one a seed")
    scoring = commands.add_parser("score", help="score systems on one half")
    scoring.add_argument("pairs", type=Path, help="valid/ for a choice, test/ for a report")
    models_arguments(scoring, packages="")
    scoring.add_argument(
        "--floats", action="store_true", help="the weights of released models in place of their .tflite"
    )
    scoring.add_argument("--beside", type=Path, help="other pairs, to tell what is lost from those to these")
    scoring.add_argument("--json", type=Path, help="write all scores here")
    record.add_option(scoring)
    return result


def main() -> None:
    """Make, score or join."""
    arguments = parser().parse_args()
    if arguments.command == "make":
        make(arguments.data, arguments.output, dict.fromkeys(HALVES, arguments.count))
        return
    if arguments.command == "seeds":
        print(as_markdown([over_seeds(arguments.files)]))
        return
    pairs = find_pairs(arguments.pairs, arguments.limit)
    probes = [pair.load() for pair in pairs if (pair.snr_db or 0) >= 10][:8]
    backends = rows(arguments, probes)
    here = _scored(backends, pairs)
    labels = classes(arguments.pairs)[: len(pairs)]
    tables = [overall(here), *from_first(here), *by_corpus(here, arguments.pairs), by_class(here, labels)]
    gaps = None
    if arguments.beside:
        beside = _scored(backends, find_pairs(arguments.beside, arguments.limit))
        gaps = gap(here, beside)
        tables += [*by_corpus(beside, arguments.beside), gaps]
    record.keep(arguments.results, kept(tables[0], gaps), "measured")
    if arguments.json:
        write_json(arguments.json, as_json(here))
    print(as_markdown(tables))


if __name__ == "__main__":
    command.run(main)
