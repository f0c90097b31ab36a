/* Bytes from rows of one stride to rows of another. Several rows are short: a call of memcpy costs more than the copy. */
#include "bytes.h"
#include "kernels.h"

#ifdef __GNUC__
typedef int32_t __attribute__((__may_alias__)) word; /* in a buffer of bytes, which other kernels read as what they are */
#else
typedef int32_t word;
#endif

/* Columns of bytes, as a past and a present frame of one channel are put side by side. */
static void copy_bytes(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const int32_t from = layout->a_stride, to = layout->b_stride;

#pragma GCC unroll 4
    for (int32_t count = layout->rows; count > 0; count--) {
        *target = *source;
        source += from;
        target += to;
    }
}

/* Rows and strides of whole words, one or more in a row. */
static void copy_words(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const word *from = (const word *)(const void *)source;
    word *to = (word *)(void *)target;
    const int32_t words = layout->columns / 4;
    const int32_t from_next = layout->a_stride / 4 - words, to_next = layout->b_stride / 4 - words;

    for (int32_t row = layout->rows; row > 0; row--) {
        int32_t left = words;
        do {
            *to++ = *from++;
        } while (--left > 0);
        from += from_next;
        to += to_next;
    }
}

TINYSE_SHARED void tinyse_copy_rows_portable(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const int32_t columns = layout->columns, from = layout->a_stride, to = layout->b_stride;
    const uintptr_t all = (uintptr_t)source | (uintptr_t)target | (uintptr_t)(columns | from | to);

    if (layout->rows == 1) {
        tinyse_copy_bytes(target, source, (size_t)columns);
    } else if (columns == 1) {
        copy_bytes(layout, source, target);
    } else if (all % 4 == 0) {
        copy_words(layout, source, target);
    } else {
        for (int32_t row = layout->rows; row > 0; row--) {
            for (int32_t count = columns / 4; count > 0; count--) {
                tinyse_copy_bytes(target, source, 4); /* a load and a store where a processor takes unaligned words */
                source += 4;
                target += 4;
            }
            for (int32_t count = columns % 4; count > 0; count--) {
                *target++ = *source++;
            }
            source += from - columns;
            target += to - columns;
        }
    }
}
