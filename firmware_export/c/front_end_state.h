/* What the front end keeps from frame to frame, the same in floats and in integers. */
#ifndef TINYSE_FRONT_END_STATE_H
#define TINYSE_FRONT_END_STATE_H

#include <string.h>

#include "front_end.h"

/* Silence: all but the limit, which is left alone. */
static inline void silence(tinyse_front_end *state, tinyse_number level, tinyse_number rate)
{
    memset(state->bins, 0, sizeof state->bins);
#ifdef TINYSE_SYNTHESIS
    memset(state->tail, 0, sizeof state->tail);
#if TINYSE_LOOK_AHEAD
    memset(state->waiting, 0, sizeof state->waiting);
#endif
#endif
    memset(state->logs, 0, sizeof state->logs);
    memset(state->past, 0, sizeof state->past);
    state->level = level;
    state->rate = rate;
}

#ifdef TINYSE_SYNTHESIS
/* Where the network looks ahead: the spectrum that waited for this mask against the present one, which waits on. */
static inline void exchange(tinyse_front_end *state)
{
#if TINYSE_LOOK_AHEAD
    for (int32_t i = 0; i < TINYSE_TRANSFORM + 2; i++) {
        const tinyse_number last = state->waiting[i];
        state->waiting[i] = state->bins[i];
        state->bins[i] = last;
    }
#else
    (void)state;
#endif
}
#endif

#endif
