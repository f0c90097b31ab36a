"""A study as tables to read and as a dictionary for JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyse.boards.boards import ETHOS_U55_128
from tinyse.evaluation.report import DECIMALS, TITLES, Table, plain
from tinyse.evaluation.statistics import Summary, paired
from tinyse.study.study import FLOAT, METRICS, Study


def losses(study: Study, precision: str, metric: str, snr_db: float | None = None) -> Summary:
    """Float stream less integer stream, paired file by file, over all pairs or those of one input SNR."""
    before, after = (np.array(study.scores.quality[backend][metric]) for backend in (FLOAT, precision))
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
    return [
        _overall(study),
        _by_snr(study),
        _long(study, "SI-SDR loss, dB", "si_sdr_loss_db", 2),
        _long(study, "SNR of the GRUs' states, dB", "state_snr_db", 1),
        _sticking(study),
        _costs(study),
    ]


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
    note = f"{len(study.scores.files)} pairs, {study.engine}; float minus quantized, ± 95 % over files, paired."
    if study.trained:
        note += f" The model was trained in {study.trained}; the other precisions are post-training."
    return Table(f"{study.model}: loss against the float stream", header, tuple(rows), note)


def _by_snr(study: Study) -> Table:
    rows = [
        (f"{snr:g}", name, *(_cell(losses(study, name, metric, snr), metric) for metric in METRICS))
        for snr in levels(study)
        for name in study.costs
    ]
    rows += [("clean", name, _cell(clean_loss(study, name), "si_sdr"), "-", "-") for name in study.costs]
    header = ("input SNR dB", "precision", *(TITLES[metric] for metric in METRICS))
    return Table("Loss by input SNR", header, tuple(rows))


def _long(study: Study, title: str, value: str, decimals: int) -> Table:
    """One value of the long stream's parts, by the minute at which they end."""
    streams = study.streams.values()
    seconds = next(iter(streams)).part_seconds
    rows = [
        (f"{(index + 1) * seconds / 60:.3g}", *(_number(getattr(part, value), decimals) for part in parts))
        for index, parts in enumerate(zip(*(stream.parts for stream in streams), strict=True))
    ]
    rows.append(("last, anew", *(_number(getattr(stream.last_anew, value), decimals) for stream in streams)))
    note = f"One stream in parts of {seconds:.3g} s, against the float stream; anew: the last part's sound from silence on."
    return Table(f"{title} by minute", ("until minute", *study.streams), tuple(rows), note)


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
    rows: list[tuple[str, ...]] = []
    for name, cost in study.costs.items():
        sizes = ["-" if size is None else f"{size:,}" for size in (cost.file_bytes, cost.state_bytes, cost.arena_bytes)]
        times = ["-" if us is None else f"{us:.0f}" for us in (cost.litert_us, cost.tflm_us)]
        npu = cost.vela
        vela = [f"{npu.cycles:,}", f"{npu.arena_bytes:,}", f"{100 * npu.on_npu:.0f}"] if npu is not None else []
        rows.append((name, *sizes, *times, *vela))
    header: tuple[str, ...] = ("precision", "file bytes", "state bytes", "TFLM arena bytes", "LiteRT us", "TFLM us")
    note = "Arena and median microseconds per frame are this computer's."
    if any(cost.vela for cost in study.costs.values()):
        header += ("Vela cycles", "Vela SRAM bytes", "on the NPU %")
        note += f" Vela's cycles per frame and SRAM are computed, for an {ETHOS_U55_128.name} with all in SRAM."
    return Table("Cost", header, tuple(rows), note)


def _cell(summary: Summary, metric: str) -> str:
    return summary.as_text(DECIMALS.get(metric, 2))


def _number(value: float, decimals: int) -> str:
    # Adding zero makes a zero of what rounds to minus zero.
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else "-"
