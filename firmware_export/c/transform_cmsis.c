/* The real Fourier transform by a CMSIS-DSP of your own; written against version 1.15.0. Not bit-exact with Python. */
#include "transform.h"

#ifdef TINYSE_CMSIS_DSP

#include <string.h>

#include "arm_math.h"
#include "front_end.h"

#if TINYSE_TRANSFORM < 32 || TINYSE_TRANSFORM > 4096
#error "arm_rfft_fast_f32 has 32 to 4096 points: compile without TINYSE_CMSIS_DSP"
#endif

/* The initialization for one size alone, arm_rfft_fast_init_512_f32 for 512: the general one links tables for all. */
#define NAMED(points) arm_rfft_fast_init_##points##_f32
#define INITIALIZE(points) NAMED(points)

/* `inverse` is 0 or 1. The instance is some pointers, set anew each time: nothing has to be kept. */
static void transform(float *values, uint8_t inverse)
{
    arm_rfft_fast_instance_f32 instance;
    float given[TINYSE_TRANSFORM]; /* the library writes over what it reads */

    memcpy(given, values, sizeof given);
    (void)INITIALIZE(TINYSE_TRANSFORM)(&instance); /* fails for NULL only */
    arm_rfft_fast_f32(&instance, given, values, inverse);
}

/* The library keeps the last bin, which is real, in the place of the first one's imaginary part, which is zero. */
void tinyse_transform_forward_cmsis(float *values)
{
    transform(values, 0);
    values[TINYSE_TRANSFORM] = values[1];
    values[TINYSE_TRANSFORM + 1] = 0.0f;
    values[1] = 0.0f;
}

void tinyse_transform_inverse_cmsis(float *values)
{
    values[1] = values[TINYSE_TRANSFORM];
    transform(values, 1);
}

#endif
