/* Bytes from rows of one stride to rows of another. Rows are short: a call of memcpy costs more than the copy. */
#include "bytes.h"
#include "kernels.h"

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

TINYSE_SHARED void tinyse_copy_rows_portable(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const int32_t columns = layout->columns, words = columns / 4;
    const int32_t from = layout->a_stride - columns, to = layout->b_stride - columns;

    if (columns == 1) {
        copy_bytes(layout, source, target);
        return;
    }
    for (int32_t row = layout->rows; row > 0; row--) {
        for (int32_t count = words; count > 0; count--) {
            tinyse_copy_bytes(target, source, 4); /* one load and one store where a processor takes unaligned words */
            source += 4;
            target += 4;
        }
        for (int32_t count = columns % 4; count > 0; count--) {
            *target++ = *source++;
        }
        source += from;
        target += to;
    }
}
