"""The report of `iusp.py`: Markdown tables, JSON and a picture of whatever is finished, and what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from findings import iusp
from intervals import draw

from tinyse.errors import InputError
from tinyse.evaluation.report import Table, as_markdown, plain
from tinyse.evaluation.statistics import Summary, paired, summarize
from tinyse.files import write_json, write_text

SIZES = ("small", "medium", "large")
METHODS = ("none", "output", "sp", "iusp", "sp+iusp")
TITLES = {
    "none": "labels only",
    "output": "+ output distillation",
    "sp": "+ SP",
    "iusp": "+ IUSP",
    "sp+iusp": "+ SP + IUSP",
    "teacher": "teacher",
}
METRICS = {"micro_auprc": "micro AUPRC", "macro_auprc": "macro AUPRC", "mean_average_precision": "mAP"}


class Run(NamedTuple):
    """One training. `fold` is the one that is left out and scored."""

    size: str
    method: str
    fold: str
    seed: int


@dataclass(frozen=True)
class Result:
    """A finished run, scored on the fixed mixtures of the fold that was left out."""

    run: Run
    parameters: int
    micro_auprc: float
    macro_auprc: float
    mean_average_precision: float
    average_precision: dict[str, float]
    clips: int
    int8_micro_auprc: float | None
    """Of the exported quantized model on the same mixtures, where they were made."""
    updates: int
    cpu_seconds: float

    def as_json(self) -> dict[str, Any]:
        """What `read` takes."""
        return {**asdict(self), "run": self.run._asdict()}

    @classmethod
    def read(cls, path: Path) -> Result:
        """The result in a file. Raises InputError for one that is broken."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**facts, "run": Run(**facts["run"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a result of iusp.py: remove it and run the comparison again") from error


class Findings:
    """Results by size and method."""

    def __init__(self, results: Mapping[Run, Result]) -> None:
        self.results = dict(results)

    def summary(self, size: str, method: str, metric: str) -> Summary:
        """Over the folds and seeds that are finished."""
        return summarize([getattr(r, metric) for run, r in self.results.items() if run[:2] == (size, method)])

    def gain(self, size: str, method: str, metric: str, over: str = "none") -> Summary:
        """Paired by fold and seed: the same clips, the same mixtures in the same order, the same first weights."""
        pairs = [
            (getattr(self.results[other], metric), getattr(result, metric))
            for run, result in self.results.items()
            if run[:2] == (size, method) and (other := run._replace(method=over)) in self.results
        ]
        return paired([before for before, _ in pairs], [after for _, after in pairs])

    def relative(self, size: str, metric: str = "micro_auprc") -> float:
        """By how many percent IUSP's mean improvement is larger than SP's; nan where SP improved nothing."""
        iusp, sp = (self.gain(size, method, metric).mean for method in ("iusp", "sp"))
        return 100 * (iusp / sp - 1) if sp > 0 else math.nan


def write_report(folder: Path, results: Mapping[Run, Result], plan: Sequence[Run]) -> str:
    """Write iusp.md, iusp.json and, once there is a gain, iusp.svg; returns the text."""
    findings = Findings(results)
    missing = [run for run in plan if run not in results]
    text = as_markdown([table for table in _tables(findings) if table.rows])
    text += f"\n{len(results)} of {len(plan)} runs are finished"
    text += f", {sum(result.cpu_seconds for result in results.values()) / 60:.0f} minutes of one core.\n"
    write_text(folder / "iusp.md", text)
    write_json(folder / "iusp.json", plain(_facts(findings, missing)))
    if len({run.method for run in results} & set(METHODS)) > 1:
        write_text(folder / "iusp.svg", draw(iusp(quoted(findings))))
    return text


def _tables(findings: Findings) -> list[Table]:
    rows = []
    for size in ("teacher", *SIZES):
        for method in ("teacher",) if size == "teacher" else METHODS:
            found = [result for run, result in findings.results.items() if run[:2] == (size, method)]
            if not found:
                continue
            values = [_cell(findings.summary(size, method, metric)) for metric in METRICS]
            gain = _cell(findings.gain(size, method, "micro_auprc"), "+") if method not in ("none", "teacher") else ""
            rows.append((size, f"{found[0].parameters:,}", TITLES[method], str(len(found)), *values, gain))
    header = ("size", "parameters", "learns from", "runs", *METRICS.values(), "micro AUPRC gained")
    note = ("± is the 95 % interval over folds and seeds (t); a gain is paired by fold and seed with the student that learned "
            "from labels only. Folds share training clips, so intervals are somewhat too narrow.")  # fmt: skip
    result = [Table("Tags of the fold that was left out", header, tuple(rows), note)]
    ratios = []
    for size in SIZES:
        gains = [findings.gain(size, method, "micro_auprc") for method in ("sp", "iusp")]
        if all(gain.count for gain in gains):
            difference = findings.gain(size, "iusp", "micro_auprc", "sp")
            percent = findings.relative(size)
            text = "not defined: SP gains nothing" if math.isnan(percent) else f"{percent:+.0f} %"
            ratios.append((size, *(_cell(gain, "+") for gain in gains), _cell(difference, "+"), text))
    header = ("size", "SP gains", "IUSP gains", "IUSP over SP", "IUSP's gain relative to SP's")
    note = "Micro AUPRC. The paper reports gains of IUSP that are 27.1 % to 122.4 % larger than SP's."
    result.append(Table("IUSP beside SP", header, tuple(ratios), note))
    quantized = []
    for size in SIZES:
        for method in METHODS:
            chosen = [r for run, r in findings.results.items()
                      if run[:2] == (size, method) and r.int8_micro_auprc is not None]  # fmt: skip
            if chosen:
                loss = [r.micro_auprc - r.int8_micro_auprc for r in chosen]  # type: ignore[operator]
                quantized.append((size, TITLES[method], str(len(chosen)), f"{np.mean(loss):+.4f}", f"{max(loss):+.4f}"))
    header = ("size", "learns from", "runs", "micro AUPRC lost, mean", "at most")
    result.append(Table("int8 against float, same mixtures", header, tuple(quantized)))
    return result


def quoted(findings: Findings) -> Table:
    """What pages quote: micro AUPRC of each size, and what each way of teaching gains."""
    rows = []
    for size in (*SIZES, "teacher"):
        runs = {run.method: result for run, result in findings.results.items() if run.size == size}
        if runs:
            first = next(iter(runs))
            gains = [
                _cell(findings.gain(size, method, "micro_auprc"), "+") if method in runs else ""
                for method in METHODS[1:]
            ]
            score = _cell(findings.summary(size, first if size == "teacher" else METHODS[0], "micro_auprc"))
            rows.append((f"{size}, {runs[first].parameters:,}", score, *gains))
    return Table("Micro AUPRC", ("student", *(TITLES[method] for method in METHODS)), tuple(rows))


def _facts(findings: Findings, missing: Sequence[Run]) -> dict[str, Any]:
    found = sorted({run[:2] for run in findings.results})
    return {
        "interval": "95 %, Student's t over folds and seeds; gains are paired by fold and seed",
        "summary": {
            f"{size} {method}": {metric: asdict(findings.summary(size, method, metric)) for metric in METRICS}
            for size, method in found
        },
        "gain_over_none": {
            f"{size} {method}": {metric: asdict(findings.gain(size, method, metric)) for metric in METRICS}
            for size, method in found
            if method not in ("none", "teacher")
        },
        "iusp_gain_relative_to_sp_percent": {size: findings.relative(size) for size in SIZES},
        "missing": [run._asdict() for run in missing],
        "results": [result.as_json() for result in findings.results.values()],
    }


def _cell(summary: Summary, sign: str = "") -> str:
    return summary.as_text(3, sign)
