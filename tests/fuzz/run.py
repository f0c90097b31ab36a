"""Coverage-guided fuzzing of one reader (see readers.py): atheris changes its seeds and keeps what reaches new lines.

    python tests/fuzz/run.py READER --seconds 3600

The first input of each kind of failure (the exception and the line that raised it) is written to found/READER, where
tests/test_fuzz.py replays it from then on. An input that takes over 10 s or 2 GB ends the run. Inputs that reach new lines are
kept in --corpus, from where another run continues.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
with atheris.instrument_imports(include=["tinyse", "readers", "yaml", "csv", "json"]):
    from readers import READERS

    from tinyse.errors import InputError


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=Path, help="a folder to keep inputs in that reach new lines")
    options = parser.parse_args()
    reader, found, kinds = READERS[options.reader], HERE / "found" / options.reader, set()

    def one(content: bytes) -> None:
        try:
            reader(content)
        except InputError:
            pass
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = (type(error), last.filename, last.lineno)
            if kind not in kinds:
                kinds.add(kind)
                path = found / hashlib.sha256(content).hexdigest()[:12]
                found.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                print(f"FOUND {path}: {type(error).__name__}: {error} ({last.filename}:{last.lineno})", flush=True)

    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="tinyse-fuzz-corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    folders = [str(folder) for folder in (corpus, HERE / "seeds" / options.reader, found) if folder.is_dir()]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={corpus}/", *folders], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
