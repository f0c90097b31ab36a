/* Bytes from rows of one stride to rows of another. Rows are short: a call of memcpy costs more than the copy. */
#include "kernels.h"

#include <string.h>

void tinyse_copy_rows(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const int32_t columns = layout->columns;

    for (int32_t row = 0; row < layout->rows; row++) {
        int32_t i = 0;
        for (; i + 4 <= columns; i += 4) {
            memcpy(target + i, source + i, 4); /* one load and one store where a processor takes unaligned words */
        }
        for (; i < columns; i++) {
            target[i] = source[i];
        }
        source += layout->a_stride;
        target += layout->b_stride;
    }
}
