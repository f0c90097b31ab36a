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
    typedef struct {
        float re, im;
    } pair;
    pair *const pairs = (pair *)(void *)values;

    for (uint32_t i = 0; i < sizeof swaps / sizeof swaps[0]; i += 2) {
        pair *const a = pairs + swaps[i], *const b = pairs + swaps[i + 1];
        const pair first = *a, second = *b;
        *a = second;
        *b = first;
    }
}

#endif
