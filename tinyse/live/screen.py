"""What a running session looks like in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tinyse.live.session import Figures

BAR = 40
LOWEST_DB = -80.0
"""Left end of a level's bar."""
KEYS = {"b": "bypass (A/B)", "m": "mute", "r": "record", "0": "reset", "q": "quit"}


def picture(figures: Figures, title: str) -> RenderableType:
    """The figures as a panel."""
    levels = Table.grid(padding=(0, 2))
    levels.add_row("input", _bar(figures.input_db, figures.input_peak_db), _clipping(figures.clipped_in))
    levels.add_row("output", _bar(figures.output_db, figures.output_peak_db), _clipping(figures.clipped_out))
    numbers = Table.grid(padding=(0, 2))
    numbers.add_row("noise reduction", f"{figures.noise_reduction_db:.1f} dB", "between words, over the last 5 s")
    numbers.add_row("latency", f"{figures.algorithmic_ms:.0f} ms", "algorithmic")
    numbers.add_row("", f"{figures.compute_ms:.1f} ms", f"compute, worst {figures.worst_compute_ms:.1f} ms")
    numbers.add_row("", f"{figures.driver_ms:.0f} + {figures.buffer_ms:.0f} ms", "driver + buffer")
    numbers.add_row("real-time factor", f"{figures.real_time_factor:.3f}", f"{figures.seconds:.0f} s of sound")
    numbers.add_row("faults", str(figures.underruns + figures.overruns + figures.late_hops), _faults(figures))
    if figures.tags:
        numbers.add_row("tags", escape(figures.tags), "in the last second")
    return Panel(Group(levels, "", numbers, "", _keys(figures)), title=escape(title), expand=False)


def summary(figures: Figures) -> str:
    """The figures of a session that is over, in one line."""
    return (
        f"{figures.seconds:.1f} s of sound, noise reduction {figures.noise_reduction_db:.1f} dB, "
        f"real-time factor {figures.real_time_factor:.3f}, latency {figures.algorithmic_ms:g} ms algorithmic, "
        f"{figures.compute_ms:.1f} ms compute, {figures.driver_ms + figures.buffer_ms:.0f} ms driver and buffer; "
        f"{figures.underruns} underruns, {figures.overruns} overruns, {figures.late_hops} late hops, "
        f"{figures.clipped_in} clipped samples in, {figures.clipped_out} out"
        + (f"; tags at the end: {figures.tags}" if figures.tags else "")
    )


def _bar(level: float, peak: float) -> Text:
    filled, mark = (round(BAR * min(max(1 - value / LOWEST_DB, 0), 1)) for value in (level, peak))
    bar = Text("━" * filled, style="red" if peak > -1 else "green")
    bar.append("─" * (BAR - filled), style="bright_black")
    if mark:
        bar = bar[: mark - 1] + Text("┃", style="bold") + bar[mark:]
    return bar.append(f" {level:6.1f} dB", style="default")


def _clipping(samples: int) -> Text:
    return Text(f"{samples} clipped", style="bold red") if samples else Text("no clipping", style="bright_black")


def _faults(figures: Figures) -> Text:
    counts = {"underruns": figures.underruns, "overruns": figures.overruns, "late hops": figures.late_hops}
    text = Text()
    for name, count in counts.items():
        text.append(f"{count} {name}  ", style="bold red" if count else "default")
    return text


def _keys(figures: Figures) -> Text:
    active = {"b": figures.bypass, "m": figures.mute, "r": bool(figures.recording)}
    text = Text()
    for key, meaning in KEYS.items():
        text.append(f" {key} ", style="reverse").append(
            f" {meaning}  ", style="bold yellow" if active.get(key) else "default"
        )
    if figures.recording_error:
        text.append(f"\n recording stopped: {figures.recording_error}", style="bold red")
    return text.append(f"\n recording to {figures.recording}" if figures.recording else "")
