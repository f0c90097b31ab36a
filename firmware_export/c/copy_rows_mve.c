/* Bytes from rows of one stride to rows of another with the vectors of Armv8.1-M. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include <arm_mve.h>

#define LARGEST_STEP 17 /* sixteen offsets of up to 255 */

/* Columns of bytes, as a past and a present frame of one channel are put side by side: `from` and `to` apart. */
static void copy_bytes(int32_t count, const int8_t *source, int32_t from, int8_t *target, int32_t to)
{
    const uint8x16_t number = vidupq_n_u8(0, 1);
    const uint8x16_t sources = vmulq_n_u8(number, (uint8_t)from), targets = vmulq_n_u8(number, (uint8_t)to);

    for (; count > 0; count -= 16) {
        const mve_pred16_t there = vctp8q((uint32_t)count);
        vstrbq_scatter_offset_p_s8(target, targets, vldrbq_gather_offset_z_s8(source, sources, there), there);
        source += 16 * from;
        target += 16 * to;
    }
}

TINYSE_SHARED void tinyse_copy_rows_mve(const tinyse_rows *layout, const int8_t *source, int8_t *target)
{
    const int32_t columns = layout->columns, from = layout->a_stride, to = layout->b_stride;

    if (columns == 1 && from <= LARGEST_STEP && to <= LARGEST_STEP) {
        copy_bytes(layout->rows, source, from, target, to);
        return;
    }
    for (int32_t row = layout->rows; row > 0; row--) {
        const int8_t *next = source;
        int8_t *to_next = target;
        /* A loop whose last turn has as many lanes as are left; GCC 12 makes none of these. */
        __asm__ volatile("wlstp.8 lr, %[columns], 2f\n"
                         "1:\n\t"
                         "vldrb.8 q0, [%[next]], #16\n\t"
                         "vstrb.8 q0, [%[to_next]], #16\n\t"
                         "letp lr, 1b\n"
                         "2:"
                         : [next] "+r"(next), [to_next] "+r"(to_next)
                         : [columns] "r"(columns)
                         : "lr", "q0", "memory");
        source += from;
        target += to;
    }
}

#endif
