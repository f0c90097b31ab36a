"""Networks in ONNX files, which onnxruntime runs: third-party teachers, DNSMOS, the voice of synthesized speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinyse.errors import InputError, needs


def open_network(network: str | Path | bytes, named: str | Path, threads: int = 1) -> Any:
    """An onnxruntime session of a network, given as a path or as its bytes, on the CPU.

    One thread by default: the bits then do not depend on the machine's cores, and processes side by side do not get into each
    other's way. Raises InputError, which begins with `named`, for a broken file, and where onnxruntime is missing.
    """
    with needs("onnx", "onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors: what it warns of is how the file was written
    try:
        given = network if isinstance(network, bytes) else str(network)
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds of errors, which share no base class
        raise InputError(f"{named} is not an ONNX network: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """What an error of onnxruntime says first, else what it is called."""
    return (str(error).splitlines() or [type(error).__name__])[0]
