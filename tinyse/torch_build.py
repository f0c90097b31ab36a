"""Which build of torch an environment has, and the commands that bring another. Needs Python and pip, nothing else.

    python -m tinyse.torch_build          # what is installed
    python -m tinyse.torch_build cpu      # install the build without CUDA, as `make setup` does before all else
    python -m tinyse.torch_build gpu      # install PyPI's, with CUDA on Linux

On Linux, PyPI's wheels of torch need CUDA: gigabytes of packages by NVIDIA, which libtorch is linked with and does not
load without. PyTorch's own index has builds without it, whose versions end in `+cpu`; they may also lie where pip is
configured to look. Elsewhere PyPI's wheels are CPU builds.
"""

from __future__ import annotations

import platform
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

VERSION = "2.13.0"
"""The version that was tested. The extra `train` takes a range around it."""

CPU_INDEX = "https://download.pytorch.org/whl/cpu"

CUDA_PACKAGES = ("nvidia-", "cuda-", "triton")
"""How the names of the packages begin that only a CUDA build uses."""

PATIENCE = ("--retries", "1", "--timeout", "20")
"""An index that a firewall hides must not cost minutes."""


@dataclass(frozen=True)
class Build:
    """An installed torch."""

    version: str
    cuda: str | None
    """The version of CUDA that it was built for."""
    cuda_packages: tuple[str, ...]
    """Installed packages that only a CUDA build uses."""
    gigabytes: float
    """What torch and those packages take on disk."""

    def __str__(self) -> str:
        built = f"built for CUDA {self.cuda}" if self.cuda else "CPU build"
        beside = f", {len(self.cuda_packages)} CUDA packages" if self.cuda_packages else ""
        return f"{self.version}, {built}{beside}, {self.gigabytes:.1f} GB"


def installed(path: Sequence[str] | None = None) -> Build | None:
    """The torch in `path` (by default Python's), or None. Nothing is imported, so a broken one is found as well."""
    found = {dist.name.lower(): dist for dist in metadata.distributions(path=list(path or sys.path))}
    if "torch" not in found:
        return None
    facts = runpy.run_path(str(found["torch"].locate_file("torch/version.py")))
    beside = tuple(sorted(name for name in found if name.startswith(CUDA_PACKAGES)))
    size = sum(file.size or 0 for name in ("torch", *beside) for file in found[name].files or ())
    return Build(found["torch"].version, facts["cuda"], beside, size / 1e9)


def arguments(build: str) -> list[str]:
    """What follows `pip install` to get a build: `cpu` or `gpu`."""
    if build == "gpu":
        return [f"torch==={VERSION}"]  # the third sign: a version that ends in +cpu is another one
    if platform.system() == "Linux":
        return [f"torch=={VERSION}+cpu", "--extra-index-url", CPU_INDEX]
    return [f"torch=={VERSION}"]


def extra_command(extra: str) -> str:
    """The command that installs an extra of tinyse; where that takes a torch along, one without CUDA."""
    index = f" --extra-index-url {CPU_INDEX}" if extra in ("train", "all") and platform.system() == "Linux" else ""
    return f"pip install 'tinyse[{extra}]'{index}"


def install(build: str, python: str | Path = sys.executable) -> None:
    """Install `cpu` or `gpu`, or whatever requirement is given, for an interpreter.

    Where no CPU build is within reach, PyPI's is better than none. Raises CalledProcessError where pip fails.
    """
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    wanted = arguments(build) if build in ("cpu", "gpu") else build.split()
    if build == "cpu":
        # Torch by itself, so that the other index is asked once; what torch needs comes with the second command.
        alone = [*command, *PATIENCE, "--no-deps", *wanted]
        if subprocess.run(alone, stdin=subprocess.DEVNULL, check=False).returncode == 0:
            wanted = wanted[:1]
        else:
            wanted = arguments("gpu")
            print(
                f"no CPU build of torch {VERSION} is within reach of this Python (pip says why above): "
                "PyPI's brings CUDA, 4 GB more on disk",
                flush=True,
            )
    subprocess.run([*command, *wanted], stdin=subprocess.DEVNULL, check=True)


def main() -> None:
    """Install what the command line names, then print what is installed."""
    if sys.argv[1:]:
        try:
            install(" ".join(sys.argv[1:]))
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
    print(f"torch {installed() or 'is not installed'}")


if __name__ == "__main__":
    main()
