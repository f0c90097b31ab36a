"""One chain of numbers: the same clips through every backend, from the float clip to the
quantized model on the device.

A backend is a function (samples,) -> (samples,), aligned with its input and starting from silence. Each is scored on the
noisy clips, on the clean ones (what needs no help must stay unchanged) and on the noises alone, and compared sample by
sample with the backend before it, so a loss shows where it happens.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.audio import DEFAULT_RATE
from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.evaluation.checks import shift
from tinyse.evaluation.judges import JUDGES, judge, open_judges
from tinyse.evaluation.metrics import METRICS, attenuation_db, bounded, level_change_db, measure, sdr, si_sdr
from tinyse.evaluation.pairs import LoadedPair, Pair
from tinyse.evaluation.words import normalized
from tinyse.process_pool import ProcessPool

Backend = Callable[[np.ndarray], np.ndarray]

NOISY = "noisy"
"""Name of the row of the unprocessed clips, the bar that every backend is measured against."""
DEFAULT_METRICS = ("si_sdr", "sdr", "pesq", "stoi", "estoi", "level_change_db")
FEW = 4
"""As many pairs are measured before another process has started."""


@dataclass(frozen=True)
class Scores:
    """Every value of one run, by backend and then by measure, one entry per file; within the limits of `metrics.bounded`, and
    nan in every backend where the pair has no such value.

    `quality` holds the backends after the row `noisy`; its lists run along `files` and `snr_db`. `clean` (`si_sdr`,
    `level_change_db`) runs along the distinct clean clips, `noise` (`attenuation_db`) along `files`. `steps` compares
    each backend with the one before it (`largest_difference` of samples, `sdr` in dB), along `files`.
    """

    files: list[str]
    snr_db: list[float]
    quality: dict[str, dict[str, list[float]]]
    clean: dict[str, dict[str, list[float]]]
    noise: dict[str, dict[str, list[float]]]
    steps: dict[str, dict[str, list[float]]]
    sample_rate: int = DEFAULT_RATE
    notices: list[str] = field(default_factory=list)
    """What is wrong with pairs that were scored all the same."""
    words: list[int] = field(default_factory=list)
    """Number of words that are said in each file, where word errors (`wer`, percent of them) are among the measures."""

    @property
    def metrics(self) -> list[str]:
        """Names of the measures of quality, in the order of the columns."""
        return list(self.quality[NOISY])


def score(
    backends: Mapping[str, Backend],
    pairs: Iterable[Pair | LoadedPair],
    metrics: Sequence[str] = DEFAULT_METRICS,
    processes: int = 1,
    dnsmos_path: str | Path | None = None,
    progress: Callable[[], None] = lambda: None,
    interrupted: Callable[[Scores], None] = lambda scores: None,
    sample_rate: int = DEFAULT_RATE,
) -> Scores:
    """Run every pair through every backend, in this process, and measure in `processes` others (1: in this one, too).

    Pairs are read at `sample_rate`, that of the backends. `progress` is called once a pair; `interrupted` gets the scores so
    far, if there are any, where an error or Ctrl-C ends the run, which is raised then. Raises InputError for an unknown
    measure, no pairs, or a backend that changes a clip's length. With more than one process the caller's main module must be
    importable (`if __name__ == ...`).
    """
    if NOISY in backends:
        raise InputError(f"a backend cannot be named {NOISY!r}: that is the row of the unprocessed clips")
    # A wrong name and a missing package must show before the first clip, not after it.
    for name in metrics:
        if name not in (*METRICS, *JUDGES):
            raise InputError(f"unknown metric {name!r}{did_you_mean(name, (*METRICS, *JUDGES))}")
    intrusive, judges = (tuple(name for name in metrics if name in kind) for kind in (METRICS, JUDGES))
    measure(np.zeros(1), np.zeros(1), intrusive, sample_rate)
    open_judges(judges, dnsmos_path)
    so_far = _SoFar(sample_rate)
    try:
        _run_all(so_far, backends, pairs, Measures(intrusive, judges, dnsmos_path), processes, progress)
    except BaseException:
        if finished := so_far.finished():
            interrupted(finished)
        raise
    scores = so_far.finished()
    if scores is None:
        raise InputError("there are no pairs to score on")
    return scores


@dataclass(frozen=True)
class Measures:
    """What is measured of every output: against the clean side, and by judges that hear the output alone."""

    intrusive: tuple[str, ...]
    judges: tuple[str, ...]
    dnsmos_path: str | Path | None
    """Path of a DNSMOS network other than the package's."""


Values = dict[str, dict[str, float]]
"""Values by backend and measure, of one file."""


class _SoFar:
    """What was submitted, pair by pair."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.pairs: list[tuple[str, float, Future[tuple[Values, Values, Values]]]] = []
        self.clean: dict[str, Future[Values]] = {}
        self.notices: list[str] = []
        self.words: dict[str, int] = {}

    def finished(self) -> Scores | None:
        """The scores of the pairs that are measured; None where there are none."""
        done = [(name, snr_db, job.result()) for name, snr_db, job in self.pairs if _succeeded(job)]
        if not done:
            return None
        quality, noise, steps = (_columns([values[part] for _, _, values in done]) for part in range(3))
        clean = _columns([job.result() for job in self.clean.values() if _succeeded(job)])
        names, snr_db = [name for name, _, _ in done], [snr for _, snr, _ in done]
        words = [self.words[name] for name in names] if self.words else []
        return Scores(names, snr_db, quality, clean, noise, steps, self.sample_rate, self.notices, words)


def _succeeded(job: Future[Any]) -> bool:
    return job.done() and not job.cancelled() and job.exception() is None


def _run_all(
    so_far: _SoFar,
    backends: Mapping[str, Backend],
    pairs: Iterable[Pair | LoadedPair],
    measures: Measures,
    processes: int,
    progress: Callable[[], None],
) -> None:
    names = list(backends)
    with ProcessPool(processes) as pool:
        for pair in pairs:
            loaded = pair.load(so_far.sample_rate) if isinstance(pair, Pair) else pair
            if late := shift(loaded.clean, loaded.noisy, loaded.sample_rate):
                so_far.notices.append(
                    f"{loaded.name}: the noisy side is {abs(late)} samples {'later' if late > 0 else 'earlier'} than the "
                    "clean one, so its scores mean nothing"
                )
            if "wer" in measures.judges:
                if not loaded.text:
                    raise InputError(f"{loaded.name}: it is not known what is said, so wer cannot be measured")
                so_far.words[loaded.name] = len(normalized(loaded.text).split())
            outputs = {name: run(name, backends[name], loaded.noisy, loaded.name) for name in names}
            from_noise = {name: run(name, backends[name], loaded.noise, loaded.name) for name in names}
            job = pool.submit(_measure_pair, loaded, outputs, from_noise, measures)
            so_far.pairs.append((loaded.name, loaded.snr_db, job))
            digest = hashlib.sha256(loaded.clean.tobytes()).hexdigest()
            if digest not in so_far.clean:
                from_clean = {name: run(name, backends[name], loaded.clean, loaded.name) for name in names}
                so_far.clean[digest] = pool.submit(_measure_clean, loaded.clean, from_clean)
            progress()
        jobs: list[Future[Any]] = [*(job for _, _, job in so_far.pairs), *so_far.clean.values()]
        for measured in jobs:
            measured.result()  # raises what it raised


def run(name: str, backend: Backend, samples: np.ndarray, file: str) -> np.ndarray:
    """One clip through one backend. Raises InputError where the output is of another length or not finite."""
    try:
        output = np.asarray(backend(samples), np.float32)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if output.shape != samples.shape:
        raise InputError(f"{file}: the backend {name!r} made {output.shape} of {samples.shape} samples")
    if not np.isfinite(output).all():
        raise InputError(f"{file}: the backend {name!r} made samples that are not finite")
    return output


def _measure_pair(
    pair: LoadedPair,
    outputs: dict[str, np.ndarray],
    from_noise: dict[str, np.ndarray],
    measures: Measures,
) -> tuple[Values, Values, Values]:
    quality: Values = {}
    for name, output in {NOISY: pair.noisy, **outputs}.items():
        measured = measure(pair.clean, output, measures.intrusive, pair.sample_rate)
        # What the noisy clip has no value for, the pair has none for: a backend does not choose its files.
        known = quality.get(NOISY, measured)
        quality[name] = {key: bounded(key, value, not math.isnan(known[key])) for key, value in measured.items()}
        quality[name] |= judge(measures.judges, output, pair.sample_rate, pair.text or "", measures.dnsmos_path)
    any_noise = bool(pair.noise.any())
    noise = {
        name: {"attenuation_db": bounded("attenuation_db", attenuation_db(pair.noise, output), any_noise)}
        for name, output in from_noise.items()
    }
    names = list(outputs)
    steps = {
        after: {
            "largest_difference": float(np.abs(outputs[after] - outputs[before]).max(initial=0)),
            "sdr": sdr(outputs[before], outputs[after]),
        }
        for before, after in itertools.pairwise(names)
    }
    return quality, noise, steps


def _measure_clean(clean: np.ndarray, outputs: dict[str, np.ndarray]) -> Values:
    speech = bool(clean.any())
    return {
        name: {
            "si_sdr": bounded("si_sdr", si_sdr(clean, output), speech),
            "level_change_db": bounded("level_change_db", level_change_db(clean, output), speech),
        }
        for name, output in outputs.items()
    }


def _columns(files: list[Values]) -> dict[str, dict[str, list[float]]]:
    """Values file by file -> one list a backend and measure."""
    return {
        backend: {name: [values[backend][name] for values in files] for name in measures}
        for backend, measures in (files[0] if files else {}).items()
    }
