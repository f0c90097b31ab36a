"""A study as a picture: losses by input SNR, and what minutes of stream do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyse.files import replacing
from tinyse.spectra.picture import require_matplotlib
from tinyse.study.study import Study
from tinyse.study.tables import levels, losses


def draw(study: Study, path: str | Path) -> None:
    """Write four panels as PNG. Raises InputError without matplotlib."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(f"{study.model} quantized, against its float stream ({study.engine})")
    panels = figure.subplots(2, 2)
    snrs = levels(study)
    for axes, metric, title in ((panels[0, 0], "si_sdr", "SI-SDR loss, dB"), (panels[0, 1], "pesq", "PESQ-WB loss")):
        for index, name in enumerate(study.costs):
            summaries = [losses(study, name, metric, snr) for snr in snrs]
            axes.errorbar(
                np.array(snrs) + 0.25 * (index - (len(study.costs) - 1) / 2),  # so that bars do not hide each other
                [summary.mean for summary in summaries],
                [summary.half_width if summary.count > 1 else 0 for summary in summaries],
                marker="o", capsize=3, label=name,
            )  # fmt: skip
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set(xlabel="input SNR, dB", ylabel=title)
    for name, stream in study.streams.items():
        minutes = (np.arange(len(stream.parts)) + 1) * stream.part_seconds / 60
        for axes, value in ((panels[1, 0], "state_snr_db"), (panels[1, 1], "si_sdr_loss_db")):
            (line,) = axes.plot(minutes, [getattr(part, value) for part in stream.parts], marker=".", label=name)
            # The last part anew, from silence on: a hollow circle around what the long stream made of it.
            axes.plot(
                minutes[-1], getattr(stream.last_anew, value), marker="o", fillstyle="none", color=line.get_color()
            )
    panels[1, 0].set(xlabel="minutes of one stream (circle: the last part anew)", ylabel="SNR of the GRUs' states, dB")
    panels[1, 1].set(xlabel="minutes of one stream (circle: the last part anew)", ylabel="SI-SDR loss, dB")
    panels[1, 1].axhline(0, color="grey", linewidth=0.8)
    panels[0, 0].legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
