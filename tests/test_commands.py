"""The command line: fast, without torch, one line for an error."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import tinyse
import tinyse.released
from tinyse import audio
from tinyse.commands import main as command_line
from tinyse.commands.examples import EXAMPLES
from tinyse.commands.models import models
from tinyse.errors import InputError

runner = CliRunner()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinyse", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_teaches_the_way_from_recordings_to_firmware():
    shown = run("--help")
    assert shown.returncode == 0
    places = [shown.stdout.index(f"tinyse {name}") for name in ("data scan", "train", "export", "bench", "denoise")]
    assert places == sorted(places)


def test_help_fits_a_terminal_of_80_columns():
    shown = subprocess.run(
        [sys.executable, "-m", "tinyse", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        check=True,
    ).stdout
    teaching = [line.strip() for line in shown.splitlines() if line.startswith("   ") and line.strip()]
    assert len(teaching) == 11
    assert all(line.startswith("tinyse ") and "  " in line for line in teaching)  # a command and what it does


def test_commands_are_listed_in_the_order_of_the_work():
    group = typer.main.get_command(command_line.app)
    names = list(group.list_commands(None))
    assert names == [name for names in command_line.COMMANDS.values() for name in names]
    assert set(names) == set(group.commands)


@pytest.mark.parametrize(("name", "command"), list(command_line.every_command()))
def test_every_command_has_an_example_that_it_understands(name, command):
    shown = runner.invoke(command_line.app, [*name.split(), "--help"]).stdout
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        assert example in shown
        words = shlex.split(example)
        assert words[: 1 + len(name.split())] == ["tinyse", *name.split()]
        leaf = typer.main.get_command(command_line.app)
        for part in name.split():
            leaf = leaf.commands[part]
        leaf.make_context(name, words[1 + len(name.split()) :])


def test_a_paragraph_of_help_is_set_by_the_terminal():
    assert command_line._paragraphs("one\ntwo\n\n  a\n  b\n\nthree\n") == "one two\n\n  a\n  b\n\nthree"


@pytest.mark.parametrize(("typed", "offered"), [("tinyse de", "denoise"), ("tinyse data sc", "scan")])
def test_the_shell_completes_commands(typed, offered):
    asked = {"_TINYSE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    command = [sys.executable, "-m", "tinyse"]
    answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked}, check=False)
    assert answer.stdout.split() == [offered]


@pytest.mark.parametrize(
    ("variables", "colored"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colors_survive_a_pipe_on_request(variables, colored):
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    command = [sys.executable, "-m", "tinyse", "doctor"]
    shown = subprocess.run(command, capture_output=True, text=True, env={**kept, **variables}, check=False).stdout
    assert ("\x1b[32m" in shown) is colored


def test_version():
    assert run("--version").stdout == f"tinyse {tinyse.__version__}\n"


def test_neither_tinyse_nor_its_command_line_imports_torch():
    heavy = "torch", "scipy", "matplotlib", "ai_edge_litert", "tflite_micro"
    code = f"import sys, tinyse.commands.main; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    code = "import sys, tinyse; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_look_at_recordings_imports_no_torch():
    code = (
        "import sys, atexit, tinyse.commands.main as m; sys.argv = ['tinyse', 'data', 'scan', 'built-in', '--json']\n"
    )
    code += "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); m.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["summary"] and done.stderr.endswith("False\n")


def test_a_wrong_command_is_answered_with_the_right_one():
    answer = run("denoize")
    assert answer.returncode == 2
    assert "denoise" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_users_error_is_one_line_and_exit_2(tmp_path):
    answer = run("denoise", tmp_path / "no.wav", tmp_path / "out.wav", "--model", tmp_path / "no.tflite")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("tinyse: ")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("mistyped", "said"),
    [
        (["denois"], "No such command 'denois'. Did you mean 'denoise'?; tinyse --help explains"),
        (["denoise", "in.wav"], "Missing argument 'OUT'; tinyse denoise --help explains"),
        (["data", "scan", ".", "--jsn"], "No such option: --jsn"),
        (["bench", "model.tflite", "--seed", "many"], "Invalid value for '--seed'"),
        (["denoise", "in.wav", "out.wav", "--engine", "q"], "Invalid value for '--engine': 'q' is not one of"),
    ],
)
def test_a_mistyped_command_line_is_one_line_and_exit_2(mistyped, said):
    answer = run(*mistyped)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"tinyse: {said}")
    assert answer.stderr.count("\n") == 1


def test_without_a_command_there_is_the_help():
    answer = run()
    assert answer.returncode == 2
    assert "From recordings to firmware" in answer.stdout
    assert answer.stderr == ""


@pytest.mark.parametrize(
    ("raised", "code", "printed"),
    [
        (InputError("first\n  second"), 2, "tinyse: first second\n"),
        (KeyboardInterrupt(), 130, "tinyse: interrupted\n"),
        (SystemExit(130), 130, "tinyse: interrupted\n"),
        (SystemExit(3), 3, ""),
    ],
    ids=["input", "interrupt", "interrupt-in-typer", "exit"],
)
def test_main_turns_errors_into_exit_codes(monkeypatch, capsys, raised, code, printed):
    def app(**_) -> None:
        raise raised

    monkeypatch.setattr(command_line, "app", app)
    with pytest.raises(SystemExit) as leaving:
        command_line.main()
    assert leaving.value.code == code
    assert capsys.readouterr().err == printed


def test_under_torchrun_one_process_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    """The others leave what they know to torchrun, which reports the process that failed first."""
    pytest.importorskip("torch")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    for raised, code, line in (
        (InputError("there is no folder x"), 2, "tinyse: there is no folder x\n"),
        (KeyboardInterrupt(), 130, "tinyse: interrupted\n"),
    ):
        for rank, said in (("0", line), ("1", "")):
            monkeypatch.setenv("RANK", rank)
            monkeypatch.setattr(command_line, "app", lambda raised=raised, **_: (_ for _ in ()).throw(raised))
            with pytest.raises(SystemExit) as leaving:
                command_line.main()
            assert (leaving.value.code, capsys.readouterr().err) == (code, said)
    assert "there is no folder x" in (tmp_path / "error.json").read_text()


@pytest.mark.parametrize(
    "words",
    [("denoise", "in.wav", "{}"), ("denoise", "{}", "out.wav"), ("bench", "{}.tflite"), ("data", "scan", "{}")],
    ids=" ".join,
)
def test_a_place_that_cannot_be_looked_at_is_one_line(words):
    """As one in somebody else's folder, which root, who may run this test, can look at."""
    done = run(*(word.format("x" * 300) for word in words))
    assert done.returncode == 2
    assert re.fullmatch(r"tinyse: .*x{300}.*\n", done.stderr)


def test_what_a_file_system_refuses_is_the_users_and_what_is_missing_is_ours(monkeypatch, capsys):
    def app(**_) -> None:
        raise raised

    monkeypatch.setattr(command_line, "app", app)
    raised: Exception = PermissionError(13, "Permission denied", "theirs/model.tflite")
    with pytest.raises(SystemExit) as leaving:
        command_line.main()
    assert (leaving.value.code, capsys.readouterr().err) == (
        2,
        "tinyse: cannot use theirs/model.tflite: Permission denied\n",
    )
    for raised in (FileNotFoundError(2, "No such file", "tinyse/lost.json"), PermissionError(13, "Permission denied")):
        with pytest.raises(type(raised)):
            command_line.main()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
@pytest.mark.parametrize("words", [["models"], ["models", "--json"], ["--version"]])
def test_an_output_that_takes_no_more_is_one_line(words):
    """Printed by rich at once, and by print at the end."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "tinyse", *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"tinyse: cannot write the output: No space left on device.*\n", done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
@pytest.mark.parametrize("taken", ["2> /dev/full", "2>&1 >/dev/null | true"])
@pytest.mark.parametrize(("then", "code"), [("1", 0), ("raise KeyboardInterrupt", 130), ("raise InputError", 2)])
def test_what_standard_error_does_not_take_ends_nothing(taken, then, code):
    """A full disk under a training's log, or a `tee` that Ctrl-C ended first."""
    lines = ["import time", "from tinyse.commands import main", "from tinyse.errors import InputError"]
    lines += [
        "from tinyse.progress import note",
        "def app(**_):",
        *["    note('hours are left')", "    time.sleep(.1)"] * 2,
    ]
    lines += [f"    {then}", "main.app = app", "main.main()"]
    shell = '"$1" -c "$2" ' + taken + '; exit "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", shell, "bash", sys.executable, "\n".join(lines)], check=False)
    assert done.returncode == code


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m tinyse doctor --json | head -c 1"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert answer.stdout == "{"
    assert answer.stderr == ""


@pytest.mark.parametrize("name", [name for names in command_line.COMMANDS.values() for name in names])
def test_every_command_explains_itself(name):
    registered = {command.name for command in command_line.app.registered_commands}
    registered |= {group.name for group in command_line.app.registered_groups}
    if name not in registered:
        pytest.skip(f"tinyse {name} is not written yet")
    assert runner.invoke(command_line.app, [name, "--help"]).exit_code == 0


BASE_ONLY = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("scipy", "torch", "safetensors", "pesq", "pystoi", "matplotlib", "tflite_micro"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from tinyse.commands.main import main
sys.argv[0] = "tinyse"
main()
"""
"""The command line as the base installation has it: without the packages of every extra."""


@pytest.mark.parametrize(
    "line",
    [
        "quantize study student-62k",
        "quantize explain student-62k",
        "check recipes/demo.yaml",
        "train recipes/demo.yaml",
        "data preview recipes/demo.yaml --output heard",
        "data synthesize --output sounds",
        "adapt --noise motor",
    ],
)
def test_a_command_that_needs_an_extra_says_so_in_one_line(line, tmp_path):
    (tmp_path / "motor").mkdir()
    assert run("init", tmp_path).returncode == 0
    command = [sys.executable, "-c", BASE_ONLY, *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "pip install 'tinyse[" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train none.yaml", "there is no recipe none.yaml"),
        ("train broken.yaml", "broken.yaml: no readable YAML"),
        ("train extends.yaml", "extends: there is no recipe none.yaml"),
        ("train list.yaml", "a recipe is keys and values"),
        ("train good.yaml --set seed", "--set seed: expected KEY=VALUE"),
        ("check none.yaml", "there is no recipe none.yaml"),
        ("data preview none.yaml --output out", "there is no recipe none.yaml"),
        ("evaluate none.safetensors pairs", "there is no model file none.safetensors"),
        ("evaluate student-62k none", "there is no folder none"),
        ("evaluate student-62k pairs --recipe none.yaml", "there is no recipe none.yaml"),
    ],
)
def test_a_path_that_cannot_be_read_is_told_before_torch_is_imported(line, said, tmp_path):
    """torch takes seconds to import; here it is as if it were not installed."""
    for name, text in (("broken", "a: [1"), ("extends", "extends: none.yaml"), ("list", "[1]"), ("good", "seed: 1")):
        (tmp_path / f"{name}.yaml").write_text(text)
    for side in ("clean", "noisy"):
        audio.write(tmp_path / "pairs" / side / "a.wav", np.full(16000, 0.1, np.float32))
    code = "import sys; sys.modules['torch'] = None; from tinyse.commands.main import main; main()"
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr


def test_models_without_torch_lists_those_that_come_along_as_with_it(monkeypatch, capsys):
    pytest.importorskip("torch")
    models(as_json=True)
    family = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    monkeypatch.setattr("tinyse.commands.models.find_spec", lambda name: None)
    models(as_json=True)
    printed = capsys.readouterr()
    shipped = json.loads(printed.out)
    assert [row["name"] for row in shipped] == tinyse.released.names()
    assert shipped == [family[row["name"]] for row in shipped]
    assert "tinyse[train]" in printed.err
