"""The teachers of a stage: networks of ours that process the batch, and third-party models whose results came with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tinyse.distillation.objective import Distillation
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.models.files import load_model
from tinyse.models.recorder import Recorder
from tinyse.recipe import Recipe
from tinyse.tasks.stage_networks import networks_of
from tinyse.tasks.task import Batch, Task


class TeacherOutput(NamedTuple):
    """What the teachers say of a batch."""

    layers: Mapping[str, Tensor]
    """Outputs of the blocks that views compare."""
    output: Tensor
    """Mean of the teachers' outputs."""
    truth: Tensor
    """What supervised losses compare with: the batch's truth, or its blend with the mean of the teachers' results."""
    ideal: Tensor | None = None
    """The output that the batch's truth asks for, where `patches` compares with it."""


class Teachers:
    """One teacher or an ensemble."""

    def __init__(
        self, fabric: Fabric, recipe: Recipe, task: Task, config: Distillation, paths: Mapping[str, Path]
    ) -> None:
        """`paths` are the files of `config.ours`. Raises InputError for one that cannot teach this recipe's models."""
        self.fabric, self.task, self.config = fabric, task, config
        self.networks: list[nn.Module] = []
        self.origin: list[dict[str, Any]] = []
        """Files that taught, and those that taught these."""
        for name in config.ours:
            path = paths[name]
            network, front_end, header = load_model(path, networks_of(recipe))
            if header["task"] != recipe.task:
                raise InputError(f"{path}: the teacher's task is {header['task']!r}, the recipe's {recipe.task!r}")
            if front_end != recipe.front_end:
                raise InputError(
                    f"{path}: the teacher's front end is not the recipe's; name a teacher with the same one"
                )
            network = network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.networks.append(network.requires_grad_(False))
            file = path.name if Path(name).suffix else f"{name}/{path.name}"  # of a stage or a released model: its name
            self.origin += [{"file": file, "sha256": sha256(path), "external": False}, *header.get("teachers", [])]
        for teacher in config.external:
            path = Path(teacher.onnx)
            self.origin.append({"file": path.name, "sha256": sha256(path), "external": True})

    @torch.no_grad()
    def teach(self, batch: Batch) -> TeacherOutput:
        """What there is to learn of a batch; nothing of it has a gradient."""
        config, truth = self.config, batch.truth
        outputs, answers = [], []
        layers: dict[str, Tensor] = {}
        for network in self.networks:
            with self.fabric.autocast(), Recorder(network, config.compared) as seen:
                output, made = self.task.run(network, batch)
            layers |= seen
            outputs.append(output)
            if config.target:
                answers.append(self.task.answer(made, batch))
        for sound in batch.teacher_sounds:
            outputs.append(self.task.output_for(sound, batch))
            answers.append(sound)
        if config.target:
            truth = torch.lerp(truth, torch.stack(answers).mean(0).to(truth.dtype), config.target)
        ideal = self.task.output_for(batch.truth, batch) if config.patches else None
        return TeacherOutput(layers, torch.stack(outputs).mean(0), truth, ideal)
