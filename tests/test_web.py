"""The firmware as WebAssembly: its frames in Node, and the page in Chromium with a microphone that plays a file."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import browser
import numpy as np
import pytest
import soundfile
import soxr
from sound_server import aligned

from firmware_export.vectors import sound
from firmware_export.web import build_wasm, export_page
from tinyse.audio import from_pcm16
from tinyse.engines.tflite_engines import ReferenceEngine
from tinyse.errors import InputError
from tinyse.evaluation.metrics import si_sdr
from tinyse.files import sha256
from tinyse.presets import PRESETS
from tinyse.streaming.denoiser import Denoiser

RATE = 16000

FRAMES = """
import { readFileSync } from "node:fs";
import { Firmware } from "./firmware.mjs";
const firmware = new Firmware(new WebAssembly.Module(readFileSync("tinyse.wasm")), 16000);
const bytes = readFileSync("noisy.pcm");
const noisy = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
const frames = [];
for (let first = 0; first < noisy.length; first += firmware.hop) {
  const block = Float32Array.from(noisy.subarray(first, first + firmware.hop), (x) => x / 32768);
  if (firmware.process(block, block) !== 1) throw new Error("a hop was expected");
  frames.push({ clean: [...firmware.clean], mask: [...firmware.mask] });
}
console.log(JSON.stringify(frames));
"""


CARD = "# A card\n\nof <b>text</b>\n\n<!--= a mark -->\n| kind | files |\n|---|---:|\n| speech | 3 |\n"


@pytest.fixture(scope="module")
def page(tiny, tmp_path_factory) -> Path:
    """The page of the tiny model."""
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        pytest.skip("apt-get install clang lld")
    folder = tmp_path_factory.mktemp("page")
    assert export_page(tiny.quantized, folder, CARD, "tiny") < 400_000
    return folder


def test_every_frame_in_node_is_the_references(tiny, page, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("apt-get install nodejs")
    given = sound(100 * 256)
    (tmp_path / "noisy.pcm").write_bytes(given.tobytes())
    (tmp_path / "frames.mjs").write_text(FRAMES)
    shutil.copy(page / "firmware.js", tmp_path / "firmware.mjs")
    shutil.copy(page / "tinyse.wasm", tmp_path)
    done = subprocess.run(["node", "frames.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    frames = json.loads(done.stdout)

    denoiser = Denoiser(tiny.quantized, engine="reference")
    masks, step = [], denoiser.engine.step

    def watched(features, state):
        mask, state = step(features, state)
        masks.append(mask)
        return mask, state

    denoiser.engine.step = watched
    expected = denoiser.process(given)
    np.testing.assert_array_equal(np.concatenate([frame["clean"] for frame in frames]), expected)
    graph = ReferenceEngine(tiny.quantized).graph
    tensor = graph.tensors[graph.outputs["mask"]]
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        values = tensor.dequantize(np.array(frame["mask"], np.int8))
        np.testing.assert_array_equal(values, mask, f"frame {number}")


WORKLET = """
import { readFileSync } from "node:fs";
globalThis.sampleRate = RATE;
globalThis.AudioWorkletProcessor = class {
  constructor() { this.port = { postMessage: (message) => messages.push(message) }; }
};
let Denoiser, messages;
globalThis.registerProcessor = (name, kind) => { Denoiser = kind; };
await import("./worklet.js");
const bytes = readFileSync("noisy.f32");
const noisy = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const results = {};
for (const quantum of [1, 64, 100, 128, 2048, 4096, 6000, 8192]) {
  messages = [];
  const node = new Denoiser({ processorOptions: { module: readFileSync("tinyse.wasm") } });
  const output = new Float32Array(noisy.length);
  for (let first = 0; first < noisy.length; first += quantum) {
    const block = output.subarray(first, first + quantum);
    node.process([[noisy.subarray(first, first + quantum)]], [[block]]);
  }
  const silent = [new Float32Array(quantum).fill(9)];
  for (let times = 0; times < 3; times++) node.process([[]], [silent]); // a microphone that is not there yet
  if (!silent[0].every(Number.isFinite) || silent[0].includes(9)) throw new Error("no silence");
  const hops = Math.floor(Math.floor((noisy.length - 1) * 16000 / sampleRate + 1) / 256); // of the sound, not the silence
  const [before, clean] = ["noisy", "clean"].map((side) => messages.slice(0, hops).flatMap((message) => [...message[side]]));
  results[quantum] = { output: [...output], before, clean };
}
console.log(JSON.stringify(results));
"""


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_worklet_takes_quanta_of_any_length(tiny, page, tmp_path, rate):
    """Browsers may hand over other numbers of samples than 128: no hop is lost, no sample differs."""
    if shutil.which("node") is None:
        pytest.skip("apt-get install nodejs")
    given = soxr.resample(sound(9600) / 65536, 6400, rate).astype(np.float32)
    (tmp_path / "noisy.f32").write_bytes(given.tobytes())
    (tmp_path / "host.mjs").write_text(WORKLET.replace("RATE", str(rate)))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name in ("firmware.js", "worklet.js", "tinyse.wasm"):
        shutil.copy(page / name, tmp_path)
    done = subprocess.run(["node", "host.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    expected = results["128"]
    assert len(expected["clean"]) == 24000 // 256 * 256
    before, clean = (np.array(expected[side], np.int16) for side in ("before", "clean"))
    denoiser = Denoiser(tiny.quantized, engine="reference")
    np.testing.assert_array_equal(clean[denoiser.delay :], denoiser.denoise(before)[: -denoiser.delay])
    late = 0 if rate == RATE else 24 * RATE // min(rate, RATE)  # the filter's reach
    whole = soxr.resample(given, rate, RATE)[: len(before) - late]
    assert si_sdr(whole, from_pcm16(before)[late:]) > 40
    assert max(map(abs, expected["output"])) > 0.01
    for quantum, result in results.items():
        assert result == expected, quantum


def test_no_clang_is_said_with_what_to_do(tiny, monkeypatch):
    from firmware_export.plugins import denoiser

    firmware = denoiser(tiny.quantized)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install clang lld"):
        build_wasm(firmware)


def test_the_page_asks_nobody_else_for_anything(page):
    """It works offline: no file of it names another place."""
    for path in page.iterdir():
        if path.suffix != ".wasm":
            assert "//" not in path.read_text().replace("// ", ""), path


@pytest.fixture(scope="module")
def address(tiny, page):
    """`tinyse web` on a free port."""
    command = [sys.executable, "-m", "tinyse", "web", "--model", tiny.quantized, "--port", "0", "--no-browser"]
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().split()[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()


def test_the_server_gives_the_model_and_its_hash(tiny, address):
    with urllib.request.urlopen(f"{address}model.json", timeout=30) as answer:
        model = json.loads(answer.read())
    assert model["sha256"] == sha256(tiny.quantized)
    assert model["latency_ms"] == 32
    assert model["presets"] == {name: -1 if limit is None else limit for name, limit in PRESETS.items()}
    with urllib.request.urlopen(f"{address}tinyse.wasm", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "application/wasm"


def ask(address: str, line: str, host: str = "localhost") -> str:
    """The answer to a request as it is, whatever a client would make of it."""
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{line} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode("latin-1"))
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer.decode("latin-1")


@pytest.mark.parametrize(
    "path",
    ["/../tinyse.wasm", "/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e/etc/passwd", "/..\\..\\etc\\passwd", "//etc/passwd",
     "/..%5c..%5cetc/passwd", "/%00", "/index.html/..", "/./index.html", "file:///etc/passwd", "/etc/passwd", "/\xff",
     "http://elsewhere/index.html", "*", "/index.html/", "/.", "index.html", "/" + "a/" * 10000],
    ids=lambda path: path[:20],
)  # fmt: skip
def test_the_server_has_nothing_but_its_page(address, path):
    answer = ask(address, f"GET {path}")
    assert answer.split()[1] in ("400", "404"), answer[:300]
    assert "root:" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_the_server_only_gives(address, method):
    assert ask(address, f"{method} /index.html").split()[1] == "501"


def test_a_head_is_the_same_without_the_content(address):
    given, head = ask(address, "GET /page.js"), ask(address, "HEAD /page.js")
    assert given.startswith("HTTP/1.0 200") and len(given) > len(head) > 100

    def lines(answer):
        return [line for line in answer.partition("\r\n\r\n")[0].splitlines() if not line.startswith("Date")]

    assert lines(head) == lines(given)


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "localhost.elsewhere.example", "127.0.0.1.nip.io", "", "192.168.0.1"]
)
def test_another_name_that_leads_here_is_refused(address, host):
    """A page of a stranger whose name was made to lead to this machine (DNS rebinding) reads nothing."""
    assert ask(address, "GET /model.json", host).split()[1] == "403"
    assert ask(address, "GET /model.json", "127.0.0.1").split()[1] == "200"


def test_the_server_listens_on_this_machine_only(address):
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))  # what a server at 0.0.0.0 would answer


def test_a_port_that_is_taken_is_said_in_one_line(tiny, address):
    port = address.rstrip("/").rsplit(":", 1)[1]
    command = [sys.executable, "-m", "tinyse", "web", "--model", tiny.quantized, "--port", port, "--no-browser"]
    answer = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert "choose another with --port" in answer.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def chromium(address, tmp_path_factory):
    """The page in Chromium, whose microphone plays `given`."""
    if browser.find() is None:
        pytest.skip("apt-get install chromium")
    folder = tmp_path_factory.mktemp("chromium")
    given = soxr.resample(sound(3 * 12800) / 32768, 12800, RATE) / 2
    soundfile.write(folder / "microphone.wav", soxr.resample(given, RATE, 48000), 48000)
    flags = [f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}"]
    page = browser.Browser(address, folder / "profile", flags)
    try:
        page.wait_for("globalThis.tinyse")
        yield page, given
        assert not page.errors
    finally:
        page.close()


@pytest.fixture
def visitor_of(tmp_path):
    """Opens a folder of static files in Chromium."""
    if browser.find() is None:
        pytest.skip("apt-get install chromium")
    opened = []

    def visit(folder: Path) -> browser.Browser:
        command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        opened.append((server.kill, server.wait))
        port = server.stdout.readline().split("port ")[1].split()[0]
        visitor = browser.Browser(f"http://localhost:{port}/", tmp_path / "profile")
        opened.append((visitor.close,))
        visitor.wait_for("globalThis.tinyse")
        return visitor

    yield visit
    for endings in reversed(opened):
        for end in endings:
            end()


def clip(page: browser.Browser) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of what the page holds, int16."""
    code = """(side) => {
        const bytes = new Uint8Array(new Int16Array(tinyse.clip[side]).buffer);
        return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }"""
    sides = (page.evaluate(f"({code})('{side}')") for side in ("noisy", "clean"))
    noisy, clean = (np.frombuffer(base64.b64decode(content), "<i2") for content in sides)
    return noisy, clean


def test_a_file_on_the_page_is_the_denoised_file_bit_for_bit(tiny, chromium, tmp_path):
    page, _ = chromium
    given = sound(2 * RATE + 77)
    soundfile.write(tmp_path / "noisy.wav", given, RATE)
    content = base64.b64encode((tmp_path / "noisy.wav").read_bytes()).decode()
    page.evaluate(f"""(() => {{
        const bytes = Uint8Array.from(atob("{content}"), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "noisy.wav"));
        document.getElementById("file").files = transfer.files;
        document.getElementById("file").dispatchEvent(new Event("change"));
    }})()""")
    page.wait_for("tinyse.clip")
    noisy, clean = clip(page)
    np.testing.assert_array_equal(noisy, given)
    np.testing.assert_array_equal(clean, Denoiser(tiny.quantized, engine="reference").denoise(given))
    shown = page.evaluate("document.body.innerText")
    assert sha256(tiny.quantized) in shown
    assert "ms of 16 ms" in shown
    page.evaluate("""(() => {
        const preset = document.getElementById("preset");
        preset.value = "recognition";
        preset.dispatchEvent(new Event("change"));
    })()""")
    gentle = Denoiser(tiny.quantized, engine="reference", preset="recognition")
    np.testing.assert_array_equal(clip(page)[1], gentle.denoise(given))
    page.evaluate("""(() => {
        const preset = document.getElementById("preset");
        preset.value = "listening";
        preset.dispatchEvent(new Event("change"));
    })()""")
    np.testing.assert_array_equal(clip(page)[1], clean)
    assert not page.evaluate("document.getElementById('download').disabled")


def test_the_microphone_through_the_worklet_is_the_denoised_recording(tiny, chromium):
    page, given = chromium
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for("tinyse.running && tinyse.running.hops.length > 220")
    if "TINYSE_SCREENSHOT" in os.environ:
        page.screenshot(Path(os.environ["TINYSE_SCREENSHOT"]))
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for("!tinyse.running")
    noisy, clean = clip(page)
    # What the page heard from its first hop on, as Python denoises it; the last frame has more in it than the page kept.
    denoiser = Denoiser(tiny.quantized, engine="reference")
    known = len(clean) - denoiser.delay
    np.testing.assert_array_equal(clean[:known], denoiser.denoise(noisy)[:known])
    # It was our sound: Chromium's microphone begins between two samples, and a busy machine cuts pieces out of it.
    assert si_sdr(*aligned(given[:RATE], from_pcm16(noisy))) > 5


def test_a_sound_card_at_44_khz_is_denoised(tiny, chromium):
    """The page takes the sound card's own rate, here another one than the machine's."""
    page, _ = chromium
    page.evaluate("""(() => {
        const Usual = AudioContext;
        globalThis.AudioContext = class extends Usual {
            constructor(options) { super({ sampleRate: 44100, ...options }); globalThis.AudioContext = Usual; }
        };
    })()""")
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for("tinyse.running && tinyse.running.hops.length > 60")
    assert page.evaluate("tinyse.running.context.sampleRate") == 44100
    assert "44100 Hz" in page.evaluate("document.getElementById('message').textContent")
    assert int(page.evaluate("document.getElementById('latency-browser').textContent").split()[0]) >= 3
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for("!tinyse.running")
    noisy, clean = clip(page)
    denoiser = Denoiser(tiny.quantized, engine="reference")
    known = len(clean) - denoiser.delay
    assert np.abs(noisy).max() > 100
    np.testing.assert_array_equal(clean[:known], denoiser.denoise(noisy)[:known])


def test_the_page_works_offline_once_it_was_loaded(tiny, page, tmp_path):
    if browser.find() is None:
        pytest.skip("apt-get install chromium")
    command = [sys.executable, "-m", "tinyse", "web", "--model", tiny.quantized, "--port", "0", "--no-browser"]
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    visitor = browser.Browser(server.stdout.readline().split()[0], tmp_path / "profile")
    try:
        visitor.wait_for("globalThis.tinyse")
        visitor.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        visitor.evaluate("globalThis.tinyse = null")
        visitor.call("Page.reload")
        visitor.wait_for("globalThis.tinyse")
        visitor.evaluate("document.getElementById('microphone').click()")
        visitor.wait_for("tinyse.running && tinyse.running.hops.length > 9")
    finally:
        visitor.close()
        server.kill()


def test_the_card_is_rendered_and_the_meters_stand_in_line(page, visitor_of):
    shown = visitor_of(page)
    assert shown.evaluate("document.querySelector('#model-card h1').textContent") == "A card"
    assert shown.evaluate("document.querySelector('#model-card td').textContent") == "speech"
    text = shown.evaluate("document.getElementById('model-card').textContent")
    assert "of <b>text</b>" in text and "a mark" not in text
    places = shown.evaluate(
        "[...document.querySelectorAll('meter')].map((m) => [m.getBoundingClientRect().left, m.clientWidth])"
    )
    assert len(places) == 2
    assert places[0] == places[1]
    assert not shown.errors


def test_a_model_of_ones_own_shows_what_its_file_says(chromium):
    page, _ = chromium
    assert '"task": "denoise"' in page.evaluate("document.querySelector('#model-card code').textContent")


def test_what_cannot_be_read_is_said_on_the_page(chromium):
    page, _ = chromium
    page.evaluate("""(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["no sound"], "letter.txt"));
        document.getElementById("file").files = transfer.files;
        document.getElementById("file").dispatchEvent(new Event("change"));
    })()""")
    page.wait_for("document.getElementById('message').classList.contains('error')")
    assert "cannot read that file" in page.evaluate("document.getElementById('message').textContent")
