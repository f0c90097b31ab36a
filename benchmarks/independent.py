"""What is not ours against what is: other runtimes on our files, TensorFlow's converter on our step.

    python benchmarks/independent.py runs/quick/supervise/model-float.tflite --data $TINYSE_DATA \
        --environment build/tflite-runtime --converter

MODEL is the float .tflite that `tinyse export` writes beside the quantized one. The same frames of noisy speech go through
the float stream, through our quantized step in every runtime, and with --converter (extra `tensorflow`, best in a virtual
environment of its own) through int8 files that TensorFlow's converter made of the same step and calibration. With
--environment, tflite-runtime 2.14 under numpy 1.26 is among the runtimes: the virtual environment is made in that folder
if it is not there (Python 3.11, network).

Exits with 1 where TFLM is not the reference bit for bit, where an int8 file does not run, where a runtime's sound is 3 dB
further from the float stream than the reference's, or where the converter's file, in the same runtime as ours, is 0.3 dB
from ours on our ranges or 0.3 dB better on its own.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import command
import numpy as np
import record

from tinyse.clips import refuse_scored, valid_clips
from tinyse.engines.tflite_engines import LiteRTEngine
from tinyse.errors import InputError
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import Table, as_markdown
from tinyse.export import calibration_of
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import activation_qparams, quantize
from tinyse.recordings import open_data
from tinyse.streaming.denoiser import Denoiser
from tinyse.study.converter import convert, requantized_states, stream
from tinyse.study.runtimes import BUILTIN, OLDER, Agreement, compare, make_environment, masks_of, runtimes
from tinyse.tflite.reader import read

CONVERTER_DB, RUNTIME_DB = 0.3, 3.0
OUR_RANGES, OWN_RANGES = (f"TensorFlow's converter, {ranges} ranges" for ranges in ("our", "its own"))


def main() -> None:
    """Calibrate on the valid split, stream benchmark pairs, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="recordings with a valid split and benchmark/")
    parser.add_argument("--pairs", type=int, default=10, help="how many noisy clips are one stream")
    parser.add_argument("--clips", type=int, default=24, help="noisy clips of four seconds that calibration replays")
    parser.add_argument("--environment", type=Path, help="folder of the environment with tflite-runtime 2.14")
    parser.add_argument("--converter", action="store_true", help="ask TensorFlow's converter, too")
    record.add_option(parser)
    arguments = parser.parse_args()
    if arguments.environment is not None:
        make_environment(arguments.environment)

    graph, front_end = read(arguments.model), Denoiser(arguments.model).front_end
    pairs = find_pairs(arguments.data / "benchmark")
    clips = valid_clips(open_data(arguments.data), arguments.clips)
    refuse_scored(clips, pairs)
    sounds = [(clip.name, clip.sound) for clip in clips]
    calibration = calibration_of(graph, front_end, sounds)
    sound = np.concatenate([pair.load().noisy for pair in pairs[: arguments.pairs]])
    features = front_end.clip_features(sound)
    floats = masks_of(LiteRTEngine(arguments.model), features)

    rows, notes, failed = [], [], []
    sounds_db: dict[str, dict[str, str]] = {}
    """Output SNR by runtime and precision."""
    for precision in PRECISIONS:
        quantized = quantize(graph, calibration, precision)
        masks = {}
        for name, run in runtimes(arguments.environment).items():
            if name != "TFLM" or find_spec("tflite_micro") is not None:
                print(f"{precision}: {name}", file=sys.stderr)
                try:
                    masks[name] = run(quantized, features)
                except InputError as error:  # an older runtime lacks what a newer one has
                    notes.append(f"{name} refuses {precision}: {str(error).split('failed: ')[-1]}")
                    failed += [notes[-1]] if precision == "int8" else []
        if precision == "int8" and arguments.converter:
            frames = [(name, {"features": front_end.clip_features(clip)}) for name, clip in sounds]
            for name, qparams in ((OUR_RANGES, activation_qparams(quantized)), (OWN_RANGES, None)):
                print(f"int8: {name}", file=sys.stderr)
                converted = convert(graph, frames, qparams)
                masks[name] = stream(converted.content, features, converted.inputs, converted.outputs)
                notes.append(f"{name}: {len(requantized_states(converted))} states leave requantized.")
        bases = dict.fromkeys((OUR_RANGES, OWN_RANGES, OLDER), BUILTIN)  # the converter's files run in it, too
        for name, found in compare(front_end, sound, floats, masks, bases).items():
            figures = found.mask_snr_db, found.output_snr_db
            rows.append((precision, name, *(f"{figure:.2f}" for figure in figures), found.base,
                         f"{found.gain_db:+.2f}", f"{100 * found.equal:.1f}"))  # fmt: skip
            sounds_db.setdefault(name, {})[precision] = f"{found.output_snr_db:.2f}"
            if not _is_as_expected(name, found):
                failed.append(f"{precision} by {name}: {found.gain_db:+.2f} dB")

    header = (
        "precision",
        "quantized by",
        "mask SNR dB",
        "output SNR dB",
        "compared with",
        "output dB",
        "equal values %",
    )
    note = f"{arguments.model.name}, one stream of {len(sound) / 16000:.0f} s; SNR against the float stream in LiteRT."
    print(as_markdown([Table("Independent checks", header, tuple(rows), "\n".join([note, *notes]))]))
    sounds_rows = tuple(
        (name, *(row.get(precision, "") for precision in PRECISIONS)) for name, row in sounds_db.items()
    )
    table = Table("SNR of the sound against the float stream, dB", ("quantized step in", *PRECISIONS), sounds_rows)
    record.keep(arguments.results, table, "measured")
    if failed:
        sys.exit(f"not as good as the reference: {'; '.join(failed)}")


def _is_as_expected(name: str, found: Agreement) -> bool:
    if name == "TFLM":
        return found.equal == 1
    if name == OWN_RANGES:  # ranges by error may be better than its least and greatest values, but not worse
        return found.gain_db <= CONVERTER_DB
    return abs(found.gain_db) <= (CONVERTER_DB if name == OUR_RANGES else RUNTIME_DB)


if __name__ == "__main__":
    command.run(main)
