"""The notebooks of the site run from their first cell to their last, in an empty folder, and are stored without outputs."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
import walk

NOTEBOOKS = sorted((walk.REPOSITORY / "docs/notebooks").glob("*.ipynb"))
NEEDS = ("nbclient", "ipykernel", "torch", "tflite_micro", "matplotlib")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not all(map(find_spec, NEEDS)), reason="needs every extra: make setup")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == [], "clear the outputs before a commit"
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert shown.count("image/png") >= 3, "spectrograms, losses"
    assert sum("<audio" in output.data.get("text/html", "") for output in outputs if "data" in output) >= 3
    CHECKS[path.stem]("".join(output.text for output in outputs if output.output_type == "stream"))


def adapt(printed: str) -> None:
    before, after = map(float, re.findall(r"the motor.* (-?[\d.]+) dB -> +(-?[\d.]+) dB", printed)[0])
    assert after > before + 0.5


def distill(printed: str) -> None:
    first_step, alone = map(float, re.findall(r"differs from the teacher by ([\d.]+)", printed))
    assert first_step < alone
    assert len(re.findall(r"-?[\d.]+ dB SI-SDR gain", printed)) == 3


CHECKS = {"adapt": adapt, "distill": distill}
"""What a notebook must have shown in its text, by name."""
