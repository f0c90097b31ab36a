"""`tinyse doctor`, and the builds of torch that it and the set-up tell apart."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinyse import torch_build
from tinyse.commands import doctor
from tinyse.commands import main as command_line
from tinyse.errors import missing_extra

runner = CliRunner()


def test_doctor_finds_the_base_in_order():
    answer = runner.invoke(command_line.app, ["doctor", "--json"])
    assert answer.exit_code == 0
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


@pytest.mark.parametrize("version", ["1.26.4", "3.0.0"])
def test_doctor_sees_a_version_outside_the_declared_range(monkeypatch, version):
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: version if name == "numpy" else real(name))
    (check,) = [check for check in doctor.package_checks() if check.subject == "numpy"]
    assert (check.group, check.status) == ("base", "wrong")
    assert version in check.found and ">=2.0" in check.found


def test_doctor_counts_local_and_nightly_versions(monkeypatch):
    versions = {"torch": "2.13.0+cpu", "tflite-micro": "0.dev20261024000000"}
    monkeypatch.setattr(doctor, "installed", lambda name: versions.get(name, "99"))
    status = {check.subject: check.status for check in doctor.package_checks()}
    assert status["torch"] == "ok"
    assert status["tflite-micro"] == "wrong"


def test_doctor_knows_which_extra_needs_what_here(monkeypatch):
    lines = ["numpy>=2", 'torch<3,>=2.8; extra == "train"', 'winsound; sys_platform == "win32" and extra == "live"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: lines)
    found = {requirement.name: group for requirement, group in doctor.requirements()}
    assert found == {"numpy": "base", "torch": "train"}


def test_what_is_rarely_needed_is_not_called_missing(monkeypatch, capsys):
    absent = {"tensorflow-cpu", "onnxruntime", "pesq"}
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in absent else "1")
    found = {check.subject: check for check in doctor.package_checks()}
    assert {name: found[name].status for name in absent} == {
        "tensorflow-cpu": "optional", "onnxruntime": "optional", "pesq": "missing"}  # fmt: skip
    assert found["tensorflow-cpu"].mend == "" and "pip install 'tinyse[tensorflow]'" in found["tensorflow-cpu"].found
    doctor.print_table([found["tensorflow-cpu"], found["pesq"]])
    assert "tinyse[tensorflow]" not in capsys.readouterr().out.partition("To get what is missing")[2]


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    """Decoding, training and folders ask in one place; a container's share counts, not the host's cores."""
    cores = importlib.import_module("tinyse.cores").cores
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == cores(physical=True) == 1
        monkeypatch.setattr("tinyse.cores.find_spec", lambda _: None)  # the base without joblib
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)


# builds of torch


def install_torch(site: Path, version: str, cuda: str | None, *beside: str) -> None:
    for name in ("torch", *beside):
        facts = site / f"{name.replace('-', '_')}-{version}.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (facts / "RECORD").write_text(f"{name}/large.so,,1500000000\n")
    (site / "torch").mkdir()
    (site / "torch" / "version.py").write_text(f"__version__ = {version!r}\ncuda = {cuda!r}\n")


def test_a_cpu_build_is_told_from_one_with_cuda(tmp_path):
    assert torch_build.installed([str(tmp_path)]) is None
    install_torch(tmp_path / "cpu", "2.13.0+cpu", None)
    build = torch_build.installed([str(tmp_path / "cpu")])
    assert str(build) == "2.13.0+cpu, CPU build, 1.5 GB"
    install_torch(tmp_path / "cuda", "2.13.0", "13.0", "nvidia-cublas", "triton", "numpy")
    build = torch_build.installed([str(tmp_path / "cuda")])
    assert build.cuda_packages == ("nvidia-cublas", "triton")
    assert str(build) == "2.13.0, built for CUDA 13.0, 2 CUDA packages, 4.5 GB"


@pytest.fixture
def pip(monkeypatch):
    """Stand in for pip: what it was asked to install, and the requirements that it cannot find."""
    fake = types.SimpleNamespace(asked=[], unreachable=[])

    def run(command, check, **_):
        assert command[:3] == [sys.executable, "-m", "pip"]
        fake.asked.append(command)
        failed = any(word in fake.unreachable for word in command)
        if failed and check:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, int(failed))

    monkeypatch.setattr(torch_build.subprocess, "run", run)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    return fake


def test_the_cpu_build_is_taken_from_pytorchs_index(pip):
    torch_build.install("cpu")
    alone, needed = pip.asked
    assert alone[-4:] == [
        "--no-deps",
        "torch==2.13.0+cpu",
        "--extra-index-url",
        "https://download.pytorch.org/whl/cpu",
    ]
    assert needed[-1] == "torch==2.13.0+cpu"


def test_without_a_cpu_build_in_reach_the_one_with_cuda_is_announced(pip, capsys):
    pip.unreachable = ["torch==2.13.0+cpu"]
    torch_build.install("cpu")
    assert [command[-1] for command in pip.asked] == ["https://download.pytorch.org/whl/cpu", "torch===2.13.0"]
    assert "no CPU build of torch 2.13.0 is within reach" in capsys.readouterr().out


def test_where_pypi_has_cpu_builds_it_is_asked(pip, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    torch_build.install("cpu")
    assert pip.asked[0][-1] == "torch==2.13.0"


def test_a_gpu_build_or_any_other_is_taken_on_request(pip):
    torch_build.install("gpu")
    torch_build.install("torch==2.12.0 --index-url https://example.org/cu126")
    assert [command[5:] for command in pip.asked] == [
        ["torch===2.13.0"],
        ["torch==2.12.0", "--index-url", "https://example.org/cu126"],
    ]


def test_whoever_lacks_torch_is_sent_to_the_cpu_build(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert str(missing_extra("torch", "train")).endswith("--extra-index-url https://download.pytorch.org/whl/cpu")
    assert str(missing_extra("pesq", "metrics")).endswith("pip install 'tinyse[metrics]'")


def checks_of(monkeypatch, build: torch_build.Build, gpu: bool, card: bool) -> doctor.Check:
    torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(is_available=lambda: gpu, get_device_name=lambda: "a card")
    torch.get_num_threads = lambda: 1
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if card else None)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    return next(iter(doctor.torch_checks(build)))


CPU = torch_build.Build("2.13.0+cpu", None, (), 0.7)
CUDA = torch_build.Build("2.13.0", "13.0", ("nvidia-cublas", "triton"), 4.5)
LEFT = torch_build.Build("2.13.0+cpu", None, ("nvidia-cublas",), 4.5)


@pytest.mark.parametrize(
    ("build", "gpu", "card", "mend"),
    [
        (CPU, False, False, ""),
        (CUDA, True, True, ""),
        (CUDA, False, False, "pip uninstall --yes torch nvidia-cublas triton; pip install torch==2.13.0+cpu --extra-"),
        (LEFT, False, False, "pip uninstall --yes torch nvidia-cublas; pip install torch==2.13.0+cpu --extra-"),
        (CPU, False, True, "pip install torch===2.13.0"),
    ],
    ids=["cpu", "cuda and a card", "cuda for nothing", "what a cuda build left", "a card for nothing"],
)
def test_doctor_says_when_the_build_does_not_fit_the_machine(monkeypatch, build, gpu, card, mend):
    check = checks_of(monkeypatch, build, gpu, card)
    assert check.status == ("wrong" if mend else "ok")
    assert check.mend.startswith(mend) and bool(check.mend) == bool(mend)
    assert check.found == str(build)


def test_doctor_says_why_torch_does_not_import(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudnn.so.9: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    (check,) = doctor.torch_checks(CUDA)
    assert check.status == "wrong"
    assert "libcudnn" in check.found


def test_the_judges_are_an_extra_that_nobody_misses(monkeypatch):
    declared = types.SimpleNamespace(get_all=lambda key: ["judges"])
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ['jiwer<5,>=4; extra == "judges"'])
    monkeypatch.setattr(doctor.metadata, "metadata", lambda name: declared)
    for version, status in ((None, "optional"), ("3.0", "wrong"), ("4.0.0", "ok")):
        monkeypatch.setattr(doctor, "installed", lambda name, version=version: version)
        (check,) = doctor.package_checks()
        assert (check.group, check.subject, check.status) == ("judges", "jiwer", status)


def test_packages_that_nobody_misses_are_one_line(monkeypatch, capsys):
    """Who installed all that a user needs was told that pytest and thirteen more are missing."""
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    checks = list(doctor.package_checks())
    assert {check.status for check in checks if check.group in ("docs", "dev")} == {"optional"}
    doctor.print_table(checks)
    said = capsys.readouterr().out
    assert "mkdocs-material and 1 more" in said and "hypothesis" not in said and "joblib" in said
