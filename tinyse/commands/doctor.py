"""`tinyse doctor`: what is installed on this machine, what is missing, and the command that fixes it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinyse import torch_build
from tinyse.cores import cores
from tinyse.torch_build import extra_command

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Status = Literal["ok", "missing", "optional", "wrong"]

RARELY_NEEDED = {
    "tensorflow": "a check of our converter against TensorFlow's",
    "onnx": "third-party teachers, and DNSMOS",
    "judges": "word errors and opinion scores in tinyse evaluate",
    "docs": "building the site, in a clone",
    "dev": "tinyse's own tests, in a clone",
}
"""Extras that few users need: what for."""

MODULES = {
    "numpy": "numpy",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "flatbuffers": "flatbuffers",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "typer": "typer",
    "rich": "rich",
    "packaging": "packaging",
    "markdown-it-py": "markdown_it",
}
"""What each package of the base has to be importable as: a wheel for another machine installs and then fails."""

PROGRAMS = {
    "gcc": ("compile the firmware for this machine", "gcc"),
    "arm-none-eabi-gcc": ("compile the firmware for Arm", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    "qemu-system-arm": ("run the firmware on an emulated board", "qemu-system-arm"),
    "ffmpeg": ("read .m4a and other formats", "ffmpeg"),
    "clang": ("compile the firmware to WebAssembly (tinyse web)", "clang"),
    "wasm-ld": ("link it", "lld"),
}
"""Programs that are used where they are installed: what for, and Debian's packages."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the table."""

    group: str
    """`python`, `base`, an extra's name, or `machine`."""
    subject: str
    status: Status
    found: str
    mend: str = ""
    """The command, or the advice, that turns the status into ok."""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """Show what is installed, what is missing and how to get it; exit with 1 if the base does not work."""
    checks = [*python_checks(), *package_checks()]
    broken = any(check.status != "ok" and check.group in ("python", "base") for check in checks)
    checks += machine_checks()
    if not broken:
        checks.append(cache_check())
    if as_json:
        print(json.dumps({"works": not broken, "checks": [dataclasses.asdict(check) for check in checks]}, indent=2))
    else:
        print_table(checks)
    if broken:
        raise typer.Exit(1)


def python_checks() -> Iterator[Check]:
    """The interpreter, and packages that are known to break others."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 10) <= sys.version_info[:2] < (3, 14)
    yield Check("python", "Python", "ok" if fits else "wrong", version, "" if fits else "use Python 3.10 to 3.13")
    old_runtime, numpy = installed("tflite-runtime"), installed("numpy")
    if old_runtime and numpy and int(numpy.partition(".")[0]) >= 2:
        yield Check(
            "python",
            "tflite-runtime",
            "wrong",
            f"{old_runtime} was built for numpy 1 and fails beside numpy {numpy}",
            "pip uninstall tflite-runtime  (ai-edge-litert is its successor)",
        )


def package_checks() -> Iterator[Check]:
    """Every dependency that tinyse declares: its installed version against the declared range, the base's by import."""
    try:
        declared = requirements()
    except ModuleNotFoundError as absent:
        yield Check("base", absent.name or "packaging", "missing", "", f"pip install {absent.name}")
        return
    for requirement, group in declared:
        name, ranges = requirement.name, str(requirement.specifier)
        if name == "tinyse":  # the extra `all` names the others
            continue
        version = installed(name)
        mend = f"pip install '{name}{ranges}'" if group == "base" else extra_command(group)
        if name == "torch":
            mend = f"pip install {' '.join(torch_build.arguments('cpu'))}"
        if version is None and group in RARELY_NEEDED:
            yield Check(group, name, "optional", f"{RARELY_NEEDED[group]}: {mend}")
        elif version is None:
            yield Check(group, name, "missing", "", mend)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Check(group, name, "wrong", f"{version}, needed {ranges}", mend)
        elif group == "base" and (error := import_error(MODULES[name])):
            yield Check(group, name, "wrong", f"{version} does not import: {error}", f"{mend} --force-reinstall")
        else:
            yield Check(group, name, "ok", version)


def machine_checks() -> Iterator[Check]:
    """Libraries and programs outside Python, and what there is to compute with."""
    from ctypes.util import find_library

    portaudio = find_library("portaudio")
    mend = "" if portaudio else "apt-get install libportaudio2"
    yield Check("machine", "PortAudio", "ok" if portaudio else "missing", portaudio or "live sound", mend)
    yield models_check()
    for program, (purpose, packages) in PROGRAMS.items():
        place = shutil.which(program)
        mend = "" if place else f"apt-get install {packages}"
        yield Check("machine", program, "ok" if place else "missing", place or purpose, mend)
    here = os.path.dirname(sys.executable)
    place = shutil.which("vela", path=os.pathsep.join([here, os.environ.get("PATH", "")]))
    mend = "" if place else extra_command("export")
    yield Check("machine", "vela", "ok" if place else "missing", place or "compile for an Ethos-U", mend)
    yield Check("machine", "CPU cores", "ok", str(cores()))
    if build := torch_build.installed():
        yield from torch_checks(build)


def models_check() -> Check:
    """The compiled C of the models that come with tinyse."""
    from firmware_export import built_in

    reason = built_in.missing()
    if reason is None:
        return Check("machine", "engine c", "ok", f"of the models that come with tinyse: {built_in.library_name()}")
    mend = "apt-get install gcc libc6-dev, and install tinyse again"
    return Check("machine", "engine c", "missing", f"LiteRT takes its place, at twice the time: {reason}", mend)


def torch_checks(build: torch_build.Build) -> Iterator[Check]:
    """The build of torch, and what it can compute with: whether one fits the other."""
    cpu = f"pip install {' '.join(torch_build.arguments('cpu'))}"
    if error := import_error("torch"):
        yield Check("machine", "torch", "wrong", f"{build}; it does not import: {error}", f"{cpu} --force-reinstall")
        return
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    mend = ""
    if gpu is None and (build.cuda or build.cuda_packages):
        mend = f"pip uninstall --yes {' '.join(('torch', *build.cuda_packages))}; {cpu}"
    elif gpu is None and shutil.which("nvidia-smi"):
        mend = f"pip install {' '.join(torch_build.arguments('gpu'))}"
    yield Check("machine", "torch", "wrong" if mend else "ok", str(build), mend)
    yield Check("machine", "torch threads", "ok", f"{torch.get_num_threads()} (OMP_NUM_THREADS sets it)")
    yield Check("machine", "GPU for torch", "ok", gpu or "none")


def cache_check(least_gigabytes: float = 2.0) -> Check:
    """Disk space for the cache of decoded recordings."""
    from tinyse.files import free_bytes
    from tinyse.recordings.cache import default_cache

    folder = default_cache()
    free = free_bytes(folder) / 1e9
    enough = free >= least_gigabytes
    mend = "" if enough else f"free {least_gigabytes:g} GB, or set TINYSE_CACHE to a folder with room"
    return Check("machine", "free disk for the cache", "ok" if enough else "wrong", f"{free:.1f} GB in {folder}", mend)


def requirements() -> list[tuple[Requirement, str]]:
    """What tinyse declares to need here, each with its extra (`base` for none)."""
    from packaging.requirements import Requirement

    found = []
    for requirement in map(Requirement, metadata.requires("tinyse") or ()):
        for extra in ("", *(metadata.metadata("tinyse").get_all("Provides-Extra") or ())):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                found.append((requirement, extra or "base"))
                break
    return found


def installed(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def import_error(module: str) -> str | None:
    """Why a module cannot be imported, as one line, or None. A broken wheel may raise anything."""
    try:
        import_module(module)
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _told(check: Check) -> tuple[str, str, str]:
    """What the checks of one line of the table share: packages that nobody misses are told in one, others each."""
    return check.group, check.status, check.found if check.status == "optional" else check.subject


def print_table(checks: list[Check]) -> None:
    """The checks as a table, and a line for each that has to be fixed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colors = {"ok": "green", "missing": "yellow", "optional": "dim", "wrong": "red"}
    console = Console()
    table = Table("for", "what", "", "found", box=None, header_style="bold")
    table.columns[-1].overflow = "fold"
    group = ""
    for (_, status, _), alike in itertools.groupby(checks, key=_told):
        first, *more = alike
        subject = f"{first.subject} and {len(more)} more" if more else first.subject
        mark = f"[{colors[status]}]{status}"
        table.add_row(first.group if first.group != group else "", escape(subject), mark, escape(first.found))
        group = first.group
    console.print(table)
    commands = {check.mend: check.subject for check in reversed(checks) if check.mend}
    if commands:
        console.print("\n[bold]To get what is missing or mend what is wrong[/bold]")
    for command, subject in reversed(commands.items()):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True, end="")
        console.print(f"  # {subject}", markup=False, highlight=False, soft_wrap=True, style="dim")
