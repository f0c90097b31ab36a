"""The front end's measures and tables as C; what they mean is said in tinyse/spectra."""

from __future__ import annotations

from typing import Any

import numpy as np

from firmware_export import fixed_point as fixed_point_twin
from firmware_export import text
from tinyse.errors import InputError
from tinyse.graph.graph import Tensor
from tinyse.spectra import front_end as spectra
from tinyse.spectra.bands import Bands
from tinyse.spectra.logarithm import COEFFICIENTS

BANDS_AT_ONCE = 4
"""As many float32 as a vector of Armv8.1-M holds."""
LARGEST_LIMIT_DB = 60
"""The strength goes in whole dB up to this; beyond it no limit is as good."""


def sources(
    front_end: spectra.FrontEnd, features: Tensor, mask: Tensor | None, fixed_point: bool = False
) -> dict[str, str]:
    """{file name: text} of the generated part of the front end; `features` and `mask` are the network's tensors.

    `mask` is None where sound goes in and does not come out. Raises InputError where they do not fit.
    """
    bands = front_end.config.bands
    for tensor in filter(None, (features, mask)):
        if int(np.prod(tensor.shape)) != bands:
            raise InputError(f"{tensor.name!r} has the shape {tensor.shape}, the front end has {bands} bands")
    if not fixed_point:
        return {
            "front_end.h": header(front_end, "float", "tinyse/spectra", mask is not None),
            "front_end_tables.h": tables(front_end, features, mask),
            "transform_tables.h": transform_tables(front_end),
        }
    if mask is not None and 255 * float(mask.scale) > 1:
        raise InputError(f"{mask.name!r} reaches beyond a gain of 1, which the fixed-point front end cannot express")
    twin = fixed_point_twin.FixedFrontEnd(front_end, features, mask)
    return {
        "front_end.h": header(front_end, "int32_t", "firmware_export/fixed_point.py", mask is not None),
        "front_end_tables.h": fixed_tables(front_end, twin, mask is not None),
        "transform_tables.h": fixed_transform_tables(twin),
    }


def header(front_end: spectra.FrontEnd, number: str, twin: str, synthesis: bool) -> str:
    """Sizes and the state, in the C type `number`."""
    limit = (
        f"#define TINYSE_LARGEST_LIMIT {LARGEST_LIMIT_DB} /* dB */\n#define TINYSE_SYNTHESIS /* sound comes out */\n"
    )
    config = front_end.config
    return text.fill(
        "front_end.h.in",
        {
            "HOP": config.hop,
            "WINDOW": config.window,
            "SYNTHESIS_WINDOW": config.synthesis,
            "LOOK_AHEAD": config.look_ahead,
            "TRANSFORM": config.transform_size,
            "BANDS": config.bands,
            "TITLE": ", and mask to sound" if synthesis else "",
            "MASK": ", and values of the mask" if synthesis else "",
            "SYNTHESIS": limit if synthesis else "",
            "NUMBER": number,
            "TWIN": twin,
        },
    )


def tables(front_end: spectra.FrontEnd, features: Tensor, mask: Tensor | None) -> str:
    """Constants of float32, exactly those that Python computes with."""
    bands = front_end.bands
    single = single_bins(bands)
    first, widths, shares = grouped(bands)
    taken = widths[: single // BANDS_AT_ONCE].sum() * BANDS_AT_ONCE
    step = features.scale
    last = bands.count - 1
    # The last bin alone has the last band below it, with a weight of one; written as a weight of zero for the band before,
    # its gain is the same, and every bin has a band above.
    lower, weight = (np.where(bands.lower == last, *pair) for pair in ((last - 1, bands.lower), (0, bands.weight)))
    constants = {
        "POWER_FLOOR": spectra.POWER_FLOOR,
        "SILENT_LEVEL": np.float32(np.log2(spectra.POWER_FLOOR)),
        "SILENCE": spectra.SILENCE,
        "JUMP": spectra.JUMP,
        "SLOWEST_RATE": front_end.slowest_rate,
        "MEAN_SCALE": np.float32(1 / front_end.config.bands),
        "SINGLE": single,
        "FEATURE_SCALE": front_end.feature_scale,
        "LARGEST_FEATURE": np.float32(127 / 128),
        "FEATURE_STEP": step,
        **({"STEPS_PER_FEATURE": 1 / step} if np.frexp(step)[0] == 0.5 else {}),
        "FEATURE_ZERO": features.zero_point,
        "FEATURE_LOWEST": int(np.floor(np.float32(-1) / step + np.float32(0.5))) + features.zero_point,
        "FEATURE_HIGHEST": int(np.floor(np.float32(127 / 128) / step + np.float32(0.5))) + features.zero_point,
        **{f"LOG2_{power}": coefficient for power, coefficient in enumerate(COEFFICIENTS)},
    }
    arrays = {
        "window": front_end.window,
        "band_first": _compact(first[single:]),
        "group_width": _compact(widths[single // BANDS_AT_ONCE :]),
        "band_shares": shares[taken:],
    }
    if mask is not None:
        constants |= {"MASK_STEP": mask.scale, "MASK_ZERO": mask.zero_point}
        arrays |= {
            "bin_band": _compact(lower[single:]),
            "bin_weight": weight[single:].astype(np.float32),
            "limits": limits().astype(np.float32),
            "synthesis_window": front_end.synthesis_window,
        }
    return _filled(constants, arrays)


def transform_tables(front_end: spectra.FrontEnd) -> str:
    """Order and angles of the Fourier transform."""
    transform = front_end.transform
    arrays = {
        "swaps": _compact(swaps(transform.order)),
        "cosines": transform.cosine,
        "sines": transform.sine,
        "turn_cosines": transform.turn_cosine,
        "turn_sines": transform.turn_sine,
    }
    return text.fill("transform_tables.h.in", {"ARRAYS": "\n".join(text.array(*item) for item in arrays.items())})


def grouped(bands: Bands) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bands four at a time, as vectors take them: first bins (bands filled up with zeros to whole groups,), widths (groups,)
    and the shares of each group, tap by tap, flat. Taps that a band lacks have a share of zero.
    """
    bins, groups = len(bands.lower), -(-bands.count // BANDS_AT_ONCE)
    padded = np.zeros((groups * BANDS_AT_ONCE, bands.taps.shape[1]), np.float32)
    padded[: bands.count] = bands.taps
    first = np.zeros(len(padded), int)
    first[: bands.count] = bands.first
    used = (padded.reshape(groups, BANDS_AT_ONCE, -1) > 0).sum(1)
    widths = np.array([np.flatnonzero(row)[-1] + 1 for row in used])
    shares = []
    for number, width in enumerate(widths):
        for band in range(number * BANDS_AT_ONCE, (number + 1) * BANDS_AT_ONCE):
            beyond = max(first[band] + width - bins, 0)  # zeros come first where there are no bins after it
            first[band] -= beyond
            padded[band] = np.roll(padded[band], beyond)
        shares.append(padded[number * BANDS_AT_ONCE : (number + 1) * BANDS_AT_ONCE, :width].T.ravel())
    return first, widths, np.concatenate(shares)


def single_bins(bands: Bands) -> int:
    """How many bands, in whole groups, are single bins from the first on, with all of their power and gain."""
    bin_is_band = (bands.lower == np.arange(len(bands.lower))) & (bands.weight == 1)
    band_is_bin = (bands.first == np.arange(bands.count)) & (bands.taps[:, 0] == 1) & ((bands.taps > 0).sum(1) == 1)
    both = bin_is_band[: bands.count] & band_is_bin
    return int(np.append(both, False).argmin()) // BANDS_AT_ONCE * BANDS_AT_ONCE


def swaps(order: np.ndarray) -> np.ndarray:
    """The pairs of places whose values change places when `order`, an involution, is applied; flat."""
    return np.array([(i, j) for i, j in enumerate(order) if i < j]).ravel()


def limits() -> np.ndarray:
    """(LARGEST_LIMIT_DB + 1,) float64: the share of a gain that stays at one, by dB."""
    return np.array([10 ** (-decibels / 20) for decibels in range(LARGEST_LIMIT_DB + 1)])


def fixed_tables(front_end: spectra.FrontEnd, twin: fixed_point_twin.FixedFrontEnd, synthesis: bool) -> str:
    """Constants of the fixed-point front end."""
    widths = np.array([np.flatnonzero(row)[-1] + 1 for row in front_end.bands.taps])
    shares = np.concatenate([row[:width] for row, width in zip(twin.taps, widths, strict=True)])
    constants = {
        "FRACTION": fixed_point_twin.FRACTION,
        "POWER_FLOOR": twin.power_floor,
        "SILENT_LEVEL": twin.silent_level,
        "SILENCE": twin.silence,
        "JUMP": twin.jump,
        "LEVEL_BITS": twin.level_bits,
        "SLOWEST_RATE": twin.slowest_rate,
        "MEAN_SCALE": twin.mean_scale,
        "FEATURE_FACTOR": twin.feature_factor,
        "FEATURE_BITS": 15 + fixed_point_twin.FEATURE_BITS,
        "FEATURE_ZERO": twin.feature_zero,
        "FEATURE_LOW": twin.feature_low,
        "FEATURE_HIGH": twin.feature_high,
        **{f"LOG2_{power}": coefficient for power, coefficient in enumerate(twin.coefficients)},
    }
    arrays = {
        "window": twin.window.astype(np.int16),
        "band_first": _compact(twin.first),
        "band_width": _compact(widths),
        "band_shares": shares.astype(np.uint16),
    }
    if synthesis:
        constants |= {"MASK_STEP": twin.mask_step, "MASK_ZERO": twin.mask_zero}
        arrays |= {
            "bin_band": _compact(twin.lower),
            "bin_weight": twin.weight.astype(np.uint16),
            "limits": fixed_point_twin.quantized(limits(), fixed_point_twin.Q15).astype(np.int32),
            "synthesis_window": twin.synthesis_window.astype(np.int16),
        }
    return _filled(constants, arrays)


def fixed_transform_tables(twin: fixed_point_twin.FixedFrontEnd) -> str:
    """Order and angles, in units of 2^-30."""
    angles = {
        "cosines": twin.cosine,
        "sines": twin.sine,
        "turn_cosines": twin.turn_cosine,
        "turn_sines": twin.turn_sine,
    }
    arrays = {
        "swaps": _compact(swaps(twin.order)),
        **{name: values.astype(np.int32) for name, values in angles.items()},
    }
    return text.fill("transform_tables.h.in", {"ARRAYS": "\n".join(text.array(*item) for item in arrays.items())})


def _filled(constants: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """The header of constants and arrays; two windows that are equal lie in flash once."""
    lines = [f"#define {name} {_constant(value)}" for name, value in constants.items()]
    if "synthesis_window" in arrays and np.array_equal(arrays["window"], arrays["synthesis_window"]):
        del arrays["synthesis_window"]
        lines.append("#define synthesis_window window")
    return text.fill(
        "front_end_tables.h.in",
        {"CONSTANTS": "\n".join(lines), "ARRAYS": "\n".join(text.array(*item) for item in arrays.items())},
    )


def _constant(value: object) -> str:
    literal = text.number(value)
    return f"({literal})" if literal.startswith("-") else literal


def _compact(indices: np.ndarray) -> np.ndarray:
    """The indices in the smallest unsigned type that holds them."""
    return indices.astype(np.uint8 if indices.max() < 256 else np.uint16)
