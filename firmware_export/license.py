"""What a legal department asks of an export: a license line in each file, the text, and whose data made the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firmware_export import text
from tinyse.documents import read_own_json
from tinyse.errors import InputError

SPDX = "MIT"
"""The license of the code, and of the weights of released models."""
HOLDER = "2026 the tinyse authors"
WEIGHTS = ("_network_data.h", "_network.c", "_network.h", "_vectors.c")
"""Endings of the files that are made from the model's weights and shape."""
_COMMENTS = {".c": "/* {} */", ".h": "/* {} */", ".ld": "/* {} */", ".ino": "// {}", ".cmake": "# {}", ".txt": "# {}",
             ".yml": "# {}", ".yaml": "# {}", ".conf": "# {}", ".properties": "# {}"}  # fmt: skip
_OWN = """The weights are those of `{file}` (SHA-256 {digest}), which is not a model that tinyse released. Their license is
what their owner says; the files that hold them carry `LicenseRef-{prefix}-weights` until the owner replaces it.
"""
_RELEASED = """The weights are those of the released model {name} (SHA-256 of its .tflite: {digest}), published by {holder}
under the license in LICENSE ({spdx}). They were trained on these recordings, with thanks to their authors:

| kind | corpus | license |
|---|---|---|
{rows}
"""


def card_of(model: Path, digest: str) -> dict[str, Any] | None:
    """The card of a released model, None for any other file, whatever lies beside it under that name."""
    try:
        card = read_own_json(model.with_name("card.json"), "sha256")
    except InputError:
        return None
    digests = card["sha256"]
    return card if isinstance(digests, dict) and digests.get(model.name) == digest else None


def weights_license(card: dict[str, Any] | None, prefix: str) -> str:
    """The SPDX expression of the weights."""
    return SPDX if card else f"LicenseRef-{prefix.replace('_', '-')}-weights"


def with_line(name: str, content: str, weights: str) -> str:
    """A file with its license line, where its kind has comments."""
    comment = _COMMENTS.get(Path(name).suffix)
    if comment is None:
        return content
    license = weights if name.endswith(WEIGHTS) else SPDX
    holder = [f"SPDX-FileCopyrightText: {HOLDER}"] if license == SPDX else []
    lines = [*holder, f"SPDX-License-Identifier: {license}"]
    return "\n".join([*(comment.format(line) for line in lines), content])


def texts(model: Path, digest: str, prefix: str, card: dict[str, Any] | None) -> dict[str, str]:
    """{file name: text}: LICENSE of the code, and NOTICE.md about the weights."""
    if card is None:
        weights = _OWN.format(file=model.name, digest=digest, prefix=prefix.replace("_", "-"))
    else:
        rows = [
            f"| {kind} | {corpus} | {', '.join(licenses)} |"
            for kind, facts in card["data"].items()
            for corpus, licenses in facts["corpora"].items()
        ]
        weights = _RELEASED.format(
            name=card["name"], digest=digest, holder=HOLDER, spdx=SPDX, rows="\n".join(rows)
        )  # fmt: skip
    notice = f"# Licenses\n\nCode: {SPDX}, see LICENSE. Copyright {HOLDER}.\n\n{weights}"
    return {"LICENSE": (text.TEMPLATES / "LICENSE").read_text(), "NOTICE.md": notice}
