"""MkDocs hooks: pages that are generated, and pages that lie elsewhere in the repository.

The site has one copy of each fact. Commands come from the command line, the C interface from the header templates, and
some pages are the README of a folder, where its readers look first. Links between all of them are rewritten.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent))
from figures import by_size, without_marks

ROOT = Path(__file__).resolve().parent.parent

ELSEWHERE = {
    "reference/firmware.md": "firmware_export/README.md",
    "explanation/benchmarks.md": "benchmarks/README.md",
    "explanation/experiments.md": "benchmarks/experiments.md",
    "reference/corpus.md": "tinyse/corpus/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
"""Pages of the site by their place there -> the file in the repository; `elsewhere` has the models' cards, too."""

GENERATED = {"reference/commands.md": "tinyse/commands", "reference/c-api.md": "firmware_export/c"}
"""Pages of the site that are generated -> the folder that they are made from, to which links in docs/ lead."""

HEADERS = {
    "denoiser.h.in": "A denoiser: sound in, sound out",
    "tagger.h.in": "A classifier: sound in, tags out",
    "bare.h.in": "A network alone",
    "status.h": "The status",
}

WORD = 36
"""Letters that a line of code has on a phone."""

C_PAGE = """# C

An exported folder has one header for users. `tinyse` and `TINYSE` stand for the prefix of the export, such as `student_62k` and
`STUDENT_62K`, and `@NAME@` for a number that the export fills in.

How to use it is in [the tutorial](../tutorials/microcontroller.md); compilers, exactness and speed are in
[Firmware](firmware.md).
"""


def elsewhere() -> dict[str, str]:
    """All pages that lie elsewhere: by their place on the site, the file in the repository."""
    cards = sorted((ROOT / "tinyse/released").glob("*/card.md"))
    return {**ELSEWHERE, **{f"cards/{card.parent.name}.md": str(card.relative_to(ROOT)) for card in cards}}


def on_config(config: Any) -> Any:
    """Put a page for each model in the place of `cards` in the navigation: the largest student first, then teachers."""
    pages = [place for place in elsewhere() if place.startswith("cards/")]
    order = [f"cards/{name}.md" for name in by_size()]
    pages.sort(key=lambda place: order.index(place) if place in order else len(order))
    for section in config.nav:
        for entry in next(iter(section.values())):
            if isinstance(entry, dict) and "cards" in entry.values():
                entry[next(iter(entry))] = [{Path(page).stem: page} for page in pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what is not in docs/."""
    for place, source in elsewhere().items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    for place, content in zip(GENERATED, (commands(), c_interface()), strict=True):
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links of the repository links of the site; those to anything but a page become text."""
    markdown = without_marks(markdown)
    place = page.file.src_uri
    source = Path(elsewhere().get(place, f"docs/{place}"))
    places = {original: there for there, original in (elsewhere() | GENERATED).items()}

    def rewritten(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(source.parent / target)
        there = places.get(path) or path.removeprefix("docs/")
        if files.get_file_from_path(there) is None:
            # A page of docs/ that is missing stays a link, so that the strict build finds it.
            return match[0] if path.startswith("docs/") else text
        return f"[{text}]({os.path.relpath(there, Path(place).parent)}{anchor})"

    return re.sub(r"\[([^\]]*)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)", rewritten, markdown)


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Keep an option or a name within a line: browsers break `--set` after its hyphens."""

    def kept(code: re.Match[str]) -> str:
        return re.sub(r"\S*-\S*", lambda w: f'<span class="word">{w[0]}</span>' if len(w[0]) <= WORD else w[0], code[0])

    # A block of code has a span in front of its code; what is between lines does not break.
    return re.sub(r"(?<=(?<!</span>)<code>)[^<]*(?=</code>)", kept, content)


def commands() -> str:
    """Every command, as typer documents it."""
    call = [
        sys.executable,
        "-m",
        "typer",
        "tinyse.commands.main",
        "utils",
        "docs",
        "--name",
        "tinyse",
        "--title",
        "Commands",
    ]
    printed = subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    printed = re.sub(
        r"<span[^>]*>(.*?)</span>|\[bold\](.*?)\[/bold\]", lambda match: f"**{match[1] or match[2]}**", printed
    )
    # Lists of subcommands, cut off after some words: the table of contents beside the page has them whole.
    printed = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", printed)
    # Indented lines are command lines; Markdown would join them.
    block = re.compile(r"^\n?((?:  tinyse .*\n)+)", re.MULTILINE)
    return html.unescape(
        block.sub(lambda match: "\n```text\n" + re.sub("^  ", "", match[1], flags=re.M) + "```\n", printed)
    )


def c_interface() -> str:
    """The headers that an export copies."""
    parts = [C_PAGE]
    for name, title in HEADERS.items():
        text = (ROOT / "firmware_export/c" / name).read_text(encoding="utf-8")
        parts.append(f"## {title}\n\n```c\n{text}```\n")
    return "\n".join(parts)
