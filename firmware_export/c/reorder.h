/* The order in which the Fourier transform takes its points: that of their numbers with the bits read backwards. */
#ifndef TINYSE_REORDER_H
#define TINYSE_REORDER_H

#include <stdint.h>

#include "front_end.h"
#include "transform_tables.h"

#define HALF (TINYSE_TRANSFORM / 2)

/* HALF pairs, in place. */
static inline void reorder(float *values)
{
    for (uint32_t i = 0; i < sizeof swaps / sizeof swaps[0]; i += 2) {
        float *a = values + 2 * swaps[i], *b = values + 2 * swaps[i + 1];
        const float re = a[0], im = a[1];
        a[0] = b[0];
        a[1] = b[1];
        b[0] = re;
        b[1] = im;
    }
}

#endif
