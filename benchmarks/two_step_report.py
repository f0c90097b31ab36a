"""The report of `two_step.py`: Markdown tables, JSON and a picture of whatever is finished, and what is missing."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from findings import two_step
from intervals import Picture, draw
from two_step_plan import BASELINE, Comparison, Run, baseline, finalists, last_stage, planned, title

from tinyse.config import as_dict
from tinyse.errors import InputError
from tinyse.evaluation.chain import NOISY, Scores
from tinyse.evaluation.report import DECIMALS, TITLES, Table, as_markdown, from_json, plain
from tinyse.evaluation.statistics import Summary, paired, summarize
from tinyse.files import write_json, write_text

GAINS = ("sdr", "si_sdr")
"""Measures of which the improvement over the unprocessed clip is shown; of the others their value."""
METRICS = (*GAINS, "pesq", "estoi")
PAPER = {
    ("teacher", "teacher"): 8.65,
    ("student-62k", "supervised"): 6.34,
    ("student-62k", "output"): 6.35,
    ("student-62k", "two-step-frame"): 6.77,
    ("student-30k", "supervised"): 4.42,
    ("student-30k", "two-step-frame"): 5.52,
}
"""Mean SDR improvements in dB that arXiv 2309.08144 prints (about 60 k and 30 k parameters, DNS data, two million updates)."""


@dataclass(frozen=True)
class Result:
    """A finished run."""

    run: Run
    parameters: int
    updates: dict[str, int]
    """By stage; empty for a teacher that was given."""
    training_hours: float | None
    valid: dict[str, float]
    """Gains in dB on the valid split, `sdr_gain_db` and `si_sdr_gain_db`."""
    scores: Scores

    @classmethod
    def read(cls, path: Path) -> Result:
        """The result in a file. Raises InputError for one that is broken."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**facts, "run": Run(**facts["run"]), "scores": from_json(facts["scores"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} is not a result of two_step.py: remove it and run the comparison again"
            ) from error

    def values(self, metric: str) -> np.ndarray:
        """One value per pair: the improvement for SDR and SI-SDR, else the measure itself."""
        quality = self.scores.quality
        values = np.array(next(row for backend, row in quality.items() if backend != NOISY)[metric])
        return values - np.array(quality[NOISY][metric]) if metric in GAINS else values


class Findings:
    """Results by model and schedule, with seeds averaged pair by pair before anything is summarized."""

    def __init__(self, comparison: Comparison, results: Mapping[Run, Result]) -> None:
        self.comparison, self.results = comparison, dict(results)
        if len({tuple(result.scores.files) for result in self.results.values()}) > 1:
            raise InputError(f"{comparison.output}: runs were scored on different pairs; run the comparison once more")
        self.valid = {run: result.valid["sdr_gain_db"] for run, result in self.results.items()}
        levels = {level for result in self.results.values() for level in result.scores.snr_db}
        self.levels = sorted(level for level in levels if math.isfinite(level))

    def schedules(self, model: str) -> list[str]:
        """The model's schedules that have a result, in the comparison's order."""
        return [name for name in self.comparison.schedules if self.seeds(model, name)]

    def seeds(self, model: str, schedule: str) -> list[int]:
        """Seeds of which there is a result."""
        return [run.seed for run in self.results if (run.model, run.schedule) == (model, schedule)]

    def values(self, model: str, schedule: str, metric: str, seeds: Sequence[int] | None = None) -> np.ndarray:
        """One value per pair, the mean over seeds."""
        chosen = self.seeds(model, schedule) if seeds is None else seeds
        return np.mean([self.results[Run(model, schedule, seed)].values(metric) for seed in chosen], axis=0)

    def at(self, level: float | None) -> np.ndarray:
        """Which pairs have that input SNR; all of them for None."""
        snr_db = np.array(next(iter(self.results.values())).scores.snr_db)
        return np.full(len(snr_db), True) if level is None else snr_db == level

    def summary(self, model: str, schedule: str, metric: str, level: float | None = None) -> Summary:
        """Mean over pairs with its interval."""
        return summarize(self.values(model, schedule, metric)[self.at(level)])

    def difference(self, model: str, schedule: str, metric: str, level: float | None = None) -> Summary | None:
        """A schedule against the supervised baseline of the same model, pair by pair, over the seeds that both have."""
        base = self.baseline(model)
        both = [seed for seed in self.seeds(model, schedule) if seed in self.seeds(model, base)]
        if not both or schedule == base:
            return None
        chosen = self.at(level)
        before, after = (self.values(model, name, metric, both)[chosen] for name in (base, schedule))
        return paired(before, after)

    @property
    def missing(self) -> list[str]:
        """What the comparison plans and has not done yet."""
        plan = planned(self.comparison, self.valid)
        lines = [" ".join(map(str, run)) for run in plan if run not in self.results]
        for student in self.comparison.students:
            if len(self.comparison.seeds) > 1 and not self.finalists(student):
                lines.append(f"{student}: further seeds, whose schedules are chosen when its first seed is complete")
        return lines

    def finalists(self, student: str) -> list[str]:
        """The student's schedules that get further seeds, once its first seed is complete."""
        return finalists(self.comparison.schedules, self.first_seed(student))

    def baseline(self, student: str) -> str:
        """What the student's schedules are compared with."""
        return baseline(self.comparison.schedules, self.first_seed(student))

    def first_seed(self, student: str) -> dict[str, float]:
        """Valid scores of the student's schedules under the first seed."""
        first = self.comparison.seeds[0]
        return {run.schedule: value for run, value in self.valid.items() if (run.model, run.seed) == (student, first)}


def write_report(comparison: Comparison, results: Mapping[Run, Result]) -> str:
    """Write two_step.md, two_step.json and, once there is a difference, two_step.svg. Returns the Markdown."""
    findings = Findings(comparison, results)
    folder = Path(comparison.output)
    text = markdown(findings)
    write_text(folder / "two_step.md", text)
    write_json(folder / "two_step.json", as_json(findings))
    if any(len(findings.schedules(student)) > 1 for student in comparison.students):
        write_text(folder / "two_step.svg", draw(picture(findings)))
    return text


def markdown(findings: Findings) -> str:
    """All tables, after what was compared and what is missing."""
    comparison = findings.comparison
    stage = last_stage(comparison.base)
    architecture = comparison.teacher if isinstance(comparison.teacher, str) else as_dict(comparison.teacher)
    hours = sum(result.training_hours or 0 for result in findings.results.values())
    lines = [
        "## Two-step distillation against its alternatives",
        "",
        f"Every student: {comparison.updates} updates of {stage.batch} clips of {stage.seconds:g} s; the first of two steps "
        f"takes {100 * comparison.distill_share:g} % of them, unless its name says otherwise. Teacher: {architecture}"
        + ("." if comparison.trained_teacher else f", {comparison.teacher_updates} updates."),
        f"Training took {hours:.1f} hours so far ({comparison.base.threads} threads, {os.cpu_count()} cores, "
        f"{platform.platform()}; other work on them included).",
        "Scores are of the float model on the benchmark; SDR is the plain ratio. ± is the 95 % interval of the mean over "
        "pairs (t), seeds averaged first: it holds the luck of the pairs, not that of the training. Finalists were chosen "
        "by SDR on the valid split.",
        "",
        "Missing: " + ("nothing." if not findings.missing else f"{len(findings.missing)} runs or groups of runs."),
        *(f"- {line}" for line in findings.missing),
        "",
    ]
    found = [table for table in (*summaries(findings), *by_snr(findings), *seeds(findings)) if table.rows]
    return "\n".join(lines) + "\n" + as_markdown(found)


def summaries(findings: Findings) -> list[Table]:
    """The whole benchmark in a table, and the difference of every schedule to the baseline in another."""
    teacher = findings.comparison.teacher_run
    rows, differences = [], []
    if findings.results:
        noisy = next(iter(findings.results.values())).scores.quality[NOISY]
        cells = ("0" if metric in GAINS else cell(metric, summarize(noisy[metric])) for metric in METRICS)
        rows.append(("unprocessed", "", "", "", "0", *cells, ""))
    for model, schedule in _rows(findings):
        result = next(r for run, r in findings.results.items() if run[:2] == (model, schedule))
        valid = np.mean([r.valid["sdr_gain_db"] for run, r in findings.results.items() if run[:2] == (model, schedule)])
        cells = tuple(cell(metric, findings.summary(model, schedule, metric)) for metric in METRICS)
        quoted = PAPER.get((model, schedule))
        count = str(len(findings.seeds(model, schedule)))
        label = (model, "" if model == teacher.model else title(schedule), f"{result.parameters:,}", count)
        rows.append((*label, f"{valid:.2f}", *cells, f"{quoted:.2f}" if quoted else ""))
        if findings.difference(model, schedule, "sdr"):
            change = (cell(metric, findings.difference(model, schedule, metric), "+") for metric in METRICS)
            base = PAPER.get((model, BASELINE))  # the paper has one
            theirs = f"{quoted - base:+.2f}" if quoted and base else ""
            differences.append((model, title(schedule), count, *change, theirs))
    return [
        Table(
            "All pairs",
            (
                "model",
                "schedule",
                "parameters",
                "seeds",
                "valid SDR gain dB",
                *map(heading, METRICS),
                "paper's SDR gain",
            ),
            tuple(rows),
            "The paper's column is quoted: other data, another SDR, two million updates; compare differences.",
        ),
        Table(
            "Against supervised only, pair by pair",
            ("model", "schedule", "seeds", *(TITLES[metric] for metric in METRICS), "paper's SDR"),
            tuple(differences),
            "Supervised only at the rate that is best on the valid split; seeds that both have. A difference is more than "
            "luck of the pairs where its interval leaves out zero.",
        ),
    ]


def quoted(findings: Findings, level: float | None = None) -> Table:
    """What pages quote: SDR of each schedule, students side by side, over all pairs or those of one input SNR."""
    students = findings.comparison.students
    header = ["schedule"]
    for student in students:
        header += [f"{student}: SDR gain dB", f"{student}: against supervised only", f"{student}: seeds"]
    rows = []
    for schedule in findings.comparison.schedules:
        row = [title(schedule)]
        for student in students:
            if not findings.seeds(student, schedule):
                row += ["", "", ""]
                continue
            change = findings.difference(student, schedule, "sdr", level)
            gain = findings.summary(student, schedule, "sdr", level)
            row += [cell("sdr", gain), cell("sdr", change, "+") if change else ""]
            row.append(str(len(findings.seeds(student, schedule))))
        rows.append(tuple(row))
    return Table("SDR by schedule", tuple(header), tuple(rows))


def by_snr(findings: Findings) -> list[Table]:
    """A table for each measure: rows are schedules, columns are input SNRs."""
    tables = []
    for metric in METRICS:
        rows = []
        for model, schedule in _rows(findings):
            cells = []
            for level in findings.levels:
                difference = findings.difference(model, schedule, metric, level)
                cells.append(cell(metric, findings.summary(model, schedule, metric, level)))
                cells[-1] += f" ({cell(metric, difference, '+')})" if difference else ""
            label = (model, "" if model == findings.comparison.teacher_run.model else title(schedule))
            rows.append((*label, *cells))
        header = ("model", "schedule", *(f"{level:g} dB" for level in findings.levels))
        tables.append(
            Table(
                f"{heading(metric)} by input SNR",
                header,
                tuple(rows),
                "In parentheses: against supervised only, pair by pair.",
            )
        )
    return tables


def seeds(findings: Findings) -> list[Table]:
    """Every run by itself: how much of a difference is the seed's."""
    rows = []
    for run, result in findings.results.items():
        base = findings.baseline(run.model)
        same = findings.results.get(Run(run.model, base, run.seed))
        against = ""
        if same and run.schedule != base and run != findings.comparison.teacher_run:
            against = cell("sdr", paired(same.values("sdr"), result.values("sdr")), "+")
        gains = (cell(metric, summarize(result.values(metric))) for metric in METRICS)
        hours = "" if result.training_hours is None else f"{result.training_hours:.2f}"
        updates = " + ".join(map(str, result.updates.values()))
        valid = f"{result.valid['sdr_gain_db']:.2f}"
        rows.append((run.model, run.schedule, str(run.seed), updates, hours, valid, *gains, against))
    facts = ("model", "schedule", "seed", "updates", "hours", "valid SDR gain dB")
    header = (*facts, *map(heading, METRICS), "SDR against supervised only")
    return [Table("Run by run", header, tuple(rows), "The last column compares with the baseline of the same seed.")]


def as_json(findings: Findings) -> dict[str, Any]:
    """Everything in the tables as numbers, and every single value."""
    comparison = findings.comparison
    rows = []
    for model, schedule in _rows(findings):
        row: dict[str, Any] = {"model": model, "schedule": schedule, "seeds": findings.seeds(model, schedule)}
        for level in (None, *findings.levels):
            row["all" if level is None else f"{level:g}"] = {
                metric: {
                    "value": findings.summary(model, schedule, metric, level),
                    "against_supervised": findings.difference(model, schedule, metric, level),
                }
                for metric in METRICS
            }
        rows.append(row)
    return plain(
        {
            "interval": "95 %, Student's t over pairs, seeds averaged first; differences are paired",
            "measures": {metric: "improvement" if metric in GAINS else "value" for metric in METRICS},
            "comparison": as_dict(comparison),
            "finalists": {student: findings.finalists(student) for student in comparison.students},
            "missing": findings.missing,
            "paper_sdr_gain_db": [{"model": m, "schedule": s, "value": value} for (m, s), value in PAPER.items()],
            "rows": rows,
            "runs": [
                {
                    **result.run._asdict(),
                    "parameters": result.parameters,
                    "updates": result.updates,
                    "training_hours": result.training_hours,
                    "valid": result.valid,
                    "by_pair": {metric: result.values(metric).tolist() for metric in METRICS},
                }
                for result in findings.results.values()
            ],
        }
    )


def picture(findings: Findings) -> Picture:
    """Every schedule against supervised only, over all pairs and at the lowest input SNR."""
    shown = [("all pairs", quoted(findings))]
    if len(findings.levels) > 1:
        shown.append((f"{findings.levels[0]:g} dB input SNR", quoted(findings, findings.levels[0])))
    return two_step(shown)


def heading(metric: str) -> str:
    """A measure's name over a column."""
    return TITLES[metric].replace(" dB", " gain dB") if metric in GAINS else TITLES[metric]


def cell(metric: str, summary: Summary | None, sign: str = "") -> str:
    """A mean and its interval as text."""
    return "-" if summary is None else summary.as_text(DECIMALS.get(metric, 2), sign)


def _rows(findings: Findings) -> list[tuple[str, str]]:
    """Model and schedule of every row: the teacher, then the students."""
    teacher = findings.comparison.teacher_run
    first = [(teacher.model, teacher.schedule)] if teacher in findings.results else []
    return first + [(name, schedule) for name in findings.comparison.students for schedule in findings.schedules(name)]
