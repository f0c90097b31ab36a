"""What the user sees of a training: count and time at any width, a line every half minute in a log."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from tinyse.commands.screen import EVERY_S, Screen

VALID = {"loss": 0.1234, "si_sdr_gain_db": 7.5912, "sdr_db": 12.9634}


def progress(update: int, valid: dict[str, float], stage: str = "supervise_integers"):
    return SimpleNamespace(stage=stage, update=update, updates=36000, loss=0.0123, audio_per_second=104.2, valid=valid)


@pytest.mark.parametrize("width", [64, 80, 120])
@pytest.mark.parametrize("stage", ["supervise", "supervise_integers"])
def test_the_bar_keeps_stage_count_and_time(width, stage):
    """At 80 columns it used to lose the count and the times after the first look, and the stage was "supe…"."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    screen = Screen(console)
    screen.show(progress(9000, {}, stage))
    screen.show(progress(12000, VALID, stage))
    with console.capture() as capture:
        console.print(screen._bars.get_renderable())
    line = capture.get().rstrip("\n")
    assert "\n" not in line and len(line) <= width
    assert line.startswith(f"{stage} ") and "12000/36000" in line and "…" not in line
    assert line.count(":") == 4, "elapsed and remaining, h:mm:ss each"


def test_a_log_has_a_line_every_half_minute_and_one_for_each_look():
    now, text = [0.0], io.StringIO()
    screen = Screen(Console(file=text, width=80), lambda: now[0])
    for update in range(1, 101):
        now[0] = update * EVERY_S / 10
        screen.show(progress(update, VALID if update >= 50 else {}))
    lines = text.getvalue().splitlines()
    looks = [line for line in lines if "valid" in line]
    assert len(looks) == 1 and looks[0].startswith(
        "supervise_integers 50/36000: valid loss 0.1234, si_sdr_gain_db 7.59"
    )
    assert len(lines) - len(looks) == 10
    assert lines[-1] == "supervise_integers 91/36000  loss 0.0123  104 s/s  29:55:27 left"


def test_a_look_of_the_checkpoint_is_not_told_again():
    """A run that resumes has the values of the last look from the start."""
    text = io.StringIO()
    screen = Screen(Console(file=text, width=80))
    screen.show(progress(51, VALID))
    screen.show(progress(52, VALID))
    assert "valid" not in text.getvalue()
    screen.show(progress(60, dict(VALID)))
    assert "60/36000: valid" in text.getvalue()


def test_another_run_with_a_stage_of_the_same_name_has_its_own_time_left():
    """Comparisons train one recipe after another: the second's time used to count from the first one's beginning."""
    now, text = [0.0], io.StringIO()
    screen = Screen(Console(file=text, width=80), lambda: now[0])
    for update in (1, 1000, 1, 101):
        now[0] += 100 * EVERY_S
        screen.show(progress(update, {}))
    assert text.getvalue().splitlines()[-1].endswith("299:09:30 left")  # 35,899 updates of 30 s
