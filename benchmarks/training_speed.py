"""Seconds of audio per second that the named models train at: forward, backward and AdamW, on noise made here.

    python benchmarks/training_speed.py [--threads 2] [--batch 16] [--seconds 4] [--updates 5]

Measured on this machine, after two updates of warm-up: seconds of audio per second.
"""

from __future__ import annotations

import argparse
import time

import command
import record
import torch

from tinyse.evaluation.report import Table, as_markdown
from tinyse.models.architecture import ARCHITECTURES
from tinyse.models.front_end import TorchFrontEnd
from tinyse.models.network import MaskNetwork
from tinyse.spectra.front_end import FrontEndConfig
from tinyse.tasks.denoise import estimate, masks
from tinyse.tasks.losses import LOSSES, weighted_sum

WEIGHTS = {"compressed_spectral": 1.0, "signal_to_noise": 0.05}


def rate(name: str, bf16: bool, batch: int, seconds: float, updates: int) -> float:
    """Seconds of audio that one second of training takes in."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = MaskNetwork(ARCHITECTURES[name]).to(device, memory_format=torch.channels_last)
    front_end = TorchFrontEnd(FrontEndConfig()).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    clean = torch.randn(batch, int(seconds * 16000), device=device) * 0.05
    noisy = clean + torch.randn_like(clean) * 0.05
    for update in range(updates + 2):
        if update == 2:
            start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            spectra, mask = masks(network, front_end, noisy)
        loss = weighted_sum(LOSSES, WEIGHTS, estimate(front_end, spectra, mask, noisy, clean))
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
    return updates * batch * seconds / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--updates", type=int, default=5)
    record.add_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    rows = []
    for name in ARCHITECTURES:
        rates = (rate(name, bf16, arguments.batch, arguments.seconds, arguments.updates) for bf16 in (False, True))
        rows.append((name, *(f"{value:.1f}" for value in rates)))
    note = f"Measured: {arguments.threads} threads, batch {arguments.batch} x {arguments.seconds:g} s."
    table = Table("Seconds of audio per second", ("model", "float32", "bf16"), tuple(rows), note)
    print(as_markdown([table]))
    record.keep(arguments.results, table, "measured")


if __name__ == "__main__":
    command.run(main)
