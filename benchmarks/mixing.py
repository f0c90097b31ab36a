"""How fast audio is mixed on one core, at the defaults and with nothing but an SNR and a level.

    python benchmarks/mixing.py DATA [--seconds 4] [--count 500]

DATA is a folder or manifest that `tinyse data scan` knows. Prints seconds of mixture made per second.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

# The transforms would use all cores otherwise, and the figure would not be of one.
os.environ["OMP_NUM_THREADS"] = "1"

from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.recordings import open_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--cache", default=None)
    given = parser.parse_args()
    manifest = open_data(given.data)
    print(
        f"measured on one core of {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}: {given.count} mixtures of {given.seconds:g} s"
    )
    for name, config in (("defaults", MixtureConfig()), ("plain", MixtureConfig().plain())):
        mixer = open_mixer(manifest, config, given.seconds, seed=0, cache_directory=given.cache)
        for index in range(20):
            mixer(1, index)
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(given.count):
            mixer(0, index)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        made = given.count * given.seconds
        print(
            f"{name:10s} {made / wall:6.0f} s of audio per second of wall time, {made / cpu:6.0f} per second of processor"
        )


if __name__ == "__main__":
    main()
