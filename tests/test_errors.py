"""What a missing or broken optional package becomes: one line that names it and the command that brings it."""

from __future__ import annotations

import sys

import pytest

from tinyse.errors import InputError, needs


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(InputError, match=r"'torch', which is not installed: pip install 'tinyse\[train\]'"),
        needs("train"),
    ):
        import torch  # noqa: F401


def test_a_package_goes_by_the_name_that_pip_knows(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match="the package 'scikit-learn'"), needs("metrics", "scikit-learn"):
        import sklearn  # noqa: F401


def test_a_package_that_is_broken_says_why(tmp_path, monkeypatch):
    (tmp_path / "fragile.py").write_text("raise ImportError('libfragile.so: cannot open', name='fragile')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"fragile is installed but does not import \(libfragile"), needs("live"):
        import fragile  # noqa: F401


def test_a_mistake_of_ours_stays_a_traceback():
    with pytest.raises(ModuleNotFoundError, match="nothing_here"), needs("train"):
        import tinyse.nothing_here  # noqa: F401
