"""The comparison of arXiv 2309.08144 on our data: does distilling first and supervising afterwards make a better student?

    python benchmarks/two_step.py --data $TINYSE_DATA                  # runs, or resumes where it was stopped
    python benchmarks/two_step.py --output runs/two_step --report        # only the report of what is finished

One teacher, then students under each schedule with the same number of updates, then further seeds of the finalists: the
best two-step schedule and the best other one on the valid split, and the supervised baseline. After every run the folder
--output holds two_step.md, two_step.json and two_step.svg of what is finished; what is missing is listed. By default
three to four hours of one core. The benchmark's pairs are scored, and no choice looks at them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

# Threads that spin while they wait take the core from the process that mixes; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import command
import record
import yaml
from two_step_plan import SCHEDULES, Comparison, Run, last_stage, planned, recipe
from two_step_report import GAINS, Findings, Result, quoted, write_report

from tinyse.commands.screen import Screen
from tinyse.config import as_dict, build, convert
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for
from tinyse.evaluation.chain import NOISY, score
from tinyse.evaluation.pairs import LoadedPair, find_pairs, require_own_pairs
from tinyse.evaluation.report import as_json
from tinyse.evaluation.statistics import paired
from tinyse.files import write_json
from tinyse.mixtures import valid_mixtures
from tinyse.models.architecture import Architecture
from tinyse.models.files import load_model
from tinyse.models.network import parameters
from tinyse.recipe import Recipe
from tinyse.recordings import open_data
from tinyse.spectra.picture import require_matplotlib
from tinyse.training.finish import newer
from tinyse.training.recipe import load_recipe
from tinyse.training.run import run as train

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "student-62k.yaml"
SETTINGS = "comparison.json"
VARIANT = "two-step-bin@share=0.4@rate=16e-3@then=8e-3@layers=gru+decoder or supervised@rate=8e-3"
BACKEND = "float-clip"
"""The whole clip at once: the float stream's numbers (tests/test_engines.py) in a fraction of its time."""


def compare(comparison: Comparison, screen: Screen) -> None:
    """Run what is not finished, in order, and report after each. Finished runs are checked to be this comparison's."""
    require_matplotlib()
    write_json(Path(comparison.output) / SETTINGS, as_dict(comparison))
    results: dict[Run, Result] = {}
    while True:
        valid = {run: result.valid["sdr_gain_db"] for run, result in results.items()}
        plan = planned(comparison, valid)
        waiting = [run for run in plan if run not in results]
        if not waiting:
            break
        screen.say(f"[{len(results) + 1} of {len(plan)}] {' '.join(map(str, waiting[0]))}")
        results[waiting[0]], new = finish(comparison, waiting[0], screen)
        if new:
            write_report(comparison, results)
    screen.say(write_report(comparison, results))


def finish(comparison: Comparison, run: Run, screen: Screen) -> tuple[Result, bool]:
    """Train what is left of a run and score it; also whether there was anything to score."""
    given = comparison.trained_teacher if run == comparison.teacher_run else None
    steps = None if given else recipe(comparison, run)
    model = given or train(steps, screen.show, screen.say)
    folder = comparison.folder(run)
    pairs = find_pairs(require_own_pairs(comparison.base.data_paths), comparison.pairs or None)
    path = folder / "result.json"
    if newer(path, model):
        result = Result.read(path)
        if len(result.scores.files) == len(pairs):
            return result, False
    network, _, _ = load_model(model)
    facts = {
        "run": run._asdict(),
        "parameters": parameters(network),
        "updates": {name: stage.updates for name, stage in steps.stages.items()} if steps else {},
        "training_hours": training_hours(steps) if steps else None,
        "valid": valid_scores(model, comparison.base),
        "scores": as_json(score(backends_for(model, names=[BACKEND]), pairs)),
    }
    write_json(path, facts)
    return Result.read(path), True


def valid_scores(model: Path, base: Recipe) -> dict[str, float]:
    """Mean gains in dB of a model's kept weights over the valid mixtures: what the finalists are chosen by.

    A stage's own valid loss will not do: it has other terms under every schedule.
    """
    mixtures = valid_mixtures(open_data(base.data_paths), base.valid_clips, last_stage(base).seconds)
    pairs = [LoadedPair(f"valid {index}", m.clean, m.noisy, math.nan) for index, m in enumerate(mixtures)]
    quality = score(backends_for(model, names=[BACKEND]), pairs, GAINS).quality
    before, after = quality[NOISY], next(row for backend, row in quality.items() if backend != NOISY)
    return {f"{metric}_gain_db": paired(before[metric], after[metric]).mean for metric in GAINS}


def training_hours(steps: Recipe) -> float:
    """Hours that a recipe's stages took, at the rate that the last process of each logged."""
    seconds = 0.0
    for name, stage in steps.stages.items():
        lines = (Path(steps.output) / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
        rate = json.loads(lines[-1])["audio_seconds_per_second"]
        seconds += stage.updates * stage.batch * stage.seconds / max(rate, 0.1)
    return round(seconds / 3600, 3)


def finished(comparison: Comparison) -> dict[Run, Result]:
    """The results that lie in the comparison's folder, of runs that it plans."""
    results: dict[Run, Result] = {}
    while True:
        valid = {run: result.valid["sdr_gain_db"] for run, result in results.items()}
        paths = {run: comparison.folder(run) / "result.json" for run in planned(comparison, valid)}
        new = {run: Result.read(path) for run, path in paths.items() if run not in results and path.is_file()}
        if not new:
            return results
        results |= new


def begun(output: str) -> Comparison | None:
    """The comparison that fills this folder, if there is one."""
    path = Path(output) / SETTINGS
    if not path.is_file():
        return None
    try:
        return build(Comparison, json.loads(path.read_text(encoding="utf-8")), str(path))
    except ValueError as error:
        raise InputError(f"{path} is no comparison's file: {error}; use another --output") from error


def chosen(arguments: argparse.Namespace) -> Comparison:
    """The comparison that the command line asks for."""
    before = begun(arguments.output)
    if arguments.report:
        if before is None:
            raise InputError(f"{arguments.output} holds no comparison to report: run it without --report first")
        return before
    # A recipe that is edited while a comparison runs must not split it in two: the folder remembers its own.
    base = before.base if before and arguments.recipe is None else load_recipe(arguments.recipe or RECIPE)
    changes = {"data": arguments.data, "threads": arguments.threads, "workers": arguments.workers}
    base = dataclasses.replace(base, **{key: value for key, value in changes.items() if value is not None})
    names = [field.name for field in dataclasses.fields(Comparison) if field.name not in ("base", "output")]
    return Comparison(base, arguments.output, **{name: getattr(arguments, name) for name in names})


def parser() -> argparse.ArgumentParser:
    """The command line; every default is that of `Comparison` or of the recipe."""
    defaults = {field.name: field.default for field in dataclasses.fields(Comparison)}
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def option(flag: str, type: Any, default: Any, help: str) -> None:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        result.add_argument(flag, type=type, default=default, help=help + ("" if default is None else f" [{shown}]"))

    data = os.environ.get("TINYSE_DATA", "built-in")
    option("--data", str, data, "recordings with splits and a folder benchmark/, or built-in; by default $TINYSE_DATA")
    option("--output", str, "runs/two_step", "folder of all runs and of the report")
    option(
        "--recipe", Path, None, f"mixing, batch, rate, losses; by default recipes/{RECIPE.name}, once begun the same"
    )
    option("--students", _names, defaults["students"], "names of models")
    known = f"of {', '.join(SCHEDULES)}, in the order of running; they take settings, as in {VARIANT}"
    option("--schedules", _names, defaults["schedules"], known)
    option("--seeds", _numbers, defaults["seeds"], "the first for all schedules, the others for the finalists")
    option("--updates", int, defaults["updates"], "of every student")
    option("--distill-share", float, defaults["distill_share"], "share of the updates in the first of two steps")
    result.add_argument(
        "--teacher-model", dest="teacher", type=_teacher, default=defaults["teacher"], metavar="MODEL",
        help="a name, widths (the default: '{channels: [24, 40, 64, 64], groups: 4, shared_gru: [3]}') or a .safetensors",
    )  # fmt: skip
    option("--teacher-updates", int, defaults["teacher_updates"], "of the teacher")
    option("--teacher-learning-rate", float, defaults["teacher_learning_rate"], "the teacher's highest rate")
    option("--similarity", float, defaults["similarity"], "factor of the similarity losses in the weighted mixtures")
    option("--output-weight", float, defaults["output_weight"], "weight of output distillation")
    option("--pairs", int, defaults["pairs"], "score only the first pairs; 0 is all")
    option("--threads", int, 1, "threads of training")
    option("--workers", int, None, "processes that mix; by default the recipe's")
    result.add_argument("--report", action="store_true", help="train nothing: report what is finished in --output")
    return result


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(name) for name in _names(text))


def _teacher(text: str) -> str | Architecture:
    try:
        return convert(str | Architecture, yaml.safe_load(text), "--teacher-model")
    except yaml.YAMLError as error:
        raise InputError(f"--teacher-model {text}: no readable YAML") from error


def main() -> None:
    """Compare, or report."""
    arguments = parser().parse_args()
    comparison = chosen(arguments)
    if comparison.trained_teacher and not comparison.trained_teacher.is_file():
        raise InputError(f"--teacher-model: there is no model file {comparison.trained_teacher}")
    if arguments.report:
        results = finished(comparison)
        print(write_report(comparison, results))
        found = Findings(comparison, results)
        record.keep(arguments.results, quoted(found), "measured")
        if arguments.results and found.levels:
            record.keep(f"{arguments.results} at the lowest SNR", quoted(found, found.levels[0]), "measured")
        return
    with Screen() as screen:
        compare(comparison, screen)


if __name__ == "__main__":
    command.run(main, resumes=True)
