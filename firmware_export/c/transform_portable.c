/* Cooley and Tukey 1965: decimation in time, the operations on each number in the order of tinyse/spectra/fft.py.
 *
 * Two stages run at once on four points, which stay in registers in between. Turning by an angle of zero is left out: a
 * multiplication by one and an addition of zero change no value.
 */
#include "exact.h"

#include "front_end.h"
#include "reorder.h"
#include "transform.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-ivopts") /* which takes a pointer of its own for each number */
#endif

#define ODD_STAGES ((HALF & 0x2AAAAAAA) != 0)

/* A complex number. */
typedef struct {
    float re, im;
} point;

static inline point load(const float *pair)
{
    return (point){pair[0], pair[1]};
}

static inline void store(float *pair, point x)
{
    pair[0] = x.re;
    pair[1] = x.im;
}

static inline point sum(point a, point b)
{
    return (point){a.re + b.re, a.im + b.im};
}

static inline point difference(point a, point b)
{
    return (point){a.re - b.re, a.im - b.im};
}

/* Angle number `k` of HALF / 2. */
static inline point angle(int32_t k)
{
    return (point){cosines[k], sines[k]};
}

static inline point turned(point x, point by)
{
    return (point){x.re * by.re - x.im * by.im, x.re * by.im + x.im * by.re};
}

/* Where four points lie that meet in two stages, a span apart. */
typedef struct {
    float *a, *b, *c, *d;
} places;

static inline places spaced(float *first, int32_t step)
{
    return (places){first, first + step, first + 2 * step, first + 3 * step};
}

static inline void move(places *at, int32_t step)
{
    at->a += step;
    at->b += step;
    at->c += step;
    at->d += step;
}

/* The second of two stages, its second two points turned already. */
static inline void second_stage(places at, point a, point b, point c, point d)
{
    store(at.a, sum(a, c));
    store(at.b, sum(b, d));
    store(at.c, difference(a, c));
    store(at.d, difference(b, d));
}

/* HALF pairs, in place. */
static void transform(float *values)
{
    float *const end = values + 2 * HALF;
    const point quarter = angle(HALF / 4);

    reorder(values);
    for (float *pair = values; ODD_STAGES && pair < end; pair += 4) {
        const point a = load(pair), b = load(pair + 2);
        store(pair, sum(a, b));
        store(pair + 2, difference(a, b));
    }
    for (int32_t span = 1 + ODD_STAGES; span < HALF; span *= 4) {
        const int32_t step = 2 * span; /* floats from point to point */
        for (places at = spaced(values, step); at.a < end; move(&at, 4 * step)) {
            const point a = load(at.a), b = load(at.b), c = load(at.c), d = load(at.d);
            second_stage(at, sum(a, b), difference(a, b), sum(c, d), turned(difference(c, d), quarter));
        }
        for (int32_t k = 1; k < span; k++) {
            const int32_t half_turns = HALF / (4 * span);
            const point once = angle(2 * k * half_turns);
            const point low = angle(k * half_turns), high = angle((k + span) * half_turns);
            for (places at = spaced(values + 2 * k, step); at.a < end; move(&at, 4 * step)) {
                const point a = load(at.a), b = turned(load(at.b), once);
                const point c = load(at.c), d = turned(load(at.d), once);
                second_stage(at, sum(a, b), difference(a, b), turned(sum(c, d), low), turned(difference(c, d), high));
            }
        }
    }
}

void tinyse_transform_forward_portable(float *values)
{
    transform(values);
    values[2 * HALF] = values[0]; /* the value after the last one is the first: the sequence is periodic */
    values[2 * HALF + 1] = values[1];
    /* Bins k and HALF - k come from the same two values. */
    const float *cosine = turn_cosines, *sine = turn_sines;
    for (float *low = values, *high = values + 2 * HALF; low <= high; low += 2, high -= 2, cosine++, sine++) {
        const float even_re = (low[0] + high[0]) * 0.5f, even_im = (low[1] - high[1]) * 0.5f;
        const float odd_re = (low[1] + high[1]) * 0.5f, odd_im = (high[0] - low[0]) * 0.5f;
        const float re = odd_re * *cosine - odd_im * *sine;
        const float im = odd_re * *sine + odd_im * *cosine;
        low[0] = even_re + re;
        low[1] = even_im + im;
        high[0] = even_re - re;
        high[1] = im - even_im;
    }
}

void tinyse_transform_inverse_portable(float *values)
{
    /* A division by a power of two changes no bits: the one by HALF goes together with the one by two. */
    const float *cosine = turn_cosines, *sine = turn_sines;
    for (float *low = values, *high = values + 2 * HALF; low <= high; low += 2, high -= 2, cosine++, sine++) {
        const float even_re = (low[0] + high[0]) * (0.5f / HALF), even_im = (low[1] - high[1]) * (0.5f / HALF);
        const float difference_re = (low[0] - high[0]) * (0.5f / HALF), difference_im = (low[1] + high[1]) * (0.5f / HALF);
        const float odd_re = difference_re * *cosine + difference_im * *sine;
        const float odd_im = difference_im * *cosine - difference_re * *sine;
        /* The inverse is the forward transform with real and imaginary parts exchanged, which starts here. */
        low[0] = even_im + odd_re;
        low[1] = even_re - odd_im;
        high[0] = odd_re - even_im;
        high[1] = even_re + odd_im;
    }
    transform(values);
#pragma GCC unroll 4
    for (float *pair = values; pair < values + 2 * HALF; pair += 2) {
        const float odd = pair[0];
        pair[0] = pair[1];
        pair[1] = odd;
    }
}
