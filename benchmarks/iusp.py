"""The comparison of arXiv 2009.01759 on our data: what does a tagger learn from the similarities of its teacher's frames?

    python benchmarks/iusp.py --data $TINYSE_DATA/tagging         # runs, or resumes where it was stopped
    python benchmarks/iusp.py --output runs/iusp --report           # only the report of what is finished

Students of three sizes under five objectives (labels alone; with the teacher's output; with SP; with IUSP; with both),
each on every fold of the training part left out in turn and with every seed, all in one run on a weighted sum, as the
paper has it. The folds 1 to 3 are trained on and scored in turn; fold 4 is the valid part: learning rates and weights
were chosen on it, and no figure of the report comes from it. After every run --output holds iusp.md, iusp.json and
iusp.svg of what is finished. By default about 50 minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

# Threads that spin while they wait take the core from another process; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import command
import record
from iusp_report import METHODS, SIZES, Findings, Result, Run, quoted, write_report

from tinyse.commands.screen import Screen
from tinyse.distillation.objective import Distillation
from tinyse.evaluation.tag_backends import float_tags, quantized_tags
from tinyse.evaluation.tags import TagScores
from tinyse.export import export_model
from tinyse.files import write_json
from tinyse.models.files import load_model
from tinyse.models.network import parameters
from tinyse.progress import silent
from tinyse.recipe import Recipe
from tinyse.tasks.tagging import Tagging, fixed_mixtures
from tinyse.training.recipe import recipe_from
from tinyse.training.run import run as train

FOLDS = ("1", "2", "3")
VALID = "4"
LAYERS = ("encoder_4", "gru")
"""The last convolution and the recurrent layer, before pooling."""
OBJECTIVES: dict[str, dict[str, Any]] = {
    "none": {},
    "output": {"output": 10.0},
    "sp": {"views": {"batch": 10.0}, "layers": LAYERS},
    "iusp": {"views": {"utterance": 300.0}, "layers": LAYERS},
    "sp+iusp": {"views": {"batch": 10.0, "utterance": 300.0}, "layers": LAYERS},
}
"""Weights beside 1 for the binary cross-entropy, chosen on fold 4 with folds 1 and 2, tagger-medium and seed 0."""
INTEGERS = ("none", "iusp")
"""Methods whose students of the first seed are exported, too."""


def recipe(run: Run, arguments: argparse.Namespace) -> Recipe:
    """The recipe of one run: its test fold is the one that is left out of folds 1 to 3."""
    teacher = run.method == "teacher"
    stage = {
        "model": f"tagger-{run.size}",
        "updates": arguments.teacher_updates if teacher else arguments.updates,
        "batch": 16,
        "seconds": 3.0,
        "learning_rate": 5e-3 if teacher else 1.5e-2,
        "average": 0.98,
        "valid_every": 10_000,  # one look, at the end: nothing is chosen by it
        "losses": {"binary_cross_entropy": 1.0},
    }
    if not teacher and OBJECTIVES[run.method]:
        path = folder(Run("teacher", "teacher", run.fold, 0), arguments) / "train" / "model.safetensors"
        stage["distillation"] = Distillation(teacher=str(path), **OBJECTIVES[run.method])
    values = {
        "task": "tagging",
        "data": arguments.data,
        "output": str(folder(run, arguments)),
        "seed": run.seed,
        "tagging": {"train": [fold for fold in FOLDS if fold != run.fold], "valid": [VALID], "test": [run.fold]},
        "front_end": {"window_ms": 64.0, "hop_ms": 32.0, "bands": 64, "linear_hz": 500.0},
        "valid_clips": 32,
        "precision": "32-true",
        "threads": 1,
        "workers": 0,
        "stages": {"train": stage},
    }
    return recipe_from(values)


def folder(run: Run, arguments: argparse.Namespace) -> Path:
    """Where a run lies."""
    return Path(arguments.output) / "runs" / f"{run.size}-{run.method}-fold{run.fold}-seed{run.seed}"


def planned(arguments: argparse.Namespace) -> list[Run]:
    """Teachers first, then seed by seed and fold by fold, so that an early report has every method and size."""
    runs = [Run("teacher", "teacher", fold, 0) for fold in FOLDS]
    for seed in range(arguments.seeds):
        for fold in FOLDS:
            runs += [Run(size, method, fold, seed) for size in SIZES for method in METHODS]
    return runs


def finish(run: Run, arguments: argparse.Namespace, screen: Screen) -> Result:
    """Train what is left of a run and score it."""
    chosen, path = recipe(run, arguments), folder(run, arguments) / "result.json"
    started = time.process_time()
    model = train(chosen, silent, silent)
    if path.is_file():
        return Result.read(path)
    options = Tagging.options_of(chosen)
    clips, labels, classes = fixed_mixtures(chosen.data_paths[0], options, "test", options.test_clips)
    scores = TagScores.of(float_tags(model, clips), labels, classes)
    quantized = None
    if run.method in INTEGERS and run.seed == 0:
        exported = export_model(model, Tagging.calibration(chosen, chosen.export.clips))
        quantized = TagScores.of(quantized_tags(exported.quantized, clips), labels, classes)
    network, _, header = load_model(model)
    result = Result(
        run=run,
        parameters=parameters(network),
        micro_auprc=scores.micro_auprc,
        macro_auprc=scores.macro_auprc,
        mean_average_precision=scores.mean_average_precision,
        average_precision=scores.average_precision,
        clips=scores.clips,
        int8_micro_auprc=quantized.micro_auprc if quantized else None,
        updates=header["update"],
        cpu_seconds=round(time.process_time() - started, 1),
    )
    write_json(path, result.as_json())
    screen.say(f"{' '.join(map(str, run))}: micro AUPRC {result.micro_auprc:.3f}, mAP "
               f"{result.mean_average_precision:.3f}, {result.cpu_seconds:.0f} s of CPU")  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    clips = os.path.join(os.environ.get("TINYSE_DATA", "."), "tagging")
    parser.add_argument("--data", default=clips, help=f"clips with labels and the folds 1 to 4 [{clips}]")
    parser.add_argument("--output", default="runs/iusp", help="folder of runs and report")
    parser.add_argument("--seeds", type=int, default=2, help="of students; teachers have seed 0")
    parser.add_argument("--updates", type=int, default=300, help="of a student")
    parser.add_argument("--teacher-updates", type=int, default=600)
    parser.add_argument("--report", action="store_true", help="only report what is finished")
    record.add_option(parser)
    arguments = parser.parse_args()
    plan, results = planned(arguments), {}
    for number, run in enumerate(plan):
        path = folder(run, arguments) / "result.json"
        if arguments.report:
            if path.is_file():
                results[run] = Result.read(path)
            continue
        with Screen() as screen:
            screen.say(f"[{number + 1} of {len(plan)}]")
            results[run] = finish(run, arguments, screen)
        write_report(Path(arguments.output), results, plan)
    print(write_report(Path(arguments.output), results, plan))
    record.keep(arguments.results, quoted(Findings(results)), "measured")


if __name__ == "__main__":
    command.run(main, resumes=True)
