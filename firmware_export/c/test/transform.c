/* The Fourier transform that is made for a core against the portable one: the same bits, but for the sign of zeros and for
 * what vectors flush to zero.
 *
 * The exit code is the number of numbers that differ, at most 99.
 */
#include "transform.h"

#include <string.h>

#include "front_end.h"
#include "port.h"

#define NUMBERS (TINYSE_TRANSFORM + 2)
#define INAUDIBLE 1e-30f /* far below a step of 16 bits, which is 3e-5, and below its square */

static uint32_t seed = 1;
static float expected[NUMBERS], result[NUMBERS];

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* Noise of some loudness, and in two of three rounds zeros with a few samples in between. */
static void fill(float *values, int32_t count, uint32_t round)
{
    const float loudness = 1.0f / (float)(1u << (next_random() % 16u));
    for (int32_t i = 0; i < count; i++) {
        const int32_t sample = (int32_t)(next_random() & 0xFFFFu) - 0x8000;
        const int silent = round % 3u != 0 && next_random() % (round % 3u == 1 ? 4u : 200u) != 0;
        values[i] = silent ? 0.0f : (float)sample * (1.0f / 32768.0f) * loudness;
    }
}

static int32_t differing(void)
{
    int32_t wrong = 0;
    for (int32_t i = 0; i < NUMBERS; i++) {
        const float size = expected[i] < 0.0f ? -expected[i] : expected[i];
        wrong += result[i] != expected[i] && !(size < INAUDIBLE && result[i] < INAUDIBLE && result[i] > -INAUDIBLE);
    }
    return wrong;
}

int main(void)
{
    int32_t wrong = 0;

    for (uint32_t round = 0; round < 60; round++) {
        fill(expected, TINYSE_TRANSFORM, round);
        memcpy(result, expected, sizeof result);
        tinyse_transform_forward_portable(expected);
        tinyse_transform_forward(result);
        wrong += differing();
        fill(expected, NUMBERS, round);
        memcpy(result, expected, sizeof result);
        tinyse_transform_inverse_portable(expected);
        tinyse_transform_inverse(result);
        for (int32_t i = TINYSE_TRANSFORM; i < NUMBERS; i++) {
            result[i] = expected[i]; /* not a part of what comes back */
        }
        wrong += differing();
    }
    port_print(wrong ? "transform differs\n" : "transform equal\n");
    return (int)(wrong < 99 ? wrong : 99);
}
