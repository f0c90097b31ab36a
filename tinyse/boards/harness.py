"""A microcontroller's audio loop, emulated: hops through double buffers, and what a missed deadline sounds like.

Two DMA channels go round in two halves of a hop each. Hop k has been recorded at time k + 1 (in hops); its output must
lie in half k mod 2 when the DMA plays it at k + 2. Nothing stops the DMA:

- a result that comes later than k + 2 is not played: the half is played with what it held before, a stale hop;
- a hop that has been recorded while the core is still busy is lost: it is not processed, its half is stale too.

The sound is processed on this machine, in one thread; only the clock is the board's. The harness allocates before the
first hop and not after it (the model's own Python does).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyse.audio import DEFAULT_RATE, FULL_SCALE
from tinyse.errors import InputError
from tinyse.evaluation.metrics import sdr, si_sdr

Process = Callable[[np.ndarray], np.ndarray]
"""One hop of float32 in [-1, 1) to one hop of the enhanced stream; keeps its state."""
BUFFERING_HOPS = 2
"""A hop is recorded before it is processed, and processed for a hop's time at most before it is played."""


@dataclass(frozen=True)
class Interference:
    """What else the core does: bursts (a radio, a flash write) and jitter (interrupts, caches), from a seed."""

    burst_probability: float = 0.0
    """Probability of a burst during a hop, 0 to 1."""
    burst_seconds: float = 0.0
    """Length of the longest burst; lengths are uniform from zero."""
    jitter: float = 0.0
    """Largest share by which a hop takes longer than computed; uniform from zero."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.burst_probability <= 1 and 0 <= self.burst_seconds < np.inf and 0 <= self.jitter < np.inf):
            raise InputError("interference: a probability is 0 to 1, the length of bursts and the jitter at least 0")
        if self.seed < 0:
            raise InputError(f"interference: the seed is {self.seed}: give 0 or more")

    def seconds(self, computing: float, hops: int) -> np.ndarray:
        """Time that each of `hops` hops keeps the core busy, where computing alone takes `computing` seconds."""
        generator = np.random.default_rng(self.seed)
        bursts = generator.random(hops) < self.burst_probability
        slower = computing * (1 + self.jitter * generator.random(hops))
        return slower + bursts * self.burst_seconds * generator.random(hops)


@dataclass(frozen=True)
class Stream:
    """What came out. `output` int16 (hops * hop,) lies on the input's time axis: the buffering delay is taken out.

    `late` and `lost` (hops,) mark missed deadlines; `host_seconds` (hops,) is this machine's time, nan for lost hops.
    """

    output: np.ndarray
    late: np.ndarray
    lost: np.ndarray
    host_seconds: np.ndarray

    @property
    def misses(self) -> int:
        """Hops whose result was not played."""
        return int((self.late | self.lost).sum())


@dataclass(frozen=True)
class Emulation:
    """A stream on the board beside the same one without deadlines; inf dB where they are the same, bit for bit."""

    stream: Stream
    ideal: np.ndarray
    sdr_db: float
    si_sdr_db: float


def emulate(
    make_process: Callable[[], Process],
    pcm: np.ndarray,
    hop: int,
    busy_seconds: np.ndarray,
    sample_rate: int = DEFAULT_RATE,
) -> Emulation:
    """Stream `pcm` and, where deadlines were missed, stream it again without any to compare with.

    `make_process` gives a process that starts from silence; `busy_seconds` is as in `stream`.
    """
    played = stream(make_process(), pcm, hop, busy_seconds, sample_rate)
    if not played.misses:
        return Emulation(played, played.output, float("inf"), float("inf"))
    ideal = stream(make_process(), pcm, hop, np.zeros(len(busy_seconds)), sample_rate).output
    return Emulation(played, ideal, sdr(ideal, played.output), si_sdr(ideal, played.output))


def stream(
    process: Process, pcm: np.ndarray, hop: int, busy_seconds: np.ndarray, sample_rate: int = DEFAULT_RATE
) -> Stream:
    """The loop. `busy_seconds` (hops,): how long each processed hop keeps the core, on the board's clock.

    `pcm` int16 must hold that many hops; what is beyond is not played.
    """
    hops = len(busy_seconds)
    if pcm.dtype != np.int16 or pcm.ndim != 1 or len(pcm) < hops * hop or not hops:
        raise InputError(f"{hops} hops of {hop} samples of PCM16 are needed, got {pcm.shape} of {pcm.dtype}")
    busy = np.asarray(busy_seconds) * (sample_rate / hop)  # in hops, so that "exactly in time" is exact
    recorded, halves, result = np.empty(hop, np.float32), np.zeros((2, hop), np.int16), np.empty(hop, np.int16)
    output = np.empty(hops * hop, np.int16)
    late, lost = np.zeros(hops, bool), np.zeros(hops, bool)
    host_seconds = np.full(hops, np.nan)
    free_at, pending = 0.0, -1  # when the core is done with `result`, and the half it will then write it to
    for k in range(hops):
        if free_at > k + 1:
            lost[k] = True
        else:
            np.multiply(pcm[k * hop : (k + 1) * hop], np.float32(1 / FULL_SCALE), out=recorded)
            start = time.perf_counter_ns()
            enhanced = process(recorded)
            host_seconds[k] = (time.perf_counter_ns() - start) * 1e-9
            _to_pcm16(enhanced, recorded, result)
            free_at, pending = k + 1 + busy[k], k % 2
            late[k] = free_at > k + 2
        if pending >= 0 and free_at <= k + 2:
            halves[pending] = result
            pending = -1
        output[k * hop : (k + 1) * hop] = halves[k % 2]
    return Stream(output, late, lost, host_seconds)


def percentiles(seconds: np.ndarray) -> dict[str, float]:
    """p50, p90, p99 and max in microseconds, lost hops left out."""
    finite_us = seconds[np.isfinite(seconds)] * 1e6
    return {**{f"p{p}": float(np.percentile(finite_us, p)) for p in (50, 90, 99)}, "max": float(finite_us.max())}


def _to_pcm16(samples: np.ndarray, work: np.ndarray, result: np.ndarray) -> None:
    """`tinyse.audio.to_pcm16` without a new array; `work` is overwritten."""
    if samples.shape != result.shape:
        raise ValueError(f"a process made {samples.shape} samples of {result.shape}")
    np.multiply(samples, np.float32(FULL_SCALE), out=work)
    np.rint(work, out=work)
    np.clip(work, -FULL_SCALE, FULL_SCALE - 1, out=work)
    np.copyto(result, work, casting="unsafe")
