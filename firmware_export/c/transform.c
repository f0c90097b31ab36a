/* Cooley and Tukey 1965: decimation in time, the operations in the order of tinyse/spectra/fft.py.
 *
 * Turning by an angle of zero is left out: a multiplication by one and an addition of zero change no value.
 */
#include "transform.h"

#ifndef TINYSE_CMSIS_DSP

#include <stdint.h>

#include "front_end.h"
#include "transform_tables.h"

#define HALF (TINYSE_TRANSFORM / 2)
#define QUARTER (TINYSE_TRANSFORM / 4)

/* One butterfly of pairs: top + bottom and top - bottom. */
static inline void cross(float *top, float *bottom, float re, float im)
{
    const float top_re = top[0], top_im = top[1];
    top[0] = top_re + re;
    top[1] = top_im + im;
    bottom[0] = top_re - re;
    bottom[1] = top_im - im;
}

static void reorder(float *values)
{
    for (int32_t i = 0; i < HALF; i++) {
        const int32_t j = order[i];
        if (j > i) {
            float *a = values + 2 * i, *b = values + 2 * j;
            const float re = a[0], im = a[1];
            a[0] = b[0];
            a[1] = b[1];
            b[0] = re;
            b[1] = im;
        }
    }
}

/* HALF pairs, in place. */
static void transform(float *values)
{
    float *const end = values + 2 * HALF;

    reorder(values);
    for (float *top = values; top < end; top += 4) {
        cross(top, top + 2, top[2], top[3]);
    }
    for (int32_t span = 2; span < HALF; span *= 2) {
        for (float *top = values; top < end; top += 4 * span) {
            float *bottom = top + 2 * span;
            cross(top, bottom, bottom[0], bottom[1]);
        }
        const int32_t step = HALF / (2 * span);
        for (int32_t k = 1; k < span; k++) {
            const float cosine = cosines[k * step], sine = sines[k * step];
            for (float *top = values + 2 * k; top < end; top += 4 * span) {
                float *bottom = top + 2 * span;
                const float re = bottom[0] * cosine - bottom[1] * sine;
                const float im = bottom[0] * sine + bottom[1] * cosine;
                cross(top, bottom, re, im);
            }
        }
    }
}

void tinyse_transform_forward(float *values)
{
    transform(values);
    values[2 * HALF] = values[0]; /* the value behind the last one is the first: the sequence is periodic */
    values[2 * HALF + 1] = values[1];
    for (int32_t k = 0; k <= QUARTER; k++) {
        /* Bins k and HALF - k come from the same two values. */
        float *low = values + 2 * k, *high = values + 2 * (HALF - k);
        const float even_re = (low[0] + high[0]) * 0.5f, even_im = (low[1] - high[1]) * 0.5f;
        const float odd_re = (low[1] + high[1]) * 0.5f, odd_im = (high[0] - low[0]) * 0.5f;
        const float re = odd_re * turn_cosines[k] - odd_im * turn_sines[k];
        const float im = odd_re * turn_sines[k] + odd_im * turn_cosines[k];
        low[0] = even_re + re;
        low[1] = even_im + im;
        high[0] = even_re - re;
        high[1] = im - even_im;
    }
}

void tinyse_transform_inverse(float *values)
{
    for (int32_t k = 0; k <= QUARTER; k++) {
        float *low = values + 2 * k, *high = values + 2 * (HALF - k);
        const float even_re = (low[0] + high[0]) * 0.5f, even_im = (low[1] - high[1]) * 0.5f;
        const float difference_re = (low[0] - high[0]) * 0.5f, difference_im = (low[1] + high[1]) * 0.5f;
        const float odd_re = difference_re * turn_cosines[k] + difference_im * turn_sines[k];
        const float odd_im = difference_im * turn_cosines[k] - difference_re * turn_sines[k];
        /* The inverse is the forward transform with real and imaginary parts exchanged, which starts here. */
        low[0] = even_im + odd_re;
        low[1] = even_re - odd_im;
        high[0] = odd_re - even_im;
        high[1] = even_re + odd_im;
    }
    transform(values);
    for (float *pair = values; pair < values + 2 * HALF; pair += 2) {
        const float even = pair[1] * (1.0f / HALF), odd = pair[0] * (1.0f / HALF);
        pair[0] = even;
        pair[1] = odd;
    }
}

#endif
