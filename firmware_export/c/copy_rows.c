/* Bytes from rows of one stride to rows of another. */
#include "kernels.h"

#include <string.h>

void tinyse_copy_rows(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    for (int32_t row = 0; row < layout->rows; row++) {
        memcpy(target, source, (size_t)layout->columns);
        source += layout->a_stride;
        target += layout->b_stride;
    }
}
