"""What a benchmark is as a command: 0 for success, one line and 2 for what the user can fix, 130 after Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tinyse.errors import InputError
from tinyse.termination import on_termination


def run(main: Callable[[], int | None], resumes: bool = False) -> NoReturn:
    """Run the `main` of the script that was started, and leave with its exit status.

    One that `resumes` continues where it was interrupted, by Ctrl-C, a scheduler's SIGTERM or a closed terminal.
    """
    script = Path(sys.argv[0]).name
    if resumes:
        on_termination(signal.default_int_handler)
    try:
        code = main()
    except InputError as error:
        print(f"{script}: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print(f"{script}: interrupted{'; the same command resumes' if resumes else ''}", file=sys.stderr)
        code = 130
    sys.exit(code)
