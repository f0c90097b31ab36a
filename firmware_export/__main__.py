"""python -m firmware_export model.tflite folder: the firmware of a quantized .tflite, without torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from firmware_export.export import export
from firmware_export.packages import PACKAGES, chosen
from firmware_export.report import lines, report
from tinyse.errors import InputError


def main() -> int:
    """Export, print the sizes; 2 for an error of the user, in one line."""
    parser = argparse.ArgumentParser(prog="firmware_export", description=__doc__)
    parser.add_argument("model", type=Path, help="a .tflite of a quantized step, as tinyse export writes it")
    parser.add_argument("folder", type=Path, help="where to write; made if missing")
    parser.add_argument("--frames", type=int, default=100, help="frames of golden vectors (default: 100)")
    parser.add_argument("--fixed-point", action="store_true", help="a fixed-point front end, for cores without an FPU")
    parser.add_argument("--prefix", metavar="NAME", help="of files, symbols and macros (default: the model's name)")
    parser.add_argument("--package", default="all", help=f"some of {', '.join(PACKAGES)}, all (default) or none")
    parser.add_argument("--cmsis", action="store_true", help="layers call CMSIS-NN, which you link (README.md)")
    arguments = parser.parse_args()
    try:
        if arguments.frames < 1:
            raise InputError(f"--frames {arguments.frames}: give 1 or more")
        firmware = export(
            arguments.model,
            arguments.folder,
            arguments.frames,
            arguments.fixed_point,
            arguments.cmsis,
            arguments.prefix,
            chosen(arguments.package),
        )
    except InputError as error:
        print(f"firmware_export: {error}", file=sys.stderr)
        return 2
    print(lines(report(firmware.program, firmware.front_end, firmware.digest, firmware.sources)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
