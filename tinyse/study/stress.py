"""What breaks a quantized recurrence, as sounds: a long stream, long silence, abrupt changes of level.

An 8-bit state moves by nothing when an update is under half a step ("sticking"): after silence it may stay where it
was, or never come to rest. So each test compares an engine with the float one on the same sound, from the same silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinyse.engines.tflite_engines import FileEngine
from tinyse.errors import InputError
from tinyse.evaluation.metrics import si_sdr
from tinyse.evaluation.pairs import LoadedPair
from tinyse.progress import silent
from tinyse.spectra.front_end import FrontEnd
from tinyse.study.streams import Stream, run_streams, snr_db

SILENCE_SECONDS = 30
QUIET_DB = -50.0
"""Level of the quiet speech, dB re full scale."""
SPEECH_SECONDS = 3
"""After a silence, how much of the speech is compared: the time in which a stuck state would show."""
JUMP_DB = 40.0
JUMP_SECONDS = 1


@dataclass(frozen=True)
class Part:
    """Some seconds of one precision's stream, against the float stream of the same sound."""

    state_snr_db: float
    """SNR of the GRUs' states."""
    output_snr_db: float
    """SNR of the denoised sound."""
    si_sdr_loss_db: float
    """The float stream's SI-SDR less this one's; nan where the part has no speech."""


@dataclass(frozen=True)
class LongStream:
    """One precision over minutes of noisy speech, in parts of equal length."""

    part_seconds: float
    parts: list[Part]
    last_anew: Part
    """The last part's sound once more, from silence on: where age costs nothing, it is as the last part was."""


@dataclass(frozen=True)
class Sticking:
    """One precision's output against the float stream's, as SDR in dB (more is better)."""

    quiet_speech: float
    """Quiet speech from the start of the stream on: what silence must not make worse."""
    after_silence: float
    """The same speech after 30 s of digital silence."""
    silence_state_snr: float
    """SNR of the states in the last second of the silence."""
    level_changes: float
    """Speech whose level changes by 40 dB every second."""


def long_streams(
    engines: Mapping[str, FileEngine],
    front_end: FrontEnd,
    pairs: Sequence[LoadedPair],
    minutes: float,
    part: float,
    progress: Callable[[float], None] = silent,
) -> dict[str, LongStream]:
    """The pairs one after the other, again and again for `minutes`, never from silence; parts of `part` seconds.

    `progress` gets the share of the stream that is done, 0 to 1.
    """
    check_minutes(minutes)
    hop, rate = front_end.config.hop, front_end.config.frames_per_second
    samples = round(60 * minutes * front_end.config.sample_rate)
    noisy = np.resize(np.concatenate([pair.noisy for pair in pairs]), samples)
    clean = np.resize(np.concatenate([pair.clean for pair in pairs]), samples)
    hops = max(1, int(min(part, 60 * minutes) * rate))
    starts = range(0, samples // hop - hops + 1, hops)
    streams = run_streams(engines, front_end, noisy, progress)
    last = slice(starts[-1] * hop, (starts[-1] + hops) * hop)
    anew = run_streams(engines, front_end, noisy[last])
    float_name, *names = engines
    return {
        name: LongStream(
            hops / rate,
            [_part(clean, streams[float_name], streams[name], start, start + hops, hop) for start in starts],
            _part(clean[last], anew[float_name], anew[name], 0, hops, hop),
        )
        for name in names
    }


def check_minutes(minutes: float) -> None:
    """Raise InputError for a length that no long stream can have."""
    if not 0 < minutes <= 24 * 60:
        raise InputError(f"--minutes is above 0 and at most a day, not {minutes:g}")


def sticking(engines: Mapping[str, FileEngine], front_end: FrontEnd, speech: np.ndarray) -> dict[str, Sticking]:
    """Silence, quiet speech and jumps; `speech` (samples,) is clean and at least three seconds long."""
    rate = front_end.config.sample_rate
    length = SPEECH_SECONDS * rate
    if len(speech) < length:
        raise InputError(f"the sticking test needs {SPEECH_SECONDS} s of speech, {len(speech) / rate:.1f} s given")
    quiet = np.float32(speech[:length] * 10 ** (QUIET_DB / 20) / max(np.sqrt(np.mean(speech[:length] ** 2)), 1e-9))
    silence = np.zeros(SILENCE_SECONDS * rate, np.float32)
    gains = np.where(np.arange(len(speech)) // (JUMP_SECONDS * rate) % 2, 10 ** (-JUMP_DB / 20), 1)
    alone = run_streams(engines, front_end, quiet)
    after = run_streams(engines, front_end, np.concatenate([silence, quiet]))
    jumping = run_streams(engines, front_end, np.float32(speech * gains))
    end = len(silence) // front_end.config.hop
    second = round(front_end.config.frames_per_second)
    return {
        name: Sticking(
            quiet_speech=_sdr(alone, name),
            after_silence=_sdr(after, name, len(silence)),
            silence_state_snr=after[name].state_snr_db(end - second, end),
            level_changes=_sdr(jumping, name),
        )
        for name in list(engines)[1:]
    }


def _sdr(streams: Mapping[str, Stream], name: str, first: int = 0) -> float:
    """SDR of one engine's output against the float one's, from sample `first` on."""
    return snr_db(next(iter(streams.values())).output[first:], streams[name].output[first:])


def _part(clean: np.ndarray, exact: Stream, stream: Stream, first: int, last: int, hop: int) -> Part:
    """Frames `first` to `last` of a stream."""
    reference, before, after = (sound[first * hop : last * hop] for sound in (clean, exact.output, stream.output))
    reference = reference[: len(before)]
    return Part(
        stream.state_snr_db(first, last),
        snr_db(before, after),
        si_sdr(reference, before) - si_sdr(reference, after),
    )
