"""A recipe from beginning to end: training stages, quantization, the chain of numbers. What is finished is not done again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from tinyse.config import as_dict
from tinyse.errors import InputError
from tinyse.files import write_json
from tinyse.models.files import load_tensors
from tinyse.progress import silent
from tinyse.recipe import Recipe
from tinyse.recordings import brief
from tinyse.recordings.broken import RECORD
from tinyse.tasks import TASKS
from tinyse.tasks.task import Task
from tinyse.training.batches import WithTeachers, batches, in_batches
from tinyse.training.lock import locked
from tinyse.training.machine import Machine, settled, this_machine
from tinyse.training.own_networks import check_networks, network_hash
from tinyse.training.processes import launch, processes_here, refuse_undivided
from tinyse.training.quantized import choose_qparams
from tinyse.training.records import refuse_others
from tinyse.training.stage import Progress, StageRun
from tinyse.training.start import check_start, checkpoint_path, model_path, start_hash, teacher_hash
from tinyse.training.stopping import stop_requests

PACKAGES = ("torch", "numpy", "scipy", "lightning-fabric", "soundfile", "ai-edge-litert", "safetensors", "onnxruntime")


def run(
    recipe: Recipe, show: Callable[[Progress], None], say: Callable[[str], None], machine: Machine | None = None
) -> Path:
    """Run all stages of a recipe and return the last one's model.

    `show` is called after every update, `say` with a line at the beginning and end of each stage. Under torchrun the
    processes share each batch. `machine`, by default this one, decides what the recipe leaves
    open. Raises InputError for what the user can fix, such as an output folder that another recipe filled.
    """
    machine = machine or this_machine()
    torch.set_num_threads(machine.threads(recipe, processes_here()))
    torch.set_flush_denormal(True)
    try:
        return run_stages(recipe, show, say, machine)
    finally:
        torch.set_flush_denormal(False)  # it would change what the rest of the process computes


def run_stages(recipe: Recipe, show: Callable[[Progress], None], say: Callable[[str], None], machine: Machine) -> Path:
    """`run`, in a process that is set up for it."""
    check_networks(recipe)
    fabric = launch("32-true")
    if not fabric.is_global_zero:
        show, say = silent, silent
    folder = Path(recipe.output)
    with locked(folder, fabric):
        if fabric.is_global_zero:
            set_damaged_aside(recipe, folder, say)  # before anything reads them
        fabric.barrier()
        recipe, arithmetic = fabric.broadcast(settled(recipe, machine))  # machines of several kinds may share a run
        refuse_undivided(recipe, fabric.world_size)
        task = TASKS[recipe.task](recipe)
        check_stages(recipe, task, folder)
        write_record(recipe, task, folder, fabric)
        for position, (name, stage) in enumerate(recipe.stages.items()):
            path = model_path(folder, name)
            if path.exists():
                say(f"{name}: finished before, {path}")
                if fabric.is_global_zero:  # a run was killed after it had written the model
                    checkpoint_path(folder, name).unlink(missing_ok=True)
                continue
            examples = WithTeachers(task.valid(stage), stage.external_teachers)
            valid = in_batches(examples, stage.batch)
            data = task.open(stage) | names_of(recipe, name)
            for notice in brief(task.notices) if position == 0 else ():
                say(f"note: {notice}")
            qparams = choose_qparams(recipe, name) if stage.quantize else None
            # bf16 would round the features before the quantized network gets them.
            fabric = launch("32-true" if stage.quantize else recipe.precision)
            training = StageRun(fabric, recipe, task, name, data, qparams)
            training.restore()
            if arithmetic:
                say(arithmetic)
                arithmetic = ""
            say(f"{name}: {stage.updates} updates of {stage.batch} clips of {stage.seconds:g} s, {training.beginning}")
            examples = WithTeachers(task.examples(position, stage.updates * stage.batch), stage.external_teachers)
            workers = machine.workers(recipe, stage, processes_here())
            rank, world = fabric.global_rank, fabric.world_size
            with (
                stop_requests() as stop,
                closing(batches(examples, stage.batch, training.update, stage.updates, workers, rank, world)) as feed,
            ):
                path = training.run(feed, valid, show, stop)
            summary = ", ".join(f"{key} {value:.3f}" for key, value in training.valid.items())
            say(f"{name}: done, valid {summary}; {path}")
        if lost := task.broken():
            shown = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            say(f"note: {len(lost)} broken recordings were left out: {shown}; reasons are in {folder / RECORD}")
    return path


def set_damaged_aside(recipe: Recipe, folder: Path, say: Callable[[str], None]) -> None:
    """Rename checkpoints that a failing disk cut short, so that their stages begin again; `say` which."""
    for name in recipe.stages:
        path = checkpoint_path(folder, name)
        if not path.exists():
            continue
        try:
            load_tensors(path)
        except InputError as error:
            kept = path.with_suffix(".damaged")
            path.replace(kept)
            say(f"note: {error}; it is {kept.name} now, and {name} begins again")


def check_stages(recipe: Recipe, task: Task, folder: Path) -> None:
    """Tell before anything is written, and before hours of other stages, what cannot be used.

    Raises InputError for a stage that was finished or begun by another recipe or from other recordings or weights, for
    weights that cannot be gone on from, and for a teacher that cannot be opened.
    """
    for name, stage in recipe.stages.items():
        for path in (model_path(folder, name), checkpoint_path(folder, name)):
            if path.exists():
                refuse_others(load_tensors(path)[1], recipe, name, task.open(stage) | names_of(recipe, name), path)
        if not model_path(folder, name).exists():
            check_start(recipe, name)
            for teacher in stage.external_teachers:
                teacher.open()


def names_of(recipe: Recipe, name: str) -> dict[str, str]:
    """Hashes of what a stage is made from beside its recipe and its recordings, by the names of records."""
    return start_hash(recipe, name) | teacher_hash(recipe, name) | network_hash(recipe, name)


def write_record(recipe: Recipe, task: Task, folder: Path, fabric: Fabric) -> None:
    """Write recipe.json: the whole recipe, versions, and what the data was."""
    if not fabric.is_global_zero:
        return
    record: dict[str, Any] = {
        "recipe": as_dict(recipe),
        "versions": {},
        "data": task.record(),
        "device": str(fabric.device),
    }
    for package in PACKAGES:
        try:
            record["versions"][package] = version(package)
        except PackageNotFoundError:
            continue
    write_json(folder / "recipe.json", record)
