"""What test_parallel runs in one process and, under torchrun, in two: small runs that keep what they computed on the way."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tinyse.errors import InputError
from tinyse.training.recipe import load_recipe
from tinyse.training.run import run

HALFWAY = ("mixture", 2)
"""Stage and update after which a run is stopped."""


def recorded(folder, output, *settings, recipe="float", stop=False):
    """Run FOLDER/RECIPE.yaml into FOLDER/OUTPUT: losses of all updates by stage, and the gradient of every stage's first one.

    With `stop` it gets a signal halfway.
    """
    seen, losses, gradients, lines = [], {}, [], []

    def keep(optimizer, *_):
        if optimizer not in seen:
            seen.append(optimizer)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            gradients.append([[] if p.grad is None else p.grad.flatten().tolist() for p in parameters])

    def show(progress):
        losses.setdefault(progress.stage, []).append(progress.loss)
        if stop and (progress.stage, progress.update) == HALFWAY:
            signal.raise_signal(signal.SIGTERM)

    chosen = load_recipe(folder / f"{recipe}.yaml", [f"data={folder / 'own'}", f"output={folder / output}", *settings])
    hook = register_optimizer_step_pre_hook(keep)
    told = ""
    try:
        run(chosen, show, lines.append)
    except (InputError, KeyboardInterrupt) as error:
        told = str(error) or type(error).__name__
    finally:
        hook.remove()
    return {"losses": losses, "gradients": gradients, "lines": lines, "told": told}


def main(folder: Path) -> None:
    """What two processes do: each writes what it has seen."""
    facts = {
        "two": recorded(folder, "two"),
        "stopped by two": recorded(folder, "stopped-by-two", stop=True),
        "resumed by two": recorded(folder, "stopped-by-one"),
        "integers by two": recorded(folder, "integers-by-two", recipe="integers"),
        "bf16": recorded(folder, "two-bf16", "precision=bf16-mixed"),
        "undivided": recorded(folder, "undivided", "stages.mixture.batch=3"),
        "parts": recorded(folder, "undivided", "stages.supervise.accumulate=2", "stages.supervise.batch=6"),
    }
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
