"""The command line: fast, without torch, one line for an error; doctor."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import tinyse
from tinyse.commands import doctor
from tinyse.commands import main as command_line
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


def test_version():
    assert run("--version").stdout == f"tinyse {tinyse.__version__}\n"


def test_neither_tinyse_nor_its_command_line_imports_torch():
    heavy = "torch", "scipy", "matplotlib", "ai_edge_litert", "tflite_micro"
    code = f"import sys, tinyse.commands.main; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    code = "import sys, tinyse; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


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


# doctor


def test_doctor_finds_the_base_in_order():
    answer = run("doctor", "--json")
    assert answer.returncode == 0
    report = json.loads(answer.stdout)
    assert report["works"]
    base = {check["subject"]: check["status"] for check in report["checks"] if check["group"] == "base"}
    assert set(base) == set(doctor.MODULES)
    assert set(base.values()) == {"ok"}


def test_doctor_says_how_to_mend_a_broken_base(monkeypatch):
    versions = {"numpy": "1.26.4", "soxr": None}
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: versions.get(name, real(name)))
    answer = runner.invoke(command_line.app, ["doctor"])
    assert answer.exit_code == 1
    assert "pip install 'numpy" in answer.stdout
    assert "pip install 'soxr" in answer.stdout


def test_doctor_knows_the_old_runtime_beside_numpy_2(monkeypatch):
    versions = {"tflite-runtime": "2.14.0", "numpy": "2.4.6"}
    monkeypatch.setattr(doctor, "installed", versions.get)
    assert any(check.subject == "tflite-runtime" and check.status == "wrong" for check in doctor.python_checks())


@pytest.mark.parametrize(
    ("version", "ranges", "expected"),
    [
        ("2.13.0+cpu", ">=2.8,<3", True),
        ("3.0", ">=2.8,<3", False),
        ("2.0.0", ">=2.0", True),
        ("0.dev20261023182759", "==0.dev20261023182759", True),
        ("0.dev20261024000000", "==0.dev20261023182759", False),
        ("15", "", True),
    ],
)
def test_version_ranges(version, ranges, expected):
    assert doctor.satisfies(version, ranges) is expected


def test_requirements_are_read_with_their_extra():
    assert doctor.parse_requirement("numpy<3,>=2.0") == ("numpy", "<3,>=2.0", "base")
    assert doctor.parse_requirement('torch<3,>=2.8; extra == "train"') == ("torch", "<3,>=2.8", "train")
    assert doctor.parse_requirement("tinyse[train,export]; extra == 'all'") == ("tinyse", "", "all")
