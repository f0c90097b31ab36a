"""The site builds without a warning, and has what is generated: commands, interfaces, pages from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import browser
import pytest
import walk
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("docs", "tinyse", "firmware_export", "benchmarks", "mkdocs.yml")
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")

COLUMNS = 103
"""Of code, on a page in a window 1440 pixels wide."""


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, "PYTHONPATH": str(source), "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    target = tmp_path_factory.mktemp("site")
    done = build(REPOSITORY, target)
    assert done.returncode == 0, done.stderr
    return target


def text(site: Path, page: str) -> str:
    """A page without its tags."""
    return re.sub(r"<[^>]+>", "", (site / page).read_text(encoding="utf-8"))


def test_every_command_and_option_is_in_the_reference(site):
    from tinyse.commands.main import every_command

    page = text(site, "reference/commands.html")
    for name, _ in every_command():
        assert f"tinyse {name}" in page
    assert "--attenuation-limit-db" in page and "tinyse denoise noisy.wav clean.wav" in page
    assert "[bold]" not in page


def test_a_line_does_not_break_within_an_option(site):
    page = (site / "tutorials/microcontroller.html").read_text(encoding="utf-8")
    assert '<code><span class="word">--fixed-point</span></code>' in page
    blocks = re.findall(r"<pre>.*?</pre>", page, re.DOTALL)
    assert len(blocks) > 5 and 'class="word"' not in "".join(blocks)


def test_interfaces_are_in_the_reference(site):
    words = {
        "python": ("Denoiser", "process", "Tagger", "export_model"),
        "c-api": ("tinyse_process", "tinyse_decide", "TINYSE_WRONG_HEADER"),
    }
    for page, expected in words.items():
        assert [word for word in expected if word not in text(site, f"reference/{page}.html")] == []


def test_pages_from_elsewhere_link_within_the_site(site):
    page = (site / "explanation/benchmarks.html").read_text(encoding="utf-8")
    assert 'href="quantization.html"' in page and 'src="../images/two_step.svg"' in page
    assert 'href="../reference/firmware.html"' in (site / "tutorials/microcontroller.html").read_text(encoding="utf-8")


LAYOUT = """(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = e => !e.matches(".md-content") &&
    (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const beyond = [...document.querySelectorAll(".md-content *")].filter(
    e => e.getBoundingClientRect().width && e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));
  const broken = [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src);
  return {beyond: beyond.map(e => e.outerHTML.slice(0, 80)), broken,
    scheme: document.body.dataset.mdColorScheme, requests: performance.getEntriesByType("resource").map(r => r.name)};
})()"""
"""What is wider than the window and cannot be scrolled, pictures that are missing, the colors, and what was fetched."""


@pytest.mark.skipif(browser.find() is None, reason="needs Chromium: apt-get install chromium")
def test_pages_fit_a_phone_follow_the_scheme_and_fetch_nothing(site, tmp_path):
    visitor = browser.Browser("about:blank", tmp_path / "profile", ["--allow-file-access-from-files"])
    try:
        for number, page in enumerate(sorted(site.rglob("*.html"))):
            scheme = ("light", "dark")[number % 2]
            visitor.call("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=False)
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            visitor.call("Emulation.setEmulatedMedia", features=features)
            visitor.call("Page.navigate", url=page.as_uri())
            visitor.wait_for("document.readyState == 'complete'")
            found = visitor.evaluate(LAYOUT)
            assert (found["beyond"], found["broken"]) == ([], []), page.name
            if page.name != "404.html":  # which is shown at any depth, so its links are those of a server
                assert found["scheme"] == {"light": "default", "dark": "slate"}[scheme], page.name
            assert [url for url in found["requests"] if not url.startswith(("file:", "data:"))] == [], page.name
    finally:
        visitor.close()


def test_a_link_to_a_page_that_is_missing_fails_the_build(site, tmp_path):
    for part in PARTS:
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
        copy(REPOSITORY / part, tmp_path / part)
    for page in ROOT_PAGES:
        shutil.copy(REPOSITORY / page, tmp_path)
    page = tmp_path / "docs/how-to/board.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[nowhere](nowhere.md)\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode != 0 and "nowhere.md" in done.stderr


def test_links_lead_to_files_of_a_clone():
    """The site rewrites them; whoever reads the clone follows them as they are."""
    folders = ("", "docs/**/", "benchmarks/", "firmware_export/", "tests/**/", "tinyse/**/")
    dead = [
        f"{page.relative_to(REPOSITORY)}: {target}"
        for page in sorted({page for folder in folders for page in REPOSITORY.glob(f"{folder}*.md")})
        for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_no_page_names_a_folder_that_a_stranger_lacks():
    kinds = ("*.md", "docs/**/*.md", "benchmarks/*", "recipes/**/*.yaml", "tests/*.py", "firmware_export/*.md")
    pages = [path for kind in kinds for path in REPOSITORY.glob(kind)]
    beside = "../" + "shared"
    named = [path.name for path in pages if path.is_file() and beside in path.read_text(encoding="utf-8")]
    assert named == []


@pytest.mark.parametrize("page", walk.pages(), ids=lambda page: page.stem)
def test_code_of_a_page_is_as_wide_as_the_page(page):
    """What is wider is cut off before it is scrolled to."""
    code = "".join(walk.ANY_BLOCK.findall(page.read_text(encoding="utf-8")))
    assert [line for line in code.splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize("header", ["denoiser.h.in", "tagger.h.in", "bare.h.in", "status.h"])
def test_a_header_is_as_wide_as_the_page(header):
    code = (REPOSITORY / "firmware_export/c" / header).read_text(encoding="utf-8")
    assert [line for line in code.splitlines() if len(line) > COLUMNS] == []


def test_files_for_contributors_can_be_read():
    for path in [
        *REPOSITORY.glob(".github/**/*.yml"),
        REPOSITORY / "CITATION.cff",
        REPOSITORY / ".pre-commit-config.yaml",
    ]:
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_the_version_is_the_tag_s(tmp_path):
    pytest.importorskip("setuptools_scm")
    if shutil.which("git") is None:
        pytest.skip("needs git")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)

    def printed(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    version = (sys.executable, "-m", "setuptools_scm")
    fallback = printed(*version)
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid")
    printed("git", "init", "--quiet")
    printed("git", "add", "pyproject.toml")
    printed("git", *author, "commit", "--quiet", "--message", "all")
    assert printed(*version).startswith(f"{fallback[:-1]}1.dev1+g")  # a clone without tags
    printed("git", "tag", "v7.8.9")
    assert printed(*version) == "7.8.9"
