"""Many sound files through one model: what fails is named, and the others continue."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.audio import encoding
from tinyse.audio.encoding import SoundWriter, possible_rate, sample_format
from tinyse.audio.sound_files import SUFFIXES, find_sounds
from tinyse.errors import InputError
from tinyse.process_pool import ProcessPool
from tinyse.progress import silent
from tinyse.streaming import sound
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.opening import EngineName


@dataclass(frozen=True)
class Settings:
    """What a denoiser is opened with."""

    model: str | None = None
    engine: EngineName | None = None
    attenuation_limit_db: float | None = None
    rate: int | None = None
    """Hz of what is written; by default that of what is read."""
    mono: bool = False
    """Whether channels are mixed down to one; by default each is a stream of its own."""

    def open(self) -> Denoiser:
        """Raises InputError for what does not fit."""
        return Denoiser(self.model, engine=self.engine, attenuation_limit_db=self.attenuation_limit_db)


PLAIN = Settings()


@dataclass(frozen=True)
class Job:
    """A file to read, and one to write."""

    source: Path
    target: Path
    fault: str | None = None
    """Why the source cannot be read, where that is known already."""


@dataclass(frozen=True)
class Result:
    """What became of a job."""

    source: str
    target: str
    seconds: float = 0.0
    """Duration of the sound."""
    rate: int = 0
    channels: int = 0
    """Channels of the output."""
    latency_ms: float = 0.0
    """Latency of such sound as a stream: of the model and of resampling."""
    compute_seconds: float = 0.0
    notices: list[str] = field(default_factory=list)
    error: str | None = None
    """Why there is no output, in one line."""


def find_jobs(source: Path, target: Path) -> list[Job]:
    """One file, or every sound below a folder as a wav at its place below the other folder.

    Raises InputError for a folder without sound, for outputs of one name, over their input or in a format that cannot be
    written.
    """
    if not source.is_dir():
        jobs = [Job(source, target / f"{source.stem}.wav" if target.is_dir() else target)]
    else:
        if target.is_file():
            raise InputError(f"{source} is a folder but {target} is a file: name a folder to write to")
        listing = find_sounds(source)
        found: list[tuple[Path, str | None]] = [(path, None) for path in listing.paths]
        found += [(Path(path), fault) for path, fault in listing.left_out]
        inside = target.resolve()
        if source.resolve() in inside.parents:  # what an earlier call has written there is not an input of this one
            found = [(path, fault) for path, fault in found if inside not in path.resolve().parents]
        if not found:
            raise InputError(f"no sound files in {source}: looked for {', '.join(sorted(SUFFIXES))}")
        jobs = [
            Job(path, (target / path.relative_to(source)).with_suffix(".wav"), fault) for path, fault in sorted(found)
        ]
    for clean_path, count in Counter(job.target for job in jobs).items():
        if count > 1:
            raise InputError(f"{count} files would be written to {clean_path}: their names differ only in the ending")
    for job in jobs:
        encoding.check_writable(job.target)
        encoding.check_apart(job.source, job.target)
    return jobs


def denoise_file(
    denoiser: Denoiser, job: Job, settings: Settings = PLAIN, advance: Callable[[float], None] = silent
) -> Result:
    """Read, denoise, write. `advance` gets the share of the file that was done. Raises InputError, by name."""
    if job.fault:
        raise InputError(f"cannot read {job.source}: {job.fault}")
    noisy, rate, notices = audio.read_channels(job.source, settings.mono)
    wanted = settings.rate or rate
    target_rate = possible_rate(job.target, wanted)
    notices += encoding.notices(job.target, wanted) + sound.notices(denoiser, rate, target_rate)
    length, elapsed = round(len(noisy) * target_rate / rate), 0.0
    if not length:
        raise InputError(f"cannot use {job.source}: it is shorter than one sample at {target_rate} Hz")
    blocks = np.split(noisy, range(rate, len(noisy), rate))  # a second at a time
    clean = sound.denoised(denoiser, blocks, rate, target_rate)
    with SoundWriter(job.target, sample_format(job.source), target_rate, noisy.shape[1]) as file:
        while True:
            start = time.perf_counter()
            try:
                block = next(clean, None)
            except InputError as error:
                raise InputError(f"cannot use {job.source}: {error}") from error
            elapsed += time.perf_counter() - start
            if block is None:
                break
            file.write(block)
            advance(len(block) / length)
    latency_ms = round(sound.latency_ms(denoiser, rate, target_rate), 3)
    seconds = len(noisy) / rate
    return Result(str(job.source), str(job.target), seconds, target_rate, noisy.shape[1], latency_ms, elapsed, notices)


def denoise_files(
    jobs: Sequence[Job], settings: Settings, processes: int = 1, progress: Callable[[], None] = lambda: None
) -> list[Result]:
    """Every job, in `processes` others (1: in this one); `progress` is called after each. Files that fail say why."""

    def submit(pool: ProcessPool, job: Job) -> Future[Result]:
        future = pool.submit(_attempt, settings, job)
        future.add_done_callback(lambda _: progress())
        return future

    with ProcessPool(processes) as pool:
        futures = [submit(pool, job) for job in jobs]
        return [future.result() for future in futures]


def _attempt(settings: Settings, job: Job) -> Result:
    denoiser = _opened(settings)
    try:
        return denoise_file(denoiser, job, settings)
    except InputError as error:
        reason = " ".join(str(error).split())
    except Exception as error:  # whatever a library makes of one broken file, a night's other files are to be done
        reason = f"cannot use {job.source}: {type(error).__name__}: {' '.join(str(error).split())}"
    denoiser.reset()
    return Result(str(job.source), str(job.target), error=reason)


@functools.lru_cache(maxsize=1)
def _opened(settings: Settings) -> Denoiser:
    """A process opens the model once."""
    return settings.open()
