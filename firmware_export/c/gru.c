/* What follows the two matrix products of a GRU: gates, and the state that they mix.
 *
 *     reset = logistic(x + h)    update = logistic(x + h)    new = tanh(x + reset * h)    state = new + update * (state - new)
 *
 * Each x and h is a third of what came of its matrix. Every operation rounds as its operator of the .tflite does.
 */
#include "kernels.h"

/* `second` is an operand with the coarser scale, as `exchanged` has a bit for, or not. */
static void add(const tinyse_gru *gru, const tinyse_addition *sum, int32_t bit, const int8_t *first, const int8_t *second,
                const int8_t *table, int8_t *output)
{
    if (gru->exchanged & bit) {
        tinyse_add(sum, second, first, table, output);
    } else {
        tinyse_add(sum, first, second, table, output);
    }
}

TINYSE_SHARED void tinyse_gru_gates(const tinyse_gru *gru, const int8_t *x, const int8_t *h, const int8_t *state,
                                    int8_t *output, int32_t *scratch)
{
    const int32_t count = gru->kept.layout.rows * gru->kept.layout.columns;
    int8_t *const update = (int8_t *)scratch, *const new_state = update + count;

    add(gru, &gru->update_sum, 1, x + gru->update_at, h + gru->update_at, gru->update_table, update);
    add(gru, &gru->reset_sum, 2, x + gru->reset_at, h + gru->reset_at, gru->reset_table, new_state);
    tinyse_multiply(&gru->remembered, h + gru->new_at, new_state, new_state);
    add(gru, &gru->new_sum, 4, x + gru->new_at, new_state, gru->new_table, new_state);
    add(gru, &gru->difference, 8, state, new_state, NULL, output);
    tinyse_multiply(&gru->kept, update, output, output);
    add(gru, &gru->state, 16, new_state, output, NULL, output);
}
