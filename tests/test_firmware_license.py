"""What a legal department looks for in an exported folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_firmware import everything

from firmware_export.export import export
from firmware_export.license import card_of
from tinyse import released
from tinyse.tflite.writer import save

REPOSITORY = Path(__file__).resolve().parent.parent


def test_a_released_model_has_its_license_and_names_its_recordings(tmp_path):
    export(released.find("student-30k"), tmp_path, 1)
    assert (tmp_path / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()
    notice = (tmp_path / "NOTICE.md").read_text()
    card = json.loads(released.find("student-30k").with_name("card.json").read_text())
    for facts in card["data"].values():
        for corpus, licenses in facts["corpora"].items():
            assert f"| {corpus} | {', '.join(licenses)} |" in notice
    for path in tmp_path.rglob("*"):
        if path.suffix in (".c", ".h", ".ld", ".cmake", ".txt", ".yml", ".properties", ".ino"):
            head = path.read_text().splitlines()[:2]
            assert "SPDX-FileCopyrightText: 2026 the tinyse authors" in head[0], path
            assert "SPDX-License-Identifier: MIT" in head[1], path


def test_the_weights_of_another_model_are_their_owners(tmp_path):
    save(everything(), tmp_path / "own.tflite")
    export(tmp_path / "own.tflite", tmp_path / "out", 1)
    assert "SPDX-License-Identifier: LicenseRef-own-weights" in (tmp_path / "out/src/own_network_data.h").read_text()
    assert "SPDX-License-Identifier: MIT" in (tmp_path / "out/src/own.c").read_text()
    assert "which is not a model that tinyse released" in (tmp_path / "out/NOTICE.md").read_text()


def test_a_card_of_another_file_does_not_speak_for_the_weights(tmp_path):
    save(everything(), tmp_path / "model.tflite")
    (tmp_path / "card.json").write_bytes(released.find("student-30k").with_name("card.json").read_bytes())
    export(tmp_path / "model.tflite", tmp_path / "out", 1)
    assert "which is not a model that tinyse released" in (tmp_path / "out/NOTICE.md").read_text()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"sha256": "all"}', '{"sha256": {"own.tflite": "0"}}'])
def test_what_somebody_else_calls_card_json_is_no_card(tmp_path, content):
    (tmp_path / "card.json").write_text(content)
    assert card_of(tmp_path / "own.tflite", "1") is None
