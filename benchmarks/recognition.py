"""What a denoiser does to a speech recognizer: word errors against the strength, at three SNRs and on clean speech.

    python benchmarks/recognition.py run $TINYSE_DATA runs/recognition.jsonl --split valid
    python benchmarks/recognition.py run $TINYSE_DATA runs/recognition.jsonl --split test
    python benchmarks/recognition.py run $TINYSE_DATA runs/recognition.jsonl --split test --rounds 8 --limits 6 full
    python benchmarks/recognition.py report runs/recognition.jsonl --split test --results test

`run` appends a line per utterance, SNR and system, and resumes after the last one; half a second of a core each. The presets
of tinyse were chosen by its table of the valid split; what is reported is the test split.

Sound: recordings of the split whose text is in recognition.trans.txt; in each round each of them in another noise recording
of the split, at its SNR over the whole clip. The recognizer is that of `tinyse evaluate --metrics wer`. Texts:
speechocean762's are those of its repository; LibriSpeech's are what the recognizer heard in the clean recording, corrected by
hand from memory of the books that are read, unverified. A recording whose text could not be completed was left out.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
import numpy as np
import record

from tinyse import audio
from tinyse.errors import InputError
from tinyse.evaluation.pairs import read_transcripts
from tinyse.evaluation.report import Table, as_markdown
from tinyse.evaluation.statistics import pooled
from tinyse.evaluation.words import heard, word_errors
from tinyse.recordings import Manifest, Split, open_data
from tinyse.streaming.denoiser import Denoiser

TEXTS = Path(__file__).with_suffix(".trans.txt")
MODELS = ("student-200k", "student-62k", "student-30k")
LIMITS_DB = (3.0, 6.0, 9.0, 12.0, None)
"""The most that is taken away; None is full strength."""
SNRS_DB = (0.0, 5.0, 10.0, None)
"""None is clean speech."""
LEVEL_DB = -26.0
"""Mean power of every utterance against full scale."""
NOISY = "noisy"


@dataclass(frozen=True)
class Utterance:
    """A recording, and the noise that it is heard in."""

    speech: Path
    noise: Path
    start: float
    """Where in the noise it begins, as a share of it."""

    def mixed(self, snr_db: float | None) -> np.ndarray:
        """(samples,) float32, at LEVEL_DB before the noise is added."""
        speech = _read(self.speech)
        speech *= np.float32(10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(speech**2)))
        if snr_db is None:
            return speech
        noise = _read(self.noise)
        noise = np.resize(np.roll(noise, -int(self.start * len(noise))), len(speech))
        ratio = np.mean(speech**2) / max(float(np.mean(noise**2)), 1e-12)
        return np.clip(speech + noise * np.float32(np.sqrt(ratio) * 10 ** (-snr_db / 20)), -1, 1 - 2**-15)


def utterances(manifest: Manifest, split: Split, turn: int) -> list[Utterance]:
    """The recordings of a split that have a text, each in the noise of a round."""
    texts = read_transcripts(TEXTS)
    here = sorted((row for row in manifest.recordings if row.split == split), key=lambda row: row.path)
    speech = [manifest.root / row.path for row in here if row.kind == "speech" and Path(row.path).stem in texts]
    noise = [manifest.root / row.path for row in here if row.kind == "noise"]
    if not speech or len(noise) < len(speech):
        raise InputError(f"the split {split} has {len(speech)} recordings with a text and {len(noise)} of noise")
    random = np.random.default_rng([turn, split == "test"])
    drawn, starts = random.permutation(len(noise)), random.random(len(speech))
    return [Utterance(path, noise[drawn[place]], float(starts[place])) for place, path in enumerate(speech)]


def systems(
    models: Sequence[str] = MODELS, limits: Sequence[float | None] = LIMITS_DB
) -> Iterator[tuple[str, str, float | None]]:
    """The unprocessed sound, then every model at every strength: (name, model, limit)."""
    yield NOISY, "", None
    for model in models:
        for limit in limits:
            yield f"{model}, {'full strength' if limit is None else f'{limit:g} dB'}", model, limit


def run(
    data: Path,
    results: Path,
    split: Split,
    rounds: int,
    chosen: Sequence[tuple[str, str, float | None]],
    snrs_db: Sequence[float | None],
) -> None:
    """Hear whatever is not in the results yet."""
    manifest = open_data([data])
    texts = read_transcripts(TEXTS)
    done = {_key(line) for line in lines(results)}
    denoisers = {model: Denoiser(model) for _, model, _ in chosen if model}
    results.parent.mkdir(parents=True, exist_ok=True)
    for turn in range(rounds):
        for snr_db in (each for each in snrs_db if turn == 0 or each is not None):
            for utterance in utterances(manifest, split, turn):
                mixture = utterance.mixed(snr_db)
                for name, model, limit in chosen:
                    line = {"split": split, "round": turn, "file": utterance.speech.stem, "snr_db": snr_db}
                    line["system"] = name
                    if _key(line) in done:
                        continue
                    if model:
                        denoisers[model].attenuation_limit_db = limit
                    text = heard(denoisers[model].denoise(mixture) if model else mixture)
                    found = word_errors(texts[utterance.speech.stem], text)
                    line |= {"errors": found.errors, "words": found.words, "heard": text}
                    with open(results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
            print(f"{split}: round {turn + 1} of {rounds}, {_title(snr_db)}", flush=True)


def lines(results: Path) -> list[dict[str, Any]]:
    """What was heard; a line that a stop cut off will be heard again."""
    found = []
    for text in results.read_text(encoding="utf-8").splitlines() if results.is_file() else []:
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return found


def report(results: Path, split: Split) -> Table:
    """Word errors in percent by system and SNR, each with its difference to noisy in the same utterances.

    Systems that have not been heard in every recording yet have no figure.
    """
    found = {_key(line): line for line in lines(results) if line["split"] == split}
    if not found:
        raise InputError(f"{results} has no results of the split {split}")
    recordings = {line["file"] for line in found.values()}
    rows = []
    for name, _, _ in systems():
        cells, counts = [], []
        for snr_db in SNRS_DB:
            own = [line for line in found.values() if line["system"] == name and line["snr_db"] == snr_db]
            pairs = [(line, found[noisy]) for line in own if (noisy := _key(line | {"system": NOISY})) in found]
            if {line["file"] for line, _ in pairs} != recordings:
                pairs = []
            cells.append(_cell(pairs, name == NOISY))
            counts.append(str(len(pairs)))
        if counts != ["0"] * len(counts):
            rows.append((name, *cells, " / ".join(counts)))
    note = (
        "Word errors in %; in brackets the difference to noisy in the same utterances, with its 95 % interval "
        "(bootstrap over recordings, each with all of its noises)."
    )
    header = (f"{split}: system, at most", *map(_title, SNRS_DB), "utterances")
    return Table(f"Word errors, {split}", header, tuple(rows), note)


def _cell(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], plain: bool) -> str:
    """Total word errors, and the difference. A recording is heard in several noises, so it is what is drawn."""
    by_file: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    for own, noisy in pairs:
        by_file[own["file"]] += own["errors"], noisy["errors"], own["words"]
    if not by_file:
        return "-"
    after, before, words = np.array(list(by_file.values())).T
    total, change = pooled(after, words), pooled(after - before, words)
    if plain:
        return total.as_text(1)
    return f"{total.mean:.1f} ({change.as_text(1, '+')})"


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("split", "round", "file", "snr_db", "system"))


def _title(snr_db: float | None) -> str:
    return "clean" if snr_db is None else f"{snr_db:g} dB"


def _read(path: Path) -> np.ndarray:
    return audio.read(path, audio.DEFAULT_RATE)[0]


def _limit(text: str) -> float | None:
    return None if text == "full" else float(text)


def _snr(text: str) -> float | None:
    return None if text == "clean" else float(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="hear what has not been heard yet")
    runner.add_argument("data", type=Path)
    reporter = commands.add_parser("report", help="the table of what was heard")
    for each in (runner, reporter):
        each.add_argument("heard", type=Path, metavar="FILE.jsonl")
        each.add_argument("--split", choices=("valid", "test"), required=True)
    runner.add_argument("--rounds", type=int, default=1, help="noises that each recording is heard in")
    runner.add_argument("--models", choices=MODELS, nargs="+", default=MODELS)
    runner.add_argument("--limits", type=_limit, nargs="+", default=LIMITS_DB, help="of 3, 6, 9, 12 (dB) and full")
    runner.add_argument("--snrs", type=_snr, nargs="+", default=SNRS_DB, help="of 0, 5, 10 (dB) and clean")
    record.add_option(reporter)
    given = parser.parse_args()
    if given.command == "run":
        chosen = tuple(systems(given.models, given.limits))
        run(given.data, given.heard, given.split, given.rounds, chosen, given.snrs)
        return
    table = report(given.heard, given.split)
    print(as_markdown([table]))
    record.keep(given.results, table, "measured")


if __name__ == "__main__":
    command.run(main)
