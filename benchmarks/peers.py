"""What a user can pick instead of tinyse: the same pairs, the same measures, one thread, CPU time beside the scores.

    python benchmarks/peers.py $TINYSE_DATA/benchmark --ours student-62k --ours runs/mine/model.tflite \\
        --dtln $TINYSE_PEERS/dtln/model_1.tflite $TINYSE_PEERS/dtln/model_2.tflite \\
        --onnx $TINYSE_PEERS/gtcrn/gtcrn_simple.onnx sqrt-hann \\
        --onnx $TINYSE_PEERS/ul-unas/ulunas_stream_simple.onnx hann

PyPI's pyrnnoise and noisereduce are always there unless --packages says otherwise. Every row streams from silence; its fixed
delay is found by cross-correlation on the pairs of highest input SNR and taken out. CPU time is this machine's, Python
around the networks included: read ratios. Writes peers.md and peers.json to --output and prints the tables.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# One thread for every library; read when they are imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import command
import numpy as np
import record
from peer_runners import PACKAGES, SAMPLE_RATE, Stream, dtln

from tinyse.config import did_you_mean
from tinyse.distillation.external import WINDOWS, OnnxStream
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for
from tinyse.evaluation.chain import DEFAULT_METRICS, NOISY, Scores, score
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.evaluation.report import DECIMALS, TITLES, Table, as_json, as_markdown, plain
from tinyse.evaluation.statistics import Summary, paired, share_below, summarize
from tinyse.files import write_json, write_text
from tinyse.released import find

LONGEST_DELAY = SAMPLE_RATE // 10
PROBES = 8
"""Pairs that the delay is found on."""
COMPARED = ("si_sdr", "sdr", "pesq", "stoi", "estoi")
SHORT = {
    "pyrnnoise": "RNNoise 0.2",
    "DTLN model_1 + model_2": "DTLN",
    "DTLN model_quant_1 + model_quant_2": "DTLN int8 weights",
    "gtcrn_simple": "GTCRN",
    "ulunas_stream_simple": "UL-UNAS",
}
"""Rows whose pages call them otherwise: systems by their names, not files by theirs."""


class Timed:
    """A backend with its fixed delay taken out, which counts the CPU time that it takes."""

    def __init__(self, stream: Stream, probes: Sequence[LoadedPair]) -> None:
        self.stream, self.delay = stream, fixed_delay(stream, probes)
        self.cpu_seconds, self.audio_seconds = 0.0, 0.0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        start = time.process_time()
        output = self.stream(np.pad(samples, (0, self.delay)))
        self.cpu_seconds += time.process_time() - start
        self.audio_seconds += len(samples) / SAMPLE_RATE
        return output[self.delay :]


def fixed_delay(stream: Stream, probes: Sequence[LoadedPair]) -> int:
    """Samples by which a stream is late: where its outputs and the clean clips, correlated and summed, match best."""
    total = np.zeros(LONGEST_DELAY + 1)
    for pair in probes:
        size = 2 * len(pair.clean)  # so that the circular correlation does not wrap
        output, clean = np.fft.rfft(stream(pair.noisy), size), np.fft.rfft(pair.clean, size)
        correlation = np.fft.irfft(output * clean.conj(), size)[: LONGEST_DELAY + 1]
        total += correlation / max(float(pair.clean @ pair.clean), 1e-9)
    return int(total.argmax())


def streams(arguments: argparse.Namespace) -> dict[str, Stream]:
    """Every row's stream by its name, ours first. Raises InputError for what is missing or no model."""
    found: dict[str, Stream] = {}
    for given in arguments.ours:
        path = find(given)
        backend = "float-stream" if path.suffix == ".safetensors" else arguments.engine
        ((kind, stream),) = backends_for(path, names=[backend]).items()
        # A released model is known by its name, others by their place.
        name = str(given) if not Path(given).suffix else "/".join(path.with_suffix("").parts[-3:])
        found[f"tinyse {name}, {kind}"] = stream
    for package in arguments.packages:
        if package not in PACKAGES:
            raise InputError(f"--packages: no peer is named {package!r}{did_you_mean(package, PACKAGES)}")
        found[package] = PACKAGES[package]()
    for first, second in arguments.dtln:
        found[f"DTLN {first.stem} + {second.stem}"] = dtln(first, second)
    for path, window in arguments.onnx:
        found[Path(path).stem] = OnnxStream(path, window)
    if not found:
        raise InputError("there is nothing to score: give --ours, --packages, --dtln or --onnx")
    return found


def tables(scores: Scores, backends: dict[str, Timed]) -> list[Table]:
    """All pairs, by input SNR, every row against the first, and what is quoted."""
    noisy, rows = scores.quality[NOISY], []
    for name, values in scores.quality.items():
        cells = [_cell(metric, summarize(values[metric])) for metric in COMPARED[1:]]
        if name == NOISY:
            rows.append((name, "", "0", *cells, "", "", ""))
            continue
        backend, gain = backends[name], _cell("si_sdr", paired(noisy["si_sdr"], values["si_sdr"]))
        worse = f"{share_below(values['si_sdr'], noisy['si_sdr']):.0f} %"
        clean = f"{summarize(scores.clean[name]['si_sdr']).mean:.1f}"
        delay_ms = f"{1000 * backend.delay / SAMPLE_RATE:.1f}"
        rows.append((name, delay_ms, gain, *cells, worse, clean, f"{backend.cpu_seconds / backend.audio_seconds:.4f}"))
    note = (
        f"Measured: {len(scores.files)} pairs, {platform.platform()}, one thread. ± is the 95 % interval of the mean over "
        "pairs. 'worse pairs' lose SI-SDR; 'clean dB' is the SI-SDR of clean speech sent through. The delay was found and "
        "taken out; tinyse's backends come without theirs."
    )
    titles = ("SI-SDR gain dB", *(TITLES[metric] for metric in COMPARED[1:]))
    header = ("system", "delay ms", *titles, "worse pairs", "clean dB", "CPU s per second of audio")
    return [
        Table("What a user can pick", header, tuple(rows), note),
        _by_snr(scores),
        _against_first(scores),
        record.read("peers", "quoted"),
    ]


def systems(scores: Scores, backends: dict[str, Timed]) -> Table:
    """Means alone, as pages quote them."""
    noisy, rows = scores.quality[NOISY], []
    for name, values in scores.quality.items():
        means = [f"{summarize(values[metric]).mean:.{DECIMALS.get(metric, 2)}f}" for metric in COMPARED[1:]]
        if name == NOISY:
            rows.append((name, "0", *means, "", "", ""))
            continue
        gain = f"{paired(noisy['si_sdr'], values['si_sdr']).mean:.2f}"
        worse = f"{share_below(values['si_sdr'], noisy['si_sdr']):.0f} %"
        clean = f"{summarize(scores.clean[name]['si_sdr']).mean:.1f}"
        took = f"{backends[name].cpu_seconds / backends[name].audio_seconds:.3f}"
        ours = re.sub(r"^tinyse |, int8 stream.*", "", name)
        rows.append((SHORT.get(name, ours), gain, *means, worse, clean, took))
    titles = ("SI-SDR gain dB", *(TITLES[metric] for metric in COMPARED[1:]))
    return Table("Systems", ("system", *titles, "worse pairs", "clean dB", "CPU s per second"), tuple(rows))


def _by_snr(scores: Scores) -> Table:
    """SI-SDR gain of every row at every input SNR."""
    snr_db = np.array(scores.snr_db)
    levels = np.unique(snr_db[np.isfinite(snr_db)])
    before = np.array(scores.quality[NOISY]["si_sdr"])
    rows = []
    for name, values in scores.quality.items():
        if name != NOISY:
            gains = (paired(before[snr_db == x], np.array(values["si_sdr"])[snr_db == x]) for x in levels)
            rows.append((name, *(_cell("si_sdr", gain) for gain in gains)))
    return Table("SI-SDR gain by input SNR", ("system", *(f"{x:g} dB" for x in levels)), tuple(rows))


def _against_first(scores: Scores) -> Table:
    """The first row's lead over every other, pair by pair."""
    first, *others = [name for name in scores.quality if name != NOISY]
    rows = []
    for other in others:
        leads = (paired(scores.quality[other][name], scores.quality[first][name]) for name in COMPARED)
        rows.append((other, *(_cell(name, lead, "+") for name, lead in zip(COMPARED, leads, strict=True))))
    note = "Positive: it is ahead of the row, pair by pair."
    return Table(f"{first} against the others", ("against", *(TITLES[name] for name in COMPARED)), tuple(rows), note)


def _cell(metric: str, summary: Summary, sign: str = "") -> str:
    return summary.as_text(DECIMALS.get(metric, 2), sign)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("pairs", type=Path, help="a folder with clean/ and noisy/, optionally pairs.csv")
    models_arguments(result)
    result.add_argument("--output", type=Path, default=Path("runs/peers"), help="folder for peers.md and peers.json")
    record.add_option(result)
    return result


def models_arguments(result: argparse.ArgumentParser, packages: str = "pyrnnoise,noisereduce") -> None:
    """Which systems are scored, as `streams` reads them."""
    result.add_argument("--ours", action="append", default=[], metavar="MODEL", help=".tflite, .safetensors or a name")
    result.add_argument(
        "--engine", choices=("tflm", "litert", "c"), default="tflm", help="what streams our .tflite [tflm]"
    )
    result.add_argument("--packages", default=packages, type=_names, help="installed ones; '' for none")
    result.add_argument("--dtln", nargs=2, action="append", default=[], type=Path, metavar=("MODEL_1", "MODEL_2"))
    result.add_argument(
        "--onnx",
        nargs=2,
        action="append",
        default=[],
        metavar=("MODEL", "WINDOW"),
        help=f"window: {', '.join(WINDOWS)}",
    )
    result.add_argument("--limit", type=int, help="score only the first N pairs")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main() -> None:
    """Run every row on every pair, write and print."""
    arguments = parser().parse_args()
    pairs = find_pairs(arguments.pairs, arguments.limit)
    loudest = sorted((pair.load() for pair in pairs), key=lambda pair: -pair.snr_db)[:PROBES]
    backends: dict[str, Timed] = {}
    for name, stream in streams(arguments).items():
        backends[name] = Timed(stream, loudest)
        print(f"{name}: delay {backends[name].delay} samples", file=sys.stderr)
    scores = score(backends, pairs, DEFAULT_METRICS, progress=lambda: print(".", end="", file=sys.stderr, flush=True))
    print(file=sys.stderr)
    found = tables(scores, backends)
    facts = {
        name: {"delay": backend.delay, "cpu_seconds_a_second": backend.cpu_seconds / backend.audio_seconds}
        for name, backend in backends.items()
    }
    everything = {"machine": platform.platform(), "threads": 1, "backends": plain(facts), **as_json(scores)}
    write_json(arguments.output / "peers.json", everything)
    write_text(arguments.output / "peers.md", as_markdown(found))
    print(as_markdown(found))
    record.keep(arguments.results, systems(scores, backends), "measured")


if __name__ == "__main__":
    command.run(main)
