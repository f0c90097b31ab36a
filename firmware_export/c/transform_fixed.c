/* Cooley and Tukey 1965: decimation in time, in the order of firmware_export/fixed_point.py. */
#include "transform_fixed.h"

#include "front_end.h"
#include "transform_tables.h"

#define HALF (TINYSE_TRANSFORM / 2)
#define QUARTER (TINYSE_TRANSFORM / 4)

/* (re, im) turned by an angle whose cosine and sine are in units of 2^-30; products rounded once, halves up. */
static inline int32_t turned_re(int32_t re, int32_t im, int32_t cosine, int32_t sine)
{
    return (int32_t)(((int64_t)re * cosine - (int64_t)im * sine + (1 << 29)) >> 30);
}

static inline int32_t turned_im(int32_t re, int32_t im, int32_t cosine, int32_t sine)
{
    return (int32_t)(((int64_t)re * sine + (int64_t)im * cosine + (1 << 29)) >> 30);
}

/* One butterfly of pairs, shifted to the right by `shift`, 0 or 1, halves up. */
static inline void cross(int32_t *top, int32_t *bottom, int32_t re, int32_t im, int32_t shift)
{
    const int32_t top_re = top[0] + shift, top_im = top[1] + shift;
    top[0] = (top_re + re) >> shift;
    top[1] = (top_im + im) >> shift;
    bottom[0] = (top_re - re) >> shift;
    bottom[1] = (top_im - im) >> shift;
}

static void reorder(int32_t *values)
{
    for (uint32_t i = 0; i < sizeof swaps / sizeof swaps[0]; i += 2) {
        int32_t *a = values + 2 * swaps[i], *b = values + 2 * swaps[i + 1];
        const int32_t re = a[0], im = a[1];
        a[0] = b[0];
        a[1] = b[1];
        b[0] = re;
        b[1] = im;
    }
}

/* HALF pairs, in place. Turning by an angle of zero is left out: it changes nothing. */
static inline void transform(int32_t *values, int32_t shift)
{
    int32_t *const end = values + 2 * HALF;

    reorder(values);
    for (int32_t span = 1; span < HALF; span *= 2) {
        const int32_t step = HALF / (2 * span);
        for (int32_t *top = values; top < end; top += 4 * span) {
            int32_t *bottom = top + 2 * span;
            cross(top, bottom, bottom[0], bottom[1], shift);
        }
        for (int32_t k = 1; k < span; k++) {
            const int32_t cosine = cosines[k * step], sine = sines[k * step];
            for (int32_t *top = values + 2 * k; top < end; top += 4 * span) {
                int32_t *bottom = top + 2 * span;
                const int32_t re = turned_re(bottom[0], bottom[1], cosine, sine);
                const int32_t im = turned_im(bottom[0], bottom[1], cosine, sine);
                cross(top, bottom, re, im, shift);
            }
        }
    }
}

void tinyse_transform_forward(int32_t *values)
{
    transform(values, 0);
    values[2 * HALF] = values[0]; /* the value after the last one is the first: the sequence is periodic */
    values[2 * HALF + 1] = values[1];
    for (int32_t k = 0; k <= QUARTER; k++) {
        /* Bins k and HALF - k come from the same two values. */
        int32_t *low = values + 2 * k, *high = values + 2 * (HALF - k);
        const int32_t even_re = (low[0] + high[0]) >> 1, even_im = (low[1] - high[1]) >> 1;
        const int32_t odd_re = (low[1] + high[1]) >> 1, odd_im = (high[0] - low[0]) >> 1;
        const int32_t re = turned_re(odd_re, odd_im, turn_cosines[k], turn_sines[k]);
        const int32_t im = turned_im(odd_re, odd_im, turn_cosines[k], turn_sines[k]);
        low[0] = even_re + re;
        low[1] = even_im + im;
        high[0] = even_re - re;
        high[1] = im - even_im;
    }
}

void tinyse_transform_inverse(int32_t *values)
{
    for (int32_t k = 0; k <= QUARTER; k++) {
        int32_t *low = values + 2 * k, *high = values + 2 * (HALF - k);
        const int32_t even_re = (low[0] + high[0]) >> 1, even_im = (low[1] - high[1]) >> 1;
        const int32_t difference_re = (low[0] - high[0]) >> 1, difference_im = (low[1] + high[1]) >> 1;
        const int32_t odd_re = turned_re(difference_re, difference_im, turn_cosines[k], -turn_sines[k]);
        const int32_t odd_im = turned_im(difference_re, difference_im, turn_cosines[k], -turn_sines[k]);
        /* The inverse is the forward transform with real and imaginary parts exchanged, which starts here. */
        low[0] = even_im + odd_re;
        low[1] = even_re - odd_im;
        high[0] = odd_re - even_im;
        high[1] = even_re + odd_im;
    }
    transform(values, 1); /* a half a stage: as many halves as there are points */
    for (int32_t *pair = values; pair < values + 2 * HALF; pair += 2) {
        const int32_t odd = pair[0];
        pair[0] = pair[1];
        pair[1] = odd;
    }
}
