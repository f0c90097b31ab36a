/* Instructions of the DSP extension that compilers do not find by themselves. */
#ifndef TINYSE_DSP_H
#define TINYSE_DSP_H

#include <stdint.h>

/* Bytes 0 and 2 of a word as two int16. */
static inline int32_t tinyse_even_bytes(uint32_t word)
{
    int32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
}

/* Bytes 1 and 3. */
static inline int32_t tinyse_odd_bytes(uint32_t word)
{
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}

/* addend + both products of two pairs of int16. */
static inline int32_t tinyse_add_products(uint32_t a, uint32_t b, int32_t addend)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(addend));
    return result;
}

/* addend + round(a * b / 2^32), halves up: with a doubled, tinyse_high_product and an addition. */
static inline int32_t tinyse_add_high(int32_t a, int32_t b, int32_t addend)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(addend));
    return result;
}

/* To the right by the lowest byte of a word. */
static inline int32_t tinyse_shift_right(int32_t x, int32_t word)
{
    int32_t result;
    __asm__("asr %0, %1, %2" : "=r"(result) : "r"(x), "r"(word));
    return result;
}

/* Clipped to int8. */
static inline int32_t tinyse_saturate(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
}

/* Clipped to int8 after a shift to the right by one. */
static inline int32_t tinyse_saturate_half(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(x));
    return result;
}

/* What tinyse_divide adds before it shifts, for positive numbers, and with it `offset`, added to the quotient. One more
 * has to be taken from negative numbers, for halves go away from zero. The sign may be that of a product before it was
 * rounded: where rounding made a zero of it, taking one away changes nothing. */
static inline int32_t tinyse_half(int32_t shift, int32_t offset)
{
    const int32_t half = 1 << (shift - 1); /* a shift goes up to 31 */
    return half + 2 * offset * half;
}

#endif
