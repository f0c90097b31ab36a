"""What a recipe leaves to the machine: arithmetic, which a run keeps once it has begun, threads, and processes that mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from tinyse.cores import cores
from tinyse.models.files import load_tensors
from tinyse.recipe import Recipe, Stage
from tinyse.training.start import checkpoint_path, model_path

Arithmetic = Literal["bf16-mixed", "32-true"]
"""What `precision` may be once it is settled, as Lightning Fabric names it."""

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16")
"""Those of x86 and Arm, as cpuinfo names them. AVX512 without them has oneDNN emulate bf16, as AVX2 has."""


@dataclass(frozen=True)
class Machine:
    """What decides how fast this machine trains."""

    name: str
    """For messages: the GPU's name, or that it is a processor."""
    bf16: bool
    """Whether it computes in bf16, rather than emulating it, which takes two to five times as long as float32."""

    gpu: bool = False
    cores: int = 1
    """Physical ones that this process may use: a container's share, not the host's."""

    @property
    def precision(self) -> Arithmetic:
        """The faster arithmetic."""
        return "bf16-mixed" if self.bf16 else "32-true"

    def threads(self, recipe: Recipe, processes: int) -> int:
        """Threads of each of the `processes` that train here."""
        return recipe.threads or max(1, self.cores // processes)

    def workers(self, recipe: Recipe, stage: Stage, processes: int) -> int:
        """Processes that mix for each of the `processes` that train here.

        One mixes what ten cores train on (benchmarks/training.py). A GPU takes what the other cores
        give it, and so does a teacher that listens where is mixed.
        """
        if isinstance(recipe.workers, int):
            return recipe.workers
        cores = max(1, self.cores // processes)
        if stage.external_teachers:
            return cores
        return min(8, max(1, cores - 1)) if self.gpu else 1 + cores // 10


def this_machine() -> Machine:
    """The GPU where there is one, which is where a run trains; the processor otherwise."""
    here = cores(physical=True)
    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return Machine(torch.cuda.get_device_name(), bf16, gpu=True, cores=here)
    if torch.backends.mps.is_available():  # some generations emulate bf16 and nothing tells which
        return Machine("an Apple GPU", bf16=False, gpu=True, cores=here)
    return Machine("this processor", has_bf16(processor_capabilities()), cores=here)


def processor_capabilities() -> Mapping[str, Any]:
    """What the processor says of itself, by the names of cpuinfo."""
    if hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu.get_capabilities()
    cpuinfo = Path("/proc/cpuinfo")  # an older torch: x86 Linux and Arm Linux list the same names there
    return dict.fromkeys(cpuinfo.read_text().split(), True) if cpuinfo.exists() else {}


def has_bf16(capabilities: Mapping[str, Any]) -> bool:
    """Whether a processor of these capabilities has instructions for bf16."""
    return any(capabilities.get(name) for name in BF16_INSTRUCTIONS)


def settled(recipe: Recipe, machine: Machine) -> tuple[Recipe, str]:
    """The recipe with `precision` settled, and a line that says to what and why; empty if there is nothing to say.

    A run that has begun keeps its arithmetic, wherever it resumes: other arithmetic gives other weights.
    """
    emulated = "" if machine.bf16 else f"; {machine.name} only emulates bf16, 32-true would be faster"
    if recipe.precision != "auto":
        return recipe, f"precision: bf16-mixed{emulated}" if emulated and recipe.precision == "bf16-mixed" else ""
    if begun := precision_of_run(recipe):
        why = "as this run began" + (emulated if begun == "bf16-mixed" else "")
        return replace(recipe, precision=begun), f"precision: {begun}, {why}"
    why = "has bf16 instructions" if machine.bf16 else "has no bf16 instructions"
    return replace(recipe, precision=machine.precision), f"precision: {machine.precision}, {machine.name} {why}"


def precision_of_run(recipe: Recipe) -> Arithmetic | None:
    """The arithmetic of the first stage that the run's folder knows; None for a run that has yet to begin."""
    for name in recipe.stages:
        for path in (model_path(Path(recipe.output), name), checkpoint_path(Path(recipe.output), name)):
            if path.exists():
                record = load_tensors(path)[1].get("recipe")
                if isinstance(record, dict) and record.get("precision") in get_args(Arithmetic):
                    return record["precision"]
    return None
