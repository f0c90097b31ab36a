/* Rounding on vectors of Armv8.1-M. */
#ifndef TINYSE_MVE_H
#define TINYSE_MVE_H

#include <arm_mve.h>

/* Halves away from zero: VRSHL rounds halves up, so one is taken from negative numbers before. Shifts are negative. */
static inline int32x4_t tinyse_away_from_zero(int32x4_t x)
{
    return vaddq_s32(x, vshrq_n_s32(x, 31));
}

/* tinyse_rescale for a shift of 1 or more. VQRDMULH rounds as tinyse_high_product does. */
static inline int32x4_t tinyse_rescale_4(int32x4_t x, int32_t multiplier, int32_t negative_shift)
{
    return vrshlq_n_s32(tinyse_away_from_zero(vqrdmulhq_n_s32(x, multiplier)), negative_shift);
}

/* Offsets of four lanes: 0, unit, step, step + unit. */
static inline uint32x4_t tinyse_two_pairs(uint32_t step, uint32_t unit)
{
    const uint32x4_t pair = vmulq_n_u32(vandq_u32(vidupq_n_u32(0, 1), vdupq_n_u32(1)), unit);
    return vmlaq_n_u32(pair, vshrq_n_u32(vidupq_n_u32(0, 1), 1), step);
}

/* Clipped to [low, 127]. */
static inline int32x4_t tinyse_clip_4(int32x4_t x, int32_t low)
{
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(low)), vdupq_n_s32(127));
}

/* Four values of 16 bits. Those after an operand's end are read, too, and left out when results are stored. */
static inline int32x4_t tinyse_load_4(const int8_t *bytes)
{
    return vldrhq_s32((const int16_t *)(const void *)bytes);
}

/* Clipped to [low, 32767] and stored, as many as `bytes` has room for. */
static inline void tinyse_store_4(int8_t *output, int32x4_t x, int32_t low, int32_t bytes)
{
    const int32x4_t clipped = vminq_s32(vmaxq_s32(x, vdupq_n_s32(low)), vdupq_n_s32(32767));
    vstrhq_p_s32((int16_t *)(void *)output, clipped, vctp32q((uint32_t)bytes / 2));
}

/* `count` looks into a table of 256, sixteen at a time. The last turn has as many lanes as are left, for which GCC 12
 * makes no code of its own. */
static inline void tinyse_look_up_all(const int8_t *table, const int8_t *input, int8_t *output, int32_t count)
{
    __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                     "1:\n\t"
                     "vldrb.u8 q0, [%[input]], #16\n\t"
                     "vldrb.u8 q1, [%[table], q0]\n\t"
                     "vstrb.8 q1, [%[output]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [input] "+r"(input), [output] "+r"(output)
                     : [count] "r"(count), [table] "r"(table)
                     : "lr", "q0", "q1", "memory");
}

#endif
