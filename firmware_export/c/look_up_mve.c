/* LOGISTIC, TANH and QUANTIZE with the vectors of Armv8.1-M: sixteen looks into the table at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"

TINYSE_SHARED void tinyse_look_up_mve(const tinyse_table *function, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < function->layout.rows; row++) {
        tinyse_look_up_all(function->table, input, output, function->layout.columns);
        input += function->layout.a_stride;
        output += function->layout.columns;
    }
}

#endif
