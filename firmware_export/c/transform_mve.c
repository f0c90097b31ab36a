/* The Fourier transform with the vectors of Armv8.1-M, four points at a time: every number as transform_portable.c has it. */
#include "exact.h"

#include "transform.h"

#ifdef TINYSE_MVE_FLOAT

#include <arm_mve.h>

#include "reorder.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-auto-inc-dec") /* GCC 12 gives VST21 an addressing mode that it has not */
#endif

#define QUARTER (HALF / 2)

/* Four complex numbers. */
typedef float32x4x2_t points;

static inline points sum(points a, points b)
{
    return (points){{vaddq_f32(a.val[0], b.val[0]), vaddq_f32(a.val[1], b.val[1])}};
}

static inline points difference(points a, points b)
{
    return (points){{vsubq_f32(a.val[0], b.val[0]), vsubq_f32(a.val[1], b.val[1])}};
}

static inline points turned(points x, float32x4_t cosine, float32x4_t sine)
{
    return (points){{vsubq_f32(vmulq_f32(x.val[0], cosine), vmulq_f32(x.val[1], sine)),
                     vaddq_f32(vmulq_f32(x.val[0], sine), vmulq_f32(x.val[1], cosine))}};
}

static inline points load(const float *at)
{
    return vld2q_f32(at);
}

static inline void store(float *at, points x)
{
    vst2q_f32(at, x);
}

/* Pairs whose real parts lie at `base` plus four offsets in bytes. */
static inline points gather(const float *base, uint32x4_t offsets)
{
    return (points){{vldrwq_gather_offset_f32(base, offsets), vldrwq_gather_offset_f32(base + 1, offsets)}};
}

static inline void scatter(float *base, uint32x4_t offsets, points x)
{
    vstrwq_scatter_offset_f32(base, offsets, x.val[0]);
    vstrwq_scatter_offset_f32(base + 1, offsets, x.val[1]);
}

/* Spans of one point and of two, whose neighbors lie within a vector. Four real parts, then four imaginary ones are the
 * order from here on, for which the next stages need no registers in a row. */
static void first_stages(float *values)
{
    float *const end = values + 2 * HALF;
    const uint32x4_t number = vidupq_n_u32(0, 1);

    for (float *at = values; at < end; at += 16) {
        float32x4x4_t four = vld4q_f32(at);
        const points even = {{four.val[0], four.val[1]}}, odd = {{four.val[2], four.val[3]}};
        const points first = sum(even, odd), second = difference(even, odd);
        four.val[0] = first.val[0];
        four.val[1] = first.val[1];
        four.val[2] = second.val[0];
        four.val[3] = second.val[1];
        vst4q_f32(at, four);
    }
    /* Points 0, 1, 4, 5 and, two after each, 2, 3, 6, 7: the first of a pair is turned by zero, the second by a quarter. */
    const uint32x4_t odd = vandq_u32(number, vdupq_n_u32(1)), next_four = vandq_u32(number, vdupq_n_u32(2));
    const uint32x4_t from = vshlq_n_u32(vaddq_u32(number, next_four), 3);
    const uint32x4_t to = vaddq_u32(vshlq_n_u32(odd, 2), vshlq_n_u32(next_four, 4));
    const float32x4_t cosine = vldrwq_gather_shifted_offset_f32(cosines, vmulq_n_u32(odd, HALF / 4));
    const float32x4_t sine = vldrwq_gather_shifted_offset_f32(sines, vmulq_n_u32(odd, HALF / 4));
    for (float *at = values; at < end; at += 16) {
        const points top = gather(at, from), bottom = turned(gather(at + 4, from), cosine, sine);
        const points first = sum(top, bottom), second = difference(top, bottom);
        vstrwq_scatter_offset_f32(at, to, first.val[0]);
        vstrwq_scatter_offset_f32(at + 4, to, first.val[1]);
        vstrwq_scatter_offset_f32(at + 2, to, second.val[0]);
        vstrwq_scatter_offset_f32(at + 6, to, second.val[1]);
    }
}

static inline points load_four(const float *at)
{
    return (points){{vldrwq_f32(at), vldrwq_f32(at + 4)}};
}

static inline void store_four(float *at, points x)
{
    vstrwq_f32(at, x.val[0]);
    vstrwq_f32(at + 4, x.val[1]);
}

/* The stages from a span of four on, but for the last one. */
static void middle_stages(float *values)
{
    for (int32_t span = 4; span < HALF / 2; span *= 2) {
        const uint32_t step = (uint32_t)(HALF / (2 * span));
        for (int32_t k = 0; k < span; k += 4) {
            const uint32x4_t numbers = vmulq_n_u32(vidupq_n_u32((uint32_t)k, 1), step);
            const float32x4_t cosine = vldrwq_gather_shifted_offset_f32(cosines, numbers);
            const float32x4_t sine = vldrwq_gather_shifted_offset_f32(sines, numbers);
            float *top = values + 2 * k, *bottom = top + 2 * span;
            for (uint32_t count = step; count > 0; count--) {
                const points a = load_four(top), b = turned(load_four(bottom), cosine, sine);
                store_four(top, sum(a, b));
                store_four(bottom, difference(a, b));
                top += 4 * span;
                bottom += 4 * span;
            }
        }
    }
}

/* HALF pairs, in place; with `inverse`, exchanged. */
static inline void transform(float *values, int inverse)
{
    reorder(values);
    first_stages(values);
    middle_stages(values);
    float *top = values, *bottom = values + HALF;
    for (int32_t k = 0; k < HALF / 2; k += 4, top += 8, bottom += 8) {
        const points a = load_four(top), b = turned(load_four(bottom), vldrwq_f32(cosines + k), vldrwq_f32(sines + k));
        points first = sum(a, b), second = difference(a, b);
        if (inverse) {
            first = (points){{first.val[1], first.val[0]}};
            second = (points){{second.val[1], second.val[0]}};
        }
        store(top, first);
        store(bottom, second);
    }
}

/* Offsets of the partners of four bins: three pairs after the last one, and down. */
static inline uint32x4_t downwards(void)
{
    return vddupq_n_u32(24, 8);
}

void tinyse_transform_forward_mve(float *values)
{
    transform(values, 0);
    values[2 * HALF] = values[0]; /* the value after the last one is the first: the sequence is periodic */
    values[2 * HALF + 1] = values[1];
    float *low_at = values, *high_at = values + 2 * (HALF - 3);
    for (int32_t k = 0; k < QUARTER; k += 4, low_at += 8, high_at -= 8) {
        /* Bins k and HALF - k come from the same two values. */
        const points low = load(low_at), high = gather(high_at, downwards());
        const float32x4_t even_re = vmulq_n_f32(vaddq_f32(low.val[0], high.val[0]), 0.5f);
        const float32x4_t even_im = vmulq_n_f32(vsubq_f32(low.val[1], high.val[1]), 0.5f);
        const points odd = {{vmulq_n_f32(vaddq_f32(low.val[1], high.val[1]), 0.5f), vmulq_n_f32(vsubq_f32(high.val[0], low.val[0]), 0.5f)}};
        const points turn = turned(odd, vldrwq_f32(turn_cosines + k), vldrwq_f32(turn_sines + k));
        store(low_at, (points){{vaddq_f32(even_re, turn.val[0]), vaddq_f32(even_im, turn.val[1])}});
        scatter(high_at, downwards(), (points){{vsubq_f32(even_re, turn.val[0]), vsubq_f32(turn.val[1], even_im)}});
    }
    /* The middle bin is its own partner; the second of two lines that write it counts. */
    const float re = low_at[1] * turn_cosines[QUARTER], im = low_at[1] * turn_sines[QUARTER];
    low_at[0] = low_at[0] - re;
    low_at[1] = im;
}

void tinyse_transform_inverse_mve(float *values)
{
    /* A division by a power of two changes no bits: the one by HALF goes together with the one by two. */
    float *low_at = values, *high_at = values + 2 * (HALF - 3);
    for (int32_t k = 0; k < QUARTER; k += 4, low_at += 8, high_at -= 8) {
        const points low = load(low_at), high = gather(high_at, downwards());
        const float32x4_t even_re = vmulq_n_f32(vaddq_f32(low.val[0], high.val[0]), 0.5f / HALF);
        const float32x4_t even_im = vmulq_n_f32(vsubq_f32(low.val[1], high.val[1]), 0.5f / HALF);
        const float32x4_t difference_re = vmulq_n_f32(vsubq_f32(low.val[0], high.val[0]), 0.5f / HALF);
        const float32x4_t difference_im = vmulq_n_f32(vaddq_f32(low.val[1], high.val[1]), 0.5f / HALF);
        /* Turned backwards, and with real and imaginary parts exchanged, which makes the forward transform the inverse. */
        const points odd = turned((points){{difference_im, difference_re}}, vldrwq_f32(turn_cosines + k),
                                  vldrwq_f32(turn_sines + k));
        store(low_at, (points){{vaddq_f32(even_im, odd.val[1]), vsubq_f32(even_re, odd.val[0])}});
        scatter(high_at, downwards(), (points){{vsubq_f32(odd.val[1], even_im), vaddq_f32(even_re, odd.val[0])}});
    }
    const float re = low_at[0] * (1.0f / HALF), im = low_at[1] * (1.0f / HALF);
    const float turned_re = im * turn_sines[QUARTER], turned_im = im * turn_cosines[QUARTER];
    low_at[1] = re + turned_im;
    low_at[0] = turned_re;
    transform(values, 1);
}

#endif
