/* LOGISTIC, TANH and QUANTIZE with the vectors of Armv8.1-M: sixteen looks into the table at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include <arm_mve.h>

TINYSE_SHARED void tinyse_look_up_mve(const tinyse_table *function, const int8_t *input, int8_t *output)
{
    const int32_t columns = function->layout.columns;

    for (int32_t row = 0; row < function->layout.rows; row++) {
        for (int32_t i = 0; i < columns; i += 16) {
            const mve_pred16_t there = vctp8q((uint32_t)(columns - i));
            const uint8x16_t index = vreinterpretq_u8_s8(vldrbq_z_s8(input + i, there));
            vstrbq_p_s8(output + i, vldrbq_gather_offset_z_s8(function->table, index, there), there);
        }
        input += function->layout.a_stride;
        output += columns;
    }
}

#endif
