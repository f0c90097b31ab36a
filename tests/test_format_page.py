"""The page on the .tflite format is enough to drive a model: front end and file handling from its formulas alone.

Nothing here comes from tinyse.spectra but what the results are compared with. Numbers are read from the page's tables.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinyse import released
from tinyse.spectra.front_end import TAGGING, FrontEnd, FrontEndConfig
from tinyse.tflite.reader import read

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/tflite.md"
NUMBERS = dict(re.findall(r"^\| `?(\w+)`? \| (-?[\d.^-]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
MODELS = released.names()
f32 = np.float32


def number(name: str) -> float:
    """A value of the page's tables."""
    base, _, exponent = NUMBERS[name].partition("^")
    return float(base) ** float(exponent or 1)


FLOOR, SILENCE, JUMP = (f32(number(name)) for name in ("FLOOR", "SILENCE", "JUMP"))
C = [f32(number(f"C{power}")) for power in range(5)]


def tables(config: dict[str, float]) -> SimpleNamespace:
    """Section "numbers", and the tables of the formulas."""
    rate = config["sample_rate"]
    lengths = (config["window_ms"], config.get("synthesis_ms") or config["window_ms"], config["hop_ms"])
    (W, S, H), B = (round(ms * rate / 1000) for ms in lengths), config["bands"]
    N = 1 << (W - 1).bit_length()
    K, L = N // 2 + 1, round(config["linear_hz"] * N / rate)
    n = np.arange(W)
    rise, fall = (0.5 - 0.5 * np.cos(2 * np.pi * m / length) for m, length in ((n, 2 * W - S), (n - (W - S), S)))
    v = np.sqrt(np.where(2 * n < 2 * W - S, rise, fall))
    shape, square = fall[W - S :], np.where(2 * n < 2 * W - S, rise, fall)[W - S :]
    back = np.sqrt(shape * np.divide(shape, square, out=np.zeros(S), where=shape > 0)) * 2 * H / S
    q = 228.8 / (rate / 2 / (K - 1))
    upper = (L + q) * ((K - 1 + q) / (L + q)) ** (np.arange(B - L) / (B - L - 1)) - q
    c, k = np.concatenate([np.arange(L), upper]), np.arange(K)
    low = np.array([np.flatnonzero(c <= bin + 1e-9)[-1] for bin in k])
    up = np.minimum(low + 1, B - 1)
    w = f32(np.clip(1 - (k - c[low]) / np.where(up > low, c[up] - c[low], 1), 0, 1))
    s = np.zeros((B, K))
    s[low, k] = w
    s[up[up > low], k[up > low]] += 1 - w[up > low].astype(float)
    return SimpleNamespace(W=W, S=S, H=H, N=N, B=B, P=W - H, D=S - H, v=f32(v), back=f32(back), low=low, up=up, w=w,
                           a=f32(s / s.sum(1, keepdims=True)), r0=f32(H / (config["level_seconds"] * rate)),
                           scale=f32(10 * np.log10(2) / config["feature_range_db"]))  # fmt: skip


def fft(z_re: np.ndarray, z_im: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps 1 and 2: float32, one operation at a time."""
    n = len(z_re)
    order = [int(f"{i:0{n.bit_length() - 1}b}"[::-1], 2) for i in range(n)]
    re, im, span = z_re[order], z_im[order], 1
    while span < n:
        angle = -2 * np.pi * np.arange(span) / (2 * span)
        c, s = f32(np.cos(angle)), f32(np.sin(angle))
        a_re, a_im, b_re, b_im = (x.reshape(-1, 2, span)[:, i] for i in (0, 1) for x in (re, im))
        t_re, t_im = b_re * c - b_im * s, b_re * s + b_im * c
        re, im = (np.stack([a + t, a - t], 1).reshape(-1) for a, t in ((a_re, t_re), (a_im, t_im)))
        span *= 2
    return re, im


def forward(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step 3: (N,) real to (N / 2 + 1,) real and imaginary parts."""
    half = len(y) // 2
    re, im = fft(y[0::2], y[1::2])
    k = np.arange(half // 2 + 1)
    other, angle = (half - k) % half, -2 * np.pi * k / len(y)
    c, s = f32(np.cos(angle)), f32(np.sin(angle))
    E = (re[k] + re[other]) / f32(2), (im[k] - im[other]) / f32(2)
    odd = (im[k] + im[other]) / f32(2), (re[other] - re[k]) / f32(2)
    T = odd[0] * c - odd[1] * s, odd[0] * s + odd[1] * c
    Y = np.zeros(half + 1, f32), np.zeros(half + 1, f32)
    Y[0][k], Y[1][k] = E[0] + T[0], E[1] + T[1]
    Y[0][half - k], Y[1][half - k] = E[0] - T[0], -E[1] + T[1]
    return Y


def inverse(Y_re: np.ndarray, Y_im: np.ndarray) -> np.ndarray:
    """The way back."""
    half = len(Y_re) - 1
    k = np.arange(half // 2 + 1)
    o, angle = half - k, -2 * np.pi * k / (2 * half)
    c, s = f32(np.cos(angle)), f32(np.sin(angle))
    E = (Y_re[k] + Y_re[o]) / f32(2), (Y_im[k] - Y_im[o]) / f32(2)
    d = (Y_re[k] - Y_re[o]) / f32(2), (Y_im[k] + Y_im[o]) / f32(2)
    odd = d[0] * c + d[1] * s, d[1] * c - d[0] * s
    re, im = np.zeros(half, f32), np.zeros(half, f32)
    re[k], im[k] = E[0] - odd[1], E[1] + odd[0]
    re[o[1:]], im[o[1:]] = (E[0] + odd[1])[1:], (odd[0] - E[1])[1:]
    im, re = fft(im, re)
    return np.stack([re * f32(1 / half), im * f32(1 / half)], 1).reshape(-1)


class Stream:
    """Hop by hop: sound to features, mask to sound."""

    def __init__(self, config: dict[str, float]) -> None:
        self.t = tables(config)
        self.past, self.tail = np.zeros(self.t.P, f32), np.zeros(self.t.D, f32)
        self.A, self.r = f32(-24), f32(1)

    def features(self, hop: np.ndarray) -> np.ndarray:
        t = self.t
        frame = np.concatenate([self.past, hop])
        self.past = frame[t.H :]
        self.Y = forward(np.concatenate([frame * t.v, np.zeros(t.N - t.W, f32)]))
        power, P = self.Y[0] * self.Y[0] + self.Y[1] * self.Y[1], np.zeros(t.B, f32)
        for bin, each in enumerate(power):
            P = P + t.a[:, bin] * each
        m, e = np.frexp(P + FLOOR)
        f = m * f32(2) - f32(1)
        logs = f32(e - 1) + f * (C[0] + f * (C[1] + f * (C[2] + f * (C[3] + f * C[4]))))
        M = np.add.accumulate(logs)[-1] * f32(1 / t.B)
        if M > SILENCE:
            self.A = max(self.A + self.r * (M - self.A), M - JUMP)
            self.r = max(self.r / (f32(1) + self.r), t.r0)
        return np.clip((logs - self.A) * t.scale, f32(-1), f32(127 / 128))

    def sound(self, m: np.ndarray) -> np.ndarray:
        t = self.t
        G = m[t.low] * t.w + m[t.up] * (f32(1) - t.w)
        o = inverse(G * self.Y[0], G * self.Y[1])[t.W - t.S : t.W] * t.back
        o[: t.D] += self.tail
        self.tail = o[t.H :]
        return o[: t.H]


def clip(samples: int) -> np.ndarray:
    """Noise that swells, digital silence, a jump."""
    rng = np.random.default_rng(0)
    sound = f32(rng.normal(0, 0.05, samples) * np.abs(np.sin(np.arange(samples) / 3000)))
    sound[samples // 4 : samples // 2] = 0
    sound[-samples // 4 :] *= f32(8)
    return sound


OTHER = FrontEndConfig(sample_rate=48000, window_ms=20, hop_ms=5, bands=64, linear_hz=1000)
SHORT = FrontEndConfig(window_ms=31, hop_ms=2.5, synthesis_ms=7.5)


@pytest.mark.parametrize(
    "config", [FrontEndConfig(), TAGGING, OTHER, SHORT], ids=["denoiser", "tagger", "other", "low latency"]
)
def test_the_formulas_are_the_front_end(config):
    ours, theirs = FrontEnd(config), Stream(vars(config))
    sound = clip(40 * config.hop)
    analysis, level, synthesis = ours.initial_state()
    spectra, _ = ours.analyze(sound, analysis)
    features, _ = ours.features(spectra, level)
    masks = np.random.default_rng(1).uniform(0, 1, features.shape).astype(f32)
    expected, _ = ours.synthesize(ours.apply(spectra, masks), synthesis)
    for frame, hop in enumerate(sound.reshape(40, -1)):
        np.testing.assert_array_equal(theirs.features(hop), features[frame])
        np.testing.assert_array_equal(
            theirs.sound(masks[frame]), expected[frame * config.hop : (frame + 1) * config.hop]
        )


@pytest.mark.parametrize("name", MODELS)
def test_the_numbers_on_the_page_are_those_of_the_shipped_models(name):
    graph = read(released.find(name))
    stated = graph.metadata["front_end"]
    stated |= {"synthesis_ms": stated.get("synthesis_ms") or stated["window_ms"]}
    assert {key: number(key) for key in stated} == stated
    t = tables(graph.metadata["front_end"])
    rows = dict(re.findall(r"^\| (\w)\S*, .* \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {letter: float(rows[letter]) for letter in "WSHNBPD"} == {x: float(getattr(t, x)) for x in "WSHNBPD"}
    assert float(rows["r"]) == pytest.approx(float(t.r0))


@pytest.mark.parametrize("name", MODELS)
def test_a_stranger_drives_a_model_from_the_page(name):
    """The file in TFLM by numbers alone, states from their zero points: masks and sound are the golden vectors."""
    runtime = pytest.importorskip("tflite_micro").runtime
    folder = released.find(name).parent
    content = (folder / "model.tflite").read_bytes()
    network = runtime.Interpreter.from_bytes(content)
    graph = read(content)
    with np.load(folder / "golden.npz", allow_pickle=False) as golden:
        noisy, denoised, masks = (golden[key] for key in ("noisy", "denoised", "masks"))
    stream, count = Stream(graph.metadata["front_end"]), len(graph.inputs)
    details = [network.get_input_details(place) for place in range(count)]
    state = [np.full(d["shape"], d["quantization_parameters"]["zero_points"][0], np.int8) for d in details[1:]]
    padded = np.zeros(len(masks) * stream.t.H, f32)
    padded[: len(noisy)] = noisy.astype(f32) / f32(32768)
    made = []
    for hop, expected in zip(padded.reshape(len(masks), -1), masks, strict=True):
        q = np.clip(np.floor(stream.features(hop) / f32(1 / 128) + f32(0.5)), -128, 127).astype(np.int8)
        for place, value in enumerate([q.reshape(1, 1, -1, 1), *state]):
            network.set_input(value, place)
        network.invoke()
        mask, *state = (network.get_output(place) for place in range(count))
        m = (mask.reshape(-1).astype(f32) + f32(128)) * f32(1 / 256)
        np.testing.assert_array_equal(m * 256, expected)
        made.append(stream.sound(m))
    o = np.concatenate(made)[stream.t.D :][: len(denoised)]
    pcm = np.clip(np.rint(o * f32(32768)), -32768, 32767).astype(np.int16)
    np.testing.assert_array_equal(pcm, denoised[: len(pcm)])
    assert len(pcm) >= len(denoised) - stream.t.H
