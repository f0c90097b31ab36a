"""A dual-path denoiser with few weights: a network of your own, in the manner of GTCRN (Rong et al., ICASSP 2024).

    cd examples/dual_path
    tinyse check dual_path.yaml
    tinyse train dual_path.yaml

Two convolutions bring the bands down to a quarter. Dilated depthwise convolutions look further and further into the past.
Then two paths alternate: a GRU along time, whose few weights all bins share, and a mixing of all bins of a frame. The mixing
takes the place of the recurrence along frequency that dual-path networks have, which on a device would be a step per bin. The
same number of convolutions leads up again to a mask.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyse.errors import InputError
from tinyse.models.layers import BinMixing, CausalConvolution, Convolution, SharedGRU, UpsamplingConvolution
from tinyse.models.network import Network
from tinyse.models.wiring import Runner, V


class DualPath(Network):
    """Blocks `down_1`, `down_2`, `temporal_N`, `time_N` and `bins_N`, `up_2`, `up_1`; all but the first and last are added to
    what goes in."""

    def __init__(self, bands: int, channels: int = 12, dilations: Sequence[int] = (1, 2, 4), paths: int = 2) -> None:
        """`channels` of all blocks; a temporal block per dilation, in frames; `paths` of time and bins."""
        super().__init__(bands)
        if bands % 4 or channels % 2:
            raise InputError(f"{bands} bands must be a multiple of 4, {channels} channels of 2")
        self.temporal, self.paths, bins = len(dilations), paths, bands // 4
        self.blocks["down_1"] = CausalConvolution(1, channels, bands, width=5)
        self.blocks["down_2"] = CausalConvolution(channels, channels, bands // 2, width=5, groups=2)
        for number, dilation in enumerate(dilations, 1):
            self.blocks[f"spread_{number}"] = Convolution(channels, channels, activation="prelu")
            self.blocks[f"temporal_{number}"] = CausalConvolution(
                channels, channels, bins, frames=3, stride=1, groups=channels, dilation=dilation, activation="prelu"
            )
            self.blocks[f"gather_{number}"] = Convolution(channels, channels, activation="none")
        for number in range(1, paths + 1):
            self.blocks[f"time_{number}"] = SharedGRU(channels, bins)
            self.blocks[f"bins_{number}"] = BinMixing(channels, bins)
        self.blocks["up_2"] = UpsamplingConvolution(channels, channels)
        self.blocks["up_1"] = UpsamplingConvolution(channels, 1, last=True)

    def wire(self, run: Runner[V], x: V) -> V:
        fine = run.layer("down_1", x)
        x = coarse = run.layer("down_2", fine)
        for number in range(1, self.temporal + 1):
            y = x
            for block in ("spread", "temporal", "gather"):
                y = run.layer(f"{block}_{number}", y)
            x = run.add(f"temporal_{number}/sum", x, y)
        for number in range(1, self.paths + 1):
            x = run.layer(f"time_{number}", x)
            x = run.add(f"bins_{number}/sum", x, run.layer(f"bins_{number}", x))
        x = run.layer("up_2", run.add("up_2/skip", x, coarse))
        return run.sigmoid("mask", run.layer("up_1", run.add("up_1/skip", x, fine)))
