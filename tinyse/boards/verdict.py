"""Does it fit? Three questions, each with its margin."""

from __future__ import annotations

from dataclasses import dataclass

from tinyse.boards.estimate import Estimate


@dataclass(frozen=True)
class Margin:
    """What is needed of what there is, in `unit`; they are equal at a margin of 0 %."""

    name: str
    needed: float
    available: float
    unit: str

    @property
    def percent(self) -> float:
        """What is left, in percent of what there is; negative where it does not fit."""
        return 100 * (1 - self.needed / self.available)

    @property
    def fits(self) -> bool:
        return self.needed <= self.available

    def __str__(self) -> str:
        state = f"{self.percent:.0f} % left" if self.fits else f"{self.needed / self.available:.1f} times too much"
        decimals = 0 if self.unit == "bytes" else 2
        return f"{self.name}: {self.needed:,.{decimals}f} of {self.available:,.{decimals}f} {self.unit}, {state}"


@dataclass(frozen=True)
class Verdict:
    """The margins of flash, RAM and time; `misses` of `hops` deadlines were missed in the emulation."""

    margins: tuple[Margin, ...]
    misses: int
    hops: int

    @property
    def fits(self) -> bool:
        """Everything fits and no deadline was missed."""
        return not self.misses and all(margin.fits for margin in self.margins)

    @property
    def why(self) -> str:
        """The reason, in a line."""
        reasons = [str(margin) for margin in self.margins if not margin.fits]
        if self.misses:
            reasons.append(f"{self.misses} of {self.hops} deadlines missed")
        if reasons:
            return "; ".join(reasons)
        least = min(self.margins, key=lambda margin: margin.percent)
        return f"the tightest is {least}"


def judge(estimate: Estimate, misses: int = 0, hops: int = 0) -> Verdict:
    """The verdict on an estimate and on the deadlines of an emulation."""
    board = estimate.board
    margins = (
        Margin("flash", estimate.flash_bytes, board.flash_bytes, "bytes"),
        Margin("RAM", estimate.ram_bytes, board.ram_bytes, "bytes"),
        Margin("time per hop", 1000 * estimate.seconds, 1000 * estimate.hop_seconds, "ms"),
    )
    return Verdict(margins, misses, hops)
