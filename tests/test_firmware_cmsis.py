"""Exports that call CMSIS-NN and CMSIS-DSP, linked with stand-ins for both: their documented arithmetic, literally."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import steps
from test_firmware import Builder, Stream, everything, shared_library

from firmware_export import layers, targets, vectors
from firmware_export.export import export
from firmware_export.lowering import lower
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: apt-get install gcc")

ARM_NNFUNCTIONS_H = """
#include <stdint.h>
typedef enum { ARM_CMSIS_NN_SUCCESS = 0, ARM_CMSIS_NN_ARG_ERROR = -1 } arm_cmsis_nn_status;
typedef struct { void *buf; int32_t size; } cmsis_nn_context;
typedef struct { int32_t n, h, w, c; } cmsis_nn_dims;
typedef struct { int32_t w, h; } cmsis_nn_tile;
typedef struct { int32_t *multiplier, *shift; } cmsis_nn_per_channel_quant_params;
typedef struct { int32_t min, max; } cmsis_nn_activation;
typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;
int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *conv_params, const cmsis_nn_dims *input_dims,
                                                const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *output_dims);
arm_cmsis_nn_status arm_convolve_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_conv_params *conv_params,
                                            const cmsis_nn_per_channel_quant_params *quant_params,
                                            const cmsis_nn_dims *input_dims, const int8_t *input_data,
                                            const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
                                            const cmsis_nn_dims *bias_dims, const int32_t *bias_data,
                                            const cmsis_nn_dims *output_dims, int8_t *output_data);
"""
"""The members that we name, in the order of the library's."""

ARM_MATH_H = """
#include <stdint.h>
typedef float float32_t;
typedef enum { ARM_MATH_SUCCESS = 0 } arm_status;
typedef struct { uint16_t fftLenRFFT; } arm_rfft_fast_instance_f32;
arm_status arm_rfft_fast_init_512_f32(arm_rfft_fast_instance_f32 *S);
void arm_rfft_fast_f32(const arm_rfft_fast_instance_f32 *S, float32_t *p, float32_t *pOut, uint8_t ifftFlag);
"""

NN = """
#include "arm_nnfunctions.h"
#include <string.h>
#ifndef MORE
#define MORE 0
#endif

int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *conv_params, const cmsis_nn_dims *input_dims,
                                                const cmsis_nn_dims *filter_dims, const cmsis_nn_dims *output_dims)
{
    (void)conv_params, (void)output_dims;
    return 4 * ((input_dims->c * filter_dims->w * filter_dims->h + 15) / 16 * 16) + MORE;
}

/* Times multiplier / 2^31 and 2^shift: halves of the product go up, those of the division away from zero. */
static int32_t requantize(int32_t value, int32_t multiplier, int32_t shift)
{
    const int64_t left = (int64_t)value * ((int64_t)1 << (shift > 0 ? shift : 0));
    int64_t result = (left * multiplier + ((int64_t)1 << 30)) >> 31;
    const int64_t divisor = (int64_t)1 << (shift < 0 ? -shift : 0), half = divisor / 2;
    return (int32_t)((result + (result < 0 ? -half : half)) / divisor);
}

arm_cmsis_nn_status arm_convolve_wrapper_s8(const cmsis_nn_context *ctx, const cmsis_nn_conv_params *conv_params,
                                            const cmsis_nn_per_channel_quant_params *quant_params,
                                            const cmsis_nn_dims *input_dims, const int8_t *input_data,
                                            const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
                                            const cmsis_nn_dims *bias_dims, const int32_t *bias_data,
                                            const cmsis_nn_dims *output_dims, int8_t *output_data)
{
    const int32_t needed = arm_convolve_wrapper_s8_get_buffer_size(conv_params, input_dims, filter_dims, output_dims);
    if (ctx->buf == 0 || input_dims->n != 1 || output_dims->n != 1 || bias_dims->c != output_dims->c ||
        filter_dims->n != output_dims->c || filter_dims->c != input_dims->c || conv_params->dilation.w != 1 ||
        conv_params->dilation.h != 1) {
        return ARM_CMSIS_NN_ARG_ERROR;
    }
    memset(ctx->buf, 0x55, (size_t)needed); /* all of it is the library's */
    for (int32_t y = 0; y < output_dims->h; y++) {
        for (int32_t x = 0; x < output_dims->w; x++) {
            for (int32_t out = 0; out < output_dims->c; out++) {
                const int8_t *weight = filter_data + out * filter_dims->h * filter_dims->w * filter_dims->c;
                int32_t sum = bias_data[out];
                for (int32_t i = 0; i < filter_dims->h * filter_dims->w * filter_dims->c; i++) {
                    const int32_t channel = i % filter_dims->c, tap = i / filter_dims->c;
                    const int32_t row = y * conv_params->stride.h - conv_params->padding.h + tap / filter_dims->w;
                    const int32_t column = x * conv_params->stride.w - conv_params->padding.w + tap % filter_dims->w;
                    if (row >= 0 && row < input_dims->h && column >= 0 && column < input_dims->w) {
                        const int32_t at = (row * input_dims->w + column) * input_dims->c + channel;
                        sum += (input_data[at] + conv_params->input_offset) * weight[i];
                    }
                }
                sum = requantize(sum, quant_params->multiplier[out], quant_params->shift[out]);
                sum += conv_params->output_offset;
                sum = sum < conv_params->activation.min ? conv_params->activation.min : sum;
                *output_data++ = (int8_t)(sum > conv_params->activation.max ? conv_params->activation.max : sum);
            }
        }
    }
    return ARM_CMSIS_NN_SUCCESS;
}
"""

DSP = """
#include "arm_math.h"
#define N 512

/* cos(2 pi n / N) by turning step by step; constants as of Python's math. */
static void angles(double *cosines, double *sines)
{
    cosines[0] = 1.0;
    sines[0] = 0.0;
    for (int n = 1; n < N; n++) {
        cosines[n] = cosines[n - 1] * 0.9999247018391445 - sines[n - 1] * 0.012271538285719925;
        sines[n] = cosines[n - 1] * 0.012271538285719925 + sines[n - 1] * 0.9999247018391445;
    }
}

arm_status arm_rfft_fast_init_512_f32(arm_rfft_fast_instance_f32 *S)
{
    S->fftLenRFFT = N;
    return ARM_MATH_SUCCESS;
}

/* First and last bin, both real, are the first pair; the inverse is divided by N. */
void arm_rfft_fast_f32(const arm_rfft_fast_instance_f32 *S, float32_t *p, float32_t *pOut, uint8_t ifftFlag)
{
    double cosines[N], sines[N];
    angles(cosines, sines);
    for (int k = 0; !ifftFlag && k <= N / 2; k++) {
        double re = 0.0, im = 0.0;
        for (int n = 0; n < N; n++) {
            re += p[n] * cosines[k * n % N];
            im -= p[n] * sines[k * n % N];
        }
        if (k == 0 || k == N / 2) {
            pOut[k != 0] = (float)re;
        } else {
            pOut[2 * k] = (float)re;
            pOut[2 * k + 1] = (float)im;
        }
    }
    for (int n = 0; ifftFlag && n < N; n++) {
        double sum = p[0] + (n % 2 ? -p[1] : p[1]);
        for (int k = 1; k < N / 2; k++) {
            sum += 2.0 * (p[2 * k] * cosines[k * n % N] - p[2 * k + 1] * sines[k * n % N]);
        }
        pOut[n] = (float)(sum / N);
    }
    for (int n = 0; n < S->fftLenRFFT; n++) {
        p[n] = -1.0f; /* the library writes over its input too */
    }
}
"""


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> Path:
    """A folder with headers and sources that have the library's names."""
    folder = tmp_path_factory.mktemp("cmsis")
    sources = {"arm_nnfunctions.h": ARM_NNFUNCTIONS_H, "arm_math.h": ARM_MATH_H, "nn.c": NN, "dsp.c": DSP}
    for name, content in sources.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    export(tiny.quantized, folder, cmsis=True, prefix="tinyse")
    return folder


def sanitized(stand_ins: Path, *names: str) -> list[str]:
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{stand_ins}"]
    return [*flags, *(str(stand_ins / name) for name in names)]


def test_every_layer_of_ours_calls_the_library(tiny) -> None:
    program = lower(read(tiny.quantized), cmsis=True)
    kernels = [call.layer.kernel for call in program.calls if call.layer.struct == "tinyse_convolution"]
    assert kernels == [layers.CMSIS] * len(kernels) != []


def test_network_and_sound_keep_their_bits(folder: Path, stand_ins: Path, tmp_path: Path) -> None:
    targets.build(folder, None, tmp_path / "replay", sanitized(stand_ins, "nn.c"))
    code, output = targets.run(None, tmp_path / "replay")
    assert code == 0, output
    assert "frames 100\nwrong_network_frames 0\nwrong_sound_frames 0\nwrong_samples 0" in output


def test_other_shapes_keep_their_bits(stand_ins: Path, tmp_path: Path) -> None:
    """Two rows, strides, VALID, groups one by one, and beside them a layer whose padding CMSIS-NN does not take."""
    graph = everything()
    builder = Builder()
    builder.graph = graph
    graph.outputs["rest"] = builder.convolution("x", "r", (1, 4, 4, 5), (1, 2), padding="VALID", stride=(1, 2))
    save(graph, tmp_path / "step.tflite")
    firmware = export(tmp_path / "step.tflite", tmp_path / "out", cmsis=True)
    kernels = [call.layer.kernel for call in firmware.program.calls if call.layer.struct == "tinyse_convolution"]
    assert kernels == [layers.CMSIS, layers.CMSIS, layers.DEPTHWISE, *[layers.CMSIS] * 3, layers.CONVOLVE]
    targets.build(tmp_path / "out", None, tmp_path / "replay", sanitized(stand_ins, "nn.c"))
    assert targets.run(None, tmp_path / "replay") == (0, "network equal\n")


def test_a_library_that_needs_more_memory_is_refused(folder: Path, stand_ins: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "firmware")
    shutil.copy(stand_ins / "arm_nnfunctions.h", copy / "src")
    (copy / "src" / "nn.c").write_text("#define MORE 10000\n" + NN)
    stream = Stream(shared_library(copy))
    hop = ctypes.create_string_buffer(2 * 256)
    assert stream.library.tinyse_process(stream.memory, hop, hop) == 2


def test_cmsis_dsp_is_close(tiny, stand_ins: Path, tmp_path: Path) -> None:
    export(tiny.quantized, tmp_path / "firmware", prefix="tinyse")
    for name in ("arm_math.h", "dsp.c"):
        shutil.copy(stand_ins / name, tmp_path / "firmware" / "src")
    library, pcm = shared_library(tmp_path / "firmware", ["-DTINYSE_CMSIS_DSP"]), vectors.sound(256 * 100)
    exact = Denoiser(tiny.quantized, "reference").process(pcm)
    given = Stream(library).process(pcm)
    assert steps.snr_db(exact.astype(float), given.astype(float)) > 30


def test_cmake_links_a_library(folder: Path, stand_ins: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake: apt-get install cmake")
    objects = [tmp_path / "nn.o", tmp_path / "dsp.o"]
    for built in objects:
        source = stand_ins / built.with_suffix(".c").name
        subprocess.run(["gcc", "-O2", "-c", source, "-o", built], check=True)
    subprocess.run(["ar", "rc", tmp_path / "libcmsis.a", *objects], check=True)
    options = [
        f"-DTINYSE_CMSIS_INCLUDE={stand_ins}",
        f"-DTINYSE_CMSIS_LIBRARIES={tmp_path / 'libcmsis.a'}",
        "-DTINYSE_CMSIS_DSP=ON",
    ]
    subprocess.run(["cmake", "-S", folder, "-B", tmp_path / "build", *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build", "--target", "run"], check=True, capture_output=True)
