"""Loads a .tflite from standard input in TFLM with ever closer arenas: run as a script, since TFLM may crash in a small one.

    python tflm_trial.py SHORT ENOUGH STEP < model.tflite

prints, line by line, each size before it is tried, and then 1 or 0: whether it loads.
"""

import functools
import sys


def main() -> None:
    """Halve the distance between an arena that is too short and one that is enough until it is STEP."""
    from tflite_micro.python.tflite_micro import runtime

    # The package parses the file anew for each interpreter, which takes far longer than to load it.
    runtime.count_resource_variables = functools.cache(runtime.count_resource_variables)
    short, enough, step = map(int, sys.argv[1:])
    content = sys.stdin.buffer.read()
    while enough - short > step:
        middle = (short + enough) // 2 // step * step
        print(middle, flush=True)
        loaded = loads(content, middle)
        print(int(loaded), flush=True)
        short, enough = (short, middle) if loaded else (middle, enough)


def loads(content: bytes, size: int) -> bool:
    """Whether TFLM loads a file in an arena of `size` bytes."""
    from tflite_micro.python.tflite_micro import runtime

    try:
        runtime.Interpreter.from_bytes(content, arena_size=size)
    except (RuntimeError, ValueError):
        return False
    return True


if __name__ == "__main__":
    del sys.path[0]  # this folder: its modules have short names
    main()
