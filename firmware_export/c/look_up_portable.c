/* LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU and QUANTIZE: one look into a table of all 256 inputs. */
#include "kernels.h"

TINYSE_SHARED void tinyse_look_up_portable(const tinyse_table *function, const int8_t *input, int8_t *output)
{
    const int8_t *table = function->table;
    const int32_t columns = function->layout.columns;

    for (int32_t row = 0; row < function->layout.rows; row++) {
#pragma GCC unroll 4
        for (int32_t i = 0; i < columns; i++) {
            output[i] = table[(uint8_t)input[i]];
        }
        input += function->layout.a_stride;
        output += columns;
    }
}
