"""A recipe from beginning to end: training stages, integers, the chain of numbers. What is finished is not done again."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from tinyse.config import as_dict
from tinyse.errors import InputError
from tinyse.files import write_json
from tinyse.models.files import load_model
from tinyse.recordings import brief, open_data
from tinyse.training.batches import Taught, batches, in_batches
from tinyse.training.machine import Machine, settled, this_machine
from tinyse.training.quantised import choose_grids
from tinyse.training.recipe import Recipe
from tinyse.training.stage import Progress, StageRun, model_path, refuse_other_recipe
from tinyse.training.task import Task
from tinyse.training.tasks import open_task

PACKAGES = ("torch", "numpy", "scipy", "lightning-fabric", "soundfile", "ai-edge-litert", "safetensors", "onnxruntime")


def run(
    recipe: Recipe, show: Callable[[Progress], None], say: Callable[[str], None], machine: Machine | None = None
) -> Path:
    """Run all stages of a recipe and return the last one's model.

    `show` is called after every update, `say` with a line at the beginning and end of each stage. Under torchrun the
    processes share each batch (Lightning Fabric's DDP). `machine`, by default this one, decides what the recipe leaves
    open. Raises InputError for what the user can mend, such as an output folder that another recipe filled.
    """
    machine = machine or this_machine()
    torch.set_num_threads(machine.threads(recipe, processes_here()))
    torch.set_flush_denormal(True)
    try:
        return run_stages(recipe, show, say, machine)
    finally:
        torch.set_flush_denormal(False)  # it would change what the rest of the process computes


def run_stages(
    recipe: Recipe, show: Callable[[Progress], None], say: Callable[[str], None], machine: Machine
) -> Path:
    """`run`, in a process that is set up for it."""
    fabric = launch("32-true")
    if not fabric.is_global_zero:
        show, say = _nothing, _nothing
    recipe, arithmetic = fabric.broadcast(settled(recipe, machine))  # machines of several kinds may share a run
    folder = Path(recipe.output)
    task = open_task(recipe)
    write_record(recipe, task, folder, fabric)
    # What cannot be used is told before hours of other stages.
    for name, stage in recipe.stages.items():
        path = model_path(folder, name)
        if path.exists():
            refuse_other_recipe(load_model(path)[2].get("recipe"), recipe, name, path)
        else:
            for teacher in stage.external_teachers:
                teacher.open()
    for position, (name, stage) in enumerate(recipe.stages.items()):
        path = model_path(folder, name)
        if path.exists():
            say(f"{name}: finished before, {path}")
            continue
        heard = Taught(task.valid(stage), stage.external_teachers)
        valid = in_batches([heard[index] for index in range(len(heard))], stage.batch)
        data_hash = task.open(stage)
        for notice in brief(task.notices) if position == 0 else ():
            say(f"note: {notice}")
        grids = choose_grids(stage, open_data(recipe.data_paths), folder) if stage.quantise else None
        # bf16 would round the features before the integers see them.
        fabric = launch("32-true" if stage.quantise else recipe.precision)
        training = StageRun(fabric, recipe, task, name, data_hash, grids)
        training.restore()
        if arithmetic:
            say(arithmetic)
            arithmetic = ""
        begun = f", from update {training.update}" if training.update else ""
        say(f"{name}: {stage.updates} updates of {stage.batch} clips of {stage.seconds:g} s{begun}")
        rank, world = fabric.global_rank, fabric.world_size
        if stage.batch % world:
            raise InputError(f"stages.{name}.batch: {stage.batch} clips do not divide among {world} processes")
        examples = Taught(task.examples(position, stage.updates * stage.batch), stage.external_teachers)
        workers = machine.workers(recipe, stage, processes_here())
        feed = batches(examples, stage.batch, training.update, stage.updates, workers, rank, world)
        path = training.run(feed, valid, show)
        summary = ", ".join(f"{key} {value:.3f}" for key, value in training.valid.items())
        say(f"{name}: done, valid {summary}; {path}")
    return path


def launch(precision: str) -> Fabric:
    """One process on the GPU if there is one; under torchrun, one of its processes."""
    processes = processes_here()
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // processes
    strategy = "ddp" if processes * nodes > 1 else "auto"
    fabric = Fabric(accelerator="auto", devices=processes, num_nodes=nodes, strategy=strategy, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def processes_here() -> int:
    """How many processes of this run torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


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


def _nothing(_: object) -> None:
    """What the other processes of a parallel run show and say."""
