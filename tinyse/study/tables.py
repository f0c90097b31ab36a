"""A study as tables to read and as a dictionary for JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyse.evaluation.report import DECIMALS, TITLES, Table, plain
from tinyse.evaluation.statistics import Summary, paired
from tinyse.study.study import FLOAT, METRICS, Study


def losses(study: Study, precision: str, metric: str, snr_db: float | None = None) -> Summary:
    """Float stream less integer stream, paired file by file, over all pairs or those of one input SNR."""
    before, after = (np.array(study.scores.quality[link][metric]) for link in (FLOAT, precision))
    chosen = np.array(study.scores.snr_db) == snr_db if snr_db is not None else np.full(len(before), True)
    return paired(after[chosen], before[chosen])


def levels(study: Study) -> list[float]:
    """The input SNRs, dB."""
    return sorted({snr for snr in study.scores.snr_db if math.isfinite(snr)})


def clean_loss(study: Study, precision: str) -> Summary:
    """SI-SDR that clean speech loses, float stream less integer stream."""
    return paired(study.scores.clean[precision]["si_sdr"], study.scores.clean[FLOAT]["si_sdr"])


def worst_loss(study: Study, precision: str, metric: str) -> float:
    """The greatest mean loss at any input SNR; nan where none is known."""
    means = [losses(study, precision, metric, snr).mean for snr in levels(study)]
    return max((mean for mean in means if math.isfinite(mean)), default=math.nan)


def tables(study: Study) -> list[Table]:
    """The most important one first."""
    return [_overall(study), _by_snr(study), _streams(study), _sticking(study), _costs(study)]


def as_json(study: Study) -> dict[str, Any]:
    """Summaries and every value; what is not finite is null."""
    summary = {
        precision: {
            "loss": {metric: losses(study, precision, metric) for metric in METRICS},
            "loss_by_snr": {
                f"{snr:g}": {metric: losses(study, precision, metric, snr) for metric in METRICS}
                for snr in levels(study)
            },
            "worst_loss_at_an_snr": {metric: worst_loss(study, precision, metric) for metric in METRICS},
            "clean_speech_si_sdr_loss": clean_loss(study, precision),
        }
        for precision in study.costs
    }
    return plain({"summary": summary, "study": study})


def _overall(study: Study) -> Table:
    rows = []
    for name in study.costs:
        cells = [_cell(losses(study, name, metric), metric) for metric in METRICS]
        worst = _number(worst_loss(study, name, "si_sdr"), 2)
        rows.append((name, *cells, worst, _cell(clean_loss(study, name), "si_sdr")))
    header = ("precision", *(TITLES[metric] for metric in METRICS), "SI-SDR at the worst SNR", "SI-SDR of clean speech")
    note = f"{len(study.scores.files)} pairs, {study.engine}; float less integers, ± 95 % over files, paired."
    if study.trained:
        note += f" The model was trained in {study.trained}; the other precisions are post-training."
    return Table(f"{study.model}: loss against the float stream", header, tuple(rows), note)


def _by_snr(study: Study) -> Table:
    rows = [
        (f"{snr:g}", name, *(_cell(losses(study, name, metric, snr), metric) for metric in METRICS))
        for snr in levels(study)
        for name in study.costs
    ]
    header = ("input SNR dB", "precision", *(TITLES[metric] for metric in METRICS))
    return Table("Loss by input SNR", header, tuple(rows))


def _streams(study: Study) -> Table:
    rows = []
    for name, stream in study.streams.items():
        heard = [loss for loss in stream.si_sdr_loss_db if math.isfinite(loss)] or [math.nan]
        snrs = [stream.state_snr_db[0], min(stream.state_snr_db), stream.state_snr_db[-1]]
        losses_db = [heard[0], max(heard), heard[-1]]
        rows.append((name, *(_number(snr, 1) for snr in snrs), *(_number(loss, 2) for loss in losses_db)))
    header = ("precision", "state SNR: first", "least", "last", "SI-SDR loss: first", "most", "last")
    parts = next(iter(study.streams.values()))
    seconds = parts.part_seconds * len(parts.state_snr_db)
    note = (
        f"dB against the float stream, in {len(parts.state_snr_db)} parts of {parts.part_seconds:.3g} s; GRUs' states."
    )
    return Table(f"One stream of {seconds:.3g} s", header, tuple(rows), note)


def _sticking(study: Study) -> Table:
    rows = [
        (
            name,
            *(_number(value, 1) for value in (s.quiet_speech, s.after_silence, s.level_changes, s.silence_state_snr)),
        )
        for name, s in study.sticking.items()
    ]
    header = ("precision", "quiet speech", "after 30 s of silence", "jumps of 40 dB", "states in silence")
    return Table(
        "Silence and jumps",
        header,
        tuple(rows),
        "SDR in dB of the output, SNR of the states: against the float stream.",
    )


def _costs(study: Study) -> Table:
    rows = []
    for name, cost in study.costs.items():
        arena = f"{cost.arena_bytes:,}" if cost.arena_bytes is not None else "-"
        tflm = f"{cost.tflm_us:.0f}" if cost.tflm_us is not None else "-"
        rows.append((name, f"{cost.file_bytes:,}", f"{cost.state_bytes:,}", arena, f"{cost.litert_us:.0f}", tflm))
    header = ("precision", "file bytes", "state bytes", "TFLM arena bytes", "LiteRT us", "TFLM us")
    return Table("Cost", header, tuple(rows), "Arena and median microseconds a frame are this computer's.")


def _cell(summary: Summary, metric: str) -> str:
    if not summary.count:
        return "-"
    decimals = DECIMALS.get(metric, 2)
    text = _number(summary.mean, decimals)
    return text if math.isnan(summary.half_width) else f"{text} ± {summary.half_width:.{decimals}f}"


def _number(value: float, decimals: int) -> str:
    # Adding zero makes a zero of what rounds to minus zero.
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else "-"
