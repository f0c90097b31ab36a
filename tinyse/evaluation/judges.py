"""Judges that need no clean reference: a speech recognizer, DNSMOS and DistillMOS, whose models ship in packages.

`tinyse evaluate --metrics wer,dnsmos,distillmos` with the extra `judges`; nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.audio import resampled
from tinyse.errors import missing_extra, needs
from tinyse.evaluation.dnsmos import DNSMOS_COLUMNS, dnsmos
from tinyse.evaluation.words import heard, word_errors

JUDGES = ("wer", "dnsmos", "distillmos")
"""Their names on the command line."""
DISTILLMOS_RATE = 16000


def open_judges(names: Sequence[str], dnsmos_path: str | Path | None = None) -> None:
    """Try each once, so that what is missing shows before the first clip. Raises InputError."""
    judge(names, np.full(DISTILLMOS_RATE // 10, 1e-3, np.float32), DISTILLMOS_RATE, "nothing", dnsmos_path)


def judge(
    names: Sequence[str], samples: np.ndarray, sample_rate: int, said: str, dnsmos_path: str | Path | None = None
) -> dict[str, float]:
    """The columns of the named judges for one clip (samples,). `said` is its transcript, `dnsmos_path` another network."""
    found: dict[str, float] = {}
    if "wer" in names:
        counted = word_errors(said, heard(samples, sample_rate))
        found["wer"] = 100 * counted.errors / counted.words if counted.words else float("nan")
    if dnsmos_path is not None or "dnsmos" in names:
        scores = dnsmos(samples, dnsmos_path or packaged_dnsmos(), sample_rate)
        found |= dict(zip(DNSMOS_COLUMNS, scores, strict=True))
    if "distillmos" in names:
        found["distillmos"] = distillmos(samples, sample_rate)
    return found


def packaged_dnsmos() -> Path:
    """Microsoft's sig_bak_ovr.onnx in the package speechmos, which is not imported: it needs librosa for nothing here."""
    spec = find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("speechmos", "judges")
    return next(Path(spec.submodule_search_locations[0]).rglob("sig_bak_ovr.onnx"))


def distillmos(samples: np.ndarray, sample_rate: int = DISTILLMOS_RATE) -> float:
    """DistillMOS (Stahl and Gamper 2025), a mean opinion score from 1 to 5; nan for an empty or silent clip."""
    samples = resampled(np.asarray(samples, np.float32), sample_rate, DISTILLMOS_RATE)
    if not samples.any():
        return float("nan")
    network = _distillmos()
    import torch

    with torch.inference_mode():
        return float(network(torch.from_numpy(samples[None])))


@functools.lru_cache(maxsize=1)
def _distillmos() -> Any:
    with needs("judges", "distillmos"), _without_torchaudio(), contextlib.redirect_stdout(io.StringIO()):
        from distillmos import ConvTransformerSQAModel

        return ConvTransformerSQAModel().eval()


@contextlib.contextmanager
def _without_torchaudio() -> Iterator[None]:
    """An empty module in its place: distillmos imports torchaudio for its own command alone, and many do not fit torch."""
    before = {name: module for name, module in sys.modules.items() if name == "torchaudio"}
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
        sys.modules.update(before)
