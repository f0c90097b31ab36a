"""Debian's text-to-speech engines as voices of the built-in corpus: text in, sound at 16 kHz out.

A voice is `engine:name`, optionally with a `warp`: its sound is then played faster or slower, which moves formants and
pitch together, as a shorter or longer vocal tract does. A human being who lent a voice to several engines is one
speaker: all of them have to be in one split.
"""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tinyse.audio import DEFAULT_RATE

FREE_SPEECH = "CMU / University of Edinburgh (permissive, attribution)"
PUBLIC_DOMAIN = "CC0 1.0"


@dataclasses.dataclass(frozen=True)
class Voice:
    """One voice of one engine."""

    engine: str
    """`espeak-ng`, `flite` or `festival`."""
    name: str
    """What the engine calls it."""
    language: str = "en"
    warp: float = 1.0
    """Above 1 for a shorter vocal tract: higher formants and pitch."""

    @property
    def speaker(self) -> str:
        """The name in the manifests and of its folder."""
        name = self.name.replace("+", "-").replace("voice_", "")
        return f"{self.engine}_{name}" + (f"_warp{round(self.warp * 100)}" if self.warp != 1 else "")

    @property
    def license(self) -> str:
        """eSpeak's sound is computed from rules and formants; flite's and Festival's is made of recordings."""
        return PUBLIC_DOMAIN if self.engine == "espeak-ng" else FREE_SPEECH

    def say(self, text: str, rate: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """`text` at 16 kHz as float64, at `rate` times the usual speed; `pitch` (1 is usual) moves eSpeak's alone."""
        slowness = self.warp / rate  # what the warp quickens is spoken slower beforehand
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            if self.engine == "espeak-ng":
                words_a_minute, tone = round(165 / slowness), round(50 * pitch)
                run("espeak-ng", "-v", self.name, "-s", words_a_minute, "-p", tone, "-w", path, text)
            elif self.engine == "flite":
                stretch = f"duration_stretch={slowness:.3f}"
                run("flite", "-voice", self.name, "--setf", stretch, "-t", text, "-o", path)
            else:
                stretch = f"(Parameter.set 'Duration_Stretch {slowness:.3f})"
                run("text2wave", "-eval", f"({self.name})", "-eval", stretch, "-o", path, said=text)
            samples, sample_rate = soundfile.read(path)
        return soxr.resample(samples, sample_rate * self.warp, DEFAULT_RATE)


def run(*command: object, said: str = "") -> None:
    """Run one command of an engine, with `said` at its standard input."""
    subprocess.run([str(part) for part in command], input=said.encode(), check=True, capture_output=True)


def _espeak(language: str, *names: str) -> tuple[Voice, ...]:
    return tuple(Voice("espeak-ng", name, language) for name in names)


TRAIN = (
    # Kevin Lenzo (kal) and the woman of CMU's ARCTIC recordings (slt), each in two engines
    Voice("flite", "slt"),
    Voice("flite", "slt", warp=1.13),
    Voice("flite", "slt", warp=0.9),
    Voice("festival", "voice_cmu_us_slt_arctic_hts"),
    Voice("festival", "voice_cmu_us_slt_arctic_hts", warp=0.82),
    Voice("flite", "kal16"),
    Voice("festival", "voice_kal_diphone"),
    Voice("festival", "voice_kal_diphone", warp=1.16),
    *_espeak("en", "en-us+f3", "en+f2", "en-gb-x-rp+m1", "en-us+m2", "en-gb-scotland+m3", "en-029+f5"),
    *_espeak("en", "en-us+Annie", "en+Andy", "en-us+Gene", "en-gb-x-gbcwmd+Mario", "en-us-nyc+linda"),
    *_espeak("de", "de+m4", "de+f4"),
    *_espeak("fr", "fr+steph", "fr+Hugo"),
    *_espeak("es", "es+Diogo", "es-419+Alicia"),
    *_espeak("it", "it+antonio"),
    *_espeak("pl", "pl+anika"),
)

# Variants with an echo stay in train: what is measured is measured against dry speech.
VALID = (Voice("flite", "awb"), *_espeak("en", "en-us+belinda", "en+m7"), *_espeak("de", "de+Jacky"))

TEST = (Voice("flite", "rms"), *_espeak("en", "en+f1", "en-us+m6"), *_espeak("fr", "fr-be+Andrea"))
