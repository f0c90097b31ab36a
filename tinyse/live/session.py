"""A session: sound from a source through the denoiser to a sink, with commands and figures while it runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np

from tinyse.errors import InputError
from tinyse.live.endpoints import BLOCK_SECONDS, Endpoint
from tinyse.live.meters import LevelMeter, Stopwatch
from tinyse.live.ring import Ring
from tinyse.live.wav import Recorder
from tinyse.streaming import hops
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.rates import Resampler
from tinyse.streaming.tagger import Tagger

PATIENCE_SECONDS = 0.2
"""How long the worker waits for sound before it checks that both endpoints are still there."""


@dataclass(frozen=True)
class Figures:
    """A session at one moment. Latencies are apart since each has another remedy: model, processor, sound system."""

    seconds: float
    """Duration of the sound so far."""
    input_db: float
    input_peak_db: float
    output_db: float
    output_peak_db: float
    noise_reduction_db: float
    """How much lower the floor between words is after the model, whether it is heard or bypassed."""
    real_time_factor: float
    algorithmic_ms: float
    compute_ms: float
    worst_compute_ms: float
    driver_ms: float
    """What the drivers of both endpoints report."""
    buffer_ms: float
    """What lies in the rings and the resamplers."""
    overruns: int
    underruns: int
    late_hops: int
    """Hops that took longer to compute than to play."""
    clipped_in: int
    clipped_out: int
    """Samples at full scale."""
    bypass: bool
    mute: bool
    recording: str
    recording_error: str
    """Why the last recording ended by itself; the session continues."""
    tags: str
    """Tags of the last second, where there is a tagger."""


class Session:
    """Sound from `source` through `denoiser` to `sink`; `buffer_seconds` of it wait for a sink that cannot wait.

    A bypassed session plays its input as late as its output would be, so that A/B changes nothing but the noise.
    A sink that waits (a file) gets the stream without its delay: aligned with its source, and as long.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        source: Endpoint,
        sink: Endpoint,
        buffer_seconds: float = 0.1,
        tagger: Tagger | None = None,
    ) -> None:
        """`tagger` processes the input in the time that the denoiser leaves. Raises InputError if its rate differs."""
        self._denoiser, self._source, self._sink = denoiser, source, sink
        self._tagger, self._tags = tagger, ""
        if tagger and tagger.sample_rate != denoiser.sample_rate:
            raise InputError(
                f"the tagger takes {tagger.sample_rate} Hz, the denoiser {denoiser.sample_rate} Hz: give models of one rate"
            )
        self._to_model = Resampler(source.rate, denoiser.sample_rate)
        self._to_sink = Resampler(denoiser.sample_rate, sink.rate)
        self._incoming = Ring(source.rate, round(buffer_seconds * source.rate))
        self._buffer_seconds, self._target = buffer_seconds, round(buffer_seconds * sink.rate)
        self._outgoing = Ring(sink.rate if sink.waits else 3 * self._target, self._target)
        hops_per_second = denoiser.sample_rate / denoiser.hop
        self._input_level, self._model_level, self._output_level = (LevelMeter(hops_per_second) for _ in range(3))
        self._watch = Stopwatch(1 / hops_per_second)
        self._late = 0
        self._waiting = hops.NOTHING
        self._past = np.zeros(denoiser.delay, np.float32)
        self._skip = denoiser.delay if sink.waits else 0
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._recorder = Recorder(denoiser.sample_rate)
        self._stopped, self._over = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._worker = threading.Thread(target=self._run, name="denoiser", daemon=True)
        self.bypass = self.mute = False
        """May be changed at any time."""

    def start(self) -> None:
        """Begin. Raises InputError where an endpoint cannot be opened."""
        try:
            self._sink.start(self._outgoing, self._target)
            self._source.start(self._incoming, round(self._buffer_seconds * self._source.rate))
        except InputError:
            self._stop_endpoints()
            raise
        self._worker.start()

    @property
    def running(self) -> bool:
        """Whether there is still something to come."""
        return not self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        # No join: Ctrl-C in the middle of one leaves CPython 3.11 believing that the thread has ended.
        return self._over.wait(seconds)

    def stop(self) -> None:
        """End, and leave all files whole. Raises InputError if the session ended because an endpoint was lost."""
        self._stopped.set()
        self._over.wait()
        if self._error is not None:
            raise self._error

    def reset(self) -> None:
        """Reset the models to silence."""
        self._commands.put(self._denoiser.reset)
        if self._tagger:
            self._commands.put(self._tagger.reset)

    def record(self, prefix: Path | None) -> None:
        """Write both sides, aligned, to PREFIX-in.wav and PREFIX-out.wav from now on; None ends that.

        Raises InputError where the files cannot be written and the session has not started; a running one says so in its
        figures.
        """
        if prefix is not None and not self._worker.is_alive():
            self._recorder.start(prefix)
        else:
            self._commands.put(lambda: self._record(prefix))

    def figures(self) -> Figures:
        """How it goes at this moment."""
        waiting = len(self._incoming) / self._source.rate + len(self._outgoing) / self._sink.rate
        waiting += self._to_model.delay + self._to_sink.delay
        return Figures(
            seconds=self._watch.hops * self._denoiser.hop / self._denoiser.sample_rate,
            input_db=self._input_level.level_db,
            input_peak_db=self._input_level.peak_db,
            output_db=self._output_level.level_db,
            output_peak_db=self._output_level.peak_db,
            noise_reduction_db=self._input_level.floor_db - self._model_level.floor_db,
            real_time_factor=self._watch.real_time_factor,
            algorithmic_ms=self._denoiser.latency_ms,
            compute_ms=1000 * self._watch.recent,
            worst_compute_ms=1000 * self._watch.worst,
            driver_ms=1000 * (self._source.latency + self._sink.latency),
            buffer_ms=1000 * waiting,
            overruns=self._incoming.overruns + self._outgoing.overruns + self._source.faults,
            underruns=self._sink.faults,
            late_hops=self._late,
            clipped_in=self._input_level.clipped,
            clipped_out=self._output_level.clipped,
            bypass=self.bypass,
            mute=self.mute,
            recording=self._recorder.path,
            recording_error=self._recorder.error,
            tags=self._tags,
        )

    def _run(self) -> None:
        try:
            block = round(BLOCK_SECONDS * self._source.rate)
            while not self._stopped.is_set() and not self._incoming.drained:
                self._run_commands()
                self._source.check()
                self._sink.check()
                heard = hops.from_device(self._incoming.take(block, PATIENCE_SECONDS))
                self._feed(self._to_model.process(heard))
            self._feed(self._to_model.flush())
            self._end()
        except Exception as error:
            self._error = error
        finally:
            self._close()

    def _run_commands(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._commands.get_nowait()()

    def _feed(self, samples: np.ndarray) -> None:
        """Denoise as many whole hops as there are."""
        hop = self._denoiser.hop
        whole, self._waiting = hops.whole_hops(self._waiting, samples, hop)
        for noisy in whole.reshape(-1, hop):
            begin = time.perf_counter()
            clean = self._denoiser.process(noisy)
            self._tag(noisy)
            seconds = time.perf_counter() - begin
            self._watch.add(seconds)
            self._late += seconds > hop / self._denoiser.sample_rate
            self._input_level.add(noisy)
            self._model_level.add(clean)
            self._deliver(self._delayed(noisy), clean)

    def _tag(self, noisy: np.ndarray) -> None:
        for decision in self._tagger.process(noisy) if self._tagger else ():
            self._tags = decision.as_text(least=0.3)

    def _end(self) -> None:
        """The samples that are still inside, and the end of the outgoing stream."""
        clean = np.concatenate([self._denoiser.process(self._waiting), self._denoiser.flush()])
        self._deliver(np.concatenate([self._past, self._waiting]), clean)
        self._send(self._to_sink.flush())
        self._outgoing.close()
        if self._sink.waits or not self._stopped.is_set():
            self._sink.finish()

    def _delayed(self, noisy: np.ndarray) -> np.ndarray:
        stream = np.concatenate([self._past, noisy])
        self._past = stream[len(noisy) :]
        return stream[: len(noisy)]

    def _deliver(self, dry: np.ndarray, clean: np.ndarray) -> None:
        """Choose between the two aligned signals, measure the choice and send it."""
        output = np.zeros_like(clean) if self.mute else dry if self.bypass else clean
        if len(output):
            self._output_level.add(output)
        self._recorder.write(dry, output)
        skipped = min(self._skip, len(output))
        self._skip -= skipped
        self._send(self._to_sink.process(np.clip(output[skipped:], -1, 1)))

    def _send(self, samples: np.ndarray) -> None:
        (self._outgoing.put if self._sink.waits else self._outgoing.write)(samples)

    def _record(self, prefix: Path | None) -> None:
        """A command that fails does not end the session."""
        try:
            if prefix is None:
                self._recorder.stop()
            else:
                self._recorder.start(prefix)
        except InputError as error:
            self._recorder.error = str(error)

    def _close(self) -> None:
        try:
            self._stop_endpoints()
            self._recorder.stop()
        except Exception as error:
            self._error = self._error or error
        finally:
            self._over.set()

    def _stop_endpoints(self) -> None:
        self._source.stop()
        self._incoming.close()  # lets go of a file that waits for room
        self._sink.stop()
