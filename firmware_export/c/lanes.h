/* Four int32 at a time, in vectors of 128 bits: what SSE, Neon and WebAssembly have alike by the compiler's own types, and
 * by name the few operations that each calls otherwise. */
#ifndef TINYSE_LANES_H
#define TINYSE_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE4_1__)
#include <smmintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#include <wasm_simd128.h>
#endif

typedef int32_t tinyse_lanes __attribute__((vector_size(16)));
typedef int16_t tinyse_halves __attribute__((vector_size(16)));
typedef uint64_t tinyse_wide __attribute__((vector_size(16)));

static inline tinyse_lanes tinyse_all(int32_t x)
{
    return (tinyse_lanes){x, x, x, x};
}

/* Eight bytes at any address. */
static inline tinyse_halves tinyse_load_eight(const int8_t *bytes)
{
    typedef int8_t octet __attribute__((vector_size(8)));
    octet eight;
    memcpy(&eight, bytes, sizeof eight);
    return __builtin_convertvector(eight, tinyse_halves);
}

/* The first four of eight, and the others. */
static inline tinyse_lanes tinyse_low(tinyse_halves x)
{
    return (tinyse_lanes)__builtin_shufflevector(x, x, 0, 0, 1, 1, 2, 2, 3, 3) >> 16;
}
static inline tinyse_lanes tinyse_high(tinyse_halves x)
{
    return (tinyse_lanes)__builtin_shufflevector(x, x, 4, 4, 5, 5, 6, 6, 7, 7) >> 16;
}

/* Eight values as bytes, clipped to [low, 127]. */
static inline void tinyse_store_eight(int8_t *bytes, tinyse_lanes a, tinyse_lanes b, int32_t low)
{
#if defined(__SSE2__)
    const __m128i all = _mm_max_epi16(_mm_packs_epi32((__m128i)a, (__m128i)b), _mm_set1_epi16((int16_t)low));
    _mm_storel_epi64((__m128i *)(void *)bytes, _mm_packs_epi16(all, all));
#elif defined(__aarch64__)
    const int16x8_t all = vqmovn_high_s32(vqmovn_s32((int32x4_t)a), (int32x4_t)b);
    vst1_s8(bytes, vqmovn_s16(vmaxq_s16(all, vdupq_n_s16((int16_t)low))));
#else
    const v128_t all = wasm_i16x8_max(wasm_i16x8_narrow_i32x4((v128_t)a, (v128_t)b), wasm_i16x8_splat((int16_t)low));
    wasm_v128_store64_lane(bytes, wasm_i8x16_narrow_i16x8(all, all), 0);
#endif
}

/* Products of eight pairs, two neighbors added: lane i is a[2i] * b[2i] + a[2i + 1] * b[2i + 1]. */
static inline tinyse_lanes tinyse_dot(tinyse_halves a, tinyse_halves b)
{
#if defined(__SSE2__)
    return (tinyse_lanes)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (tinyse_lanes)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#else
    return (tinyse_lanes)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b);
#endif
}

/* A block is the weights of one word of a pair, or of two words where vectors have 256 bits; and sums of its products. */
#ifdef __AVX2__
#define TINYSE_BLOCK 2
typedef int16_t tinyse_block __attribute__((vector_size(32)));
typedef int32_t tinyse_sums __attribute__((vector_size(32)));

static inline tinyse_block tinyse_load_block(const int8_t *bytes)
{
    return (tinyse_block)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}
static inline tinyse_sums tinyse_dot_block(tinyse_block a, tinyse_block b)
{
    return (tinyse_sums)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
static inline tinyse_lanes tinyse_fold(tinyse_sums x)
{
    return (tinyse_lanes)_mm256_castsi256_si128((__m256i)x) + (tinyse_lanes)_mm256_extracti128_si256((__m256i)x, 1);
}
#else
#define TINYSE_BLOCK 1
typedef tinyse_halves tinyse_block;
typedef tinyse_lanes tinyse_sums;
#define tinyse_load_block tinyse_load_eight
#define tinyse_dot_block tinyse_dot
#define tinyse_fold(x) (x)
#endif

/* tinyse_high_product of each lane. */
static inline tinyse_lanes tinyse_high_products(tinyse_lanes x, tinyse_lanes multiplier)
{
#if defined(__aarch64__)
    return (tinyse_lanes)vqrdmulhq_s32((int32x4_t)x, (int32x4_t)multiplier);
#else
    const tinyse_wide half = {(uint64_t)1 << 30, (uint64_t)1 << 30};
#if defined(__SSE4_1__)
    const __m128i x_odd = _mm_srli_epi64((__m128i)x, 32), odd_multiplier = _mm_srli_epi64((__m128i)multiplier, 32);
    const tinyse_wide even = (tinyse_wide)_mm_mul_epi32((__m128i)x, (__m128i)multiplier) + half;
    const tinyse_wide odd = (tinyse_wide)_mm_mul_epi32(x_odd, odd_multiplier) + half;
    return (tinyse_lanes)_mm_blend_epi16((__m128i)(even >> 31), (__m128i)(odd << 1), 0xCC);
#elif defined(__SSE2__)
    /* By magnitudes, for it multiplies without signs: halves go up, so those of negative numbers toward zero. */
    const tinyse_lanes sign = x >> 31, size = (x ^ sign) - sign;
    const tinyse_wide nudge_even = half + (tinyse_wide)__builtin_shufflevector(sign, sign, 0, 0, 2, 2);
    const tinyse_wide nudge_odd = half + (tinyse_wide)__builtin_shufflevector(sign, sign, 1, 1, 3, 3);
    const __m128i size_odd = _mm_srli_epi64((__m128i)size, 32), odd_multiplier = _mm_srli_epi64((__m128i)multiplier, 32);
    const tinyse_wide even = (tinyse_wide)_mm_mul_epu32((__m128i)size, (__m128i)multiplier) + nudge_even;
    const tinyse_wide odd = (tinyse_wide)_mm_mul_epu32(size_odd, odd_multiplier) + nudge_odd;
    const tinyse_lanes product = __builtin_shufflevector((tinyse_lanes)(even >> 31), (tinyse_lanes)(odd >> 31), 0, 4, 2, 6);
    return (product ^ sign) - sign;
#else
    const tinyse_wide low = (tinyse_wide)wasm_i64x2_extmul_low_i32x4((v128_t)x, (v128_t)multiplier) + half;
    const tinyse_wide high = (tinyse_wide)wasm_i64x2_extmul_high_i32x4((v128_t)x, (v128_t)multiplier) + half;
    return __builtin_shufflevector((tinyse_lanes)(low >> 31), (tinyse_lanes)(high >> 31), 0, 2, 4, 6);
#endif
#endif
}

/* tinyse_divide of each lane by 2^(shift + 1). A comparison of lanes gives -1 where it holds. */
static inline tinyse_lanes tinyse_divide_lanes(tinyse_lanes x, tinyse_lanes shift_less_one)
{
    return (((x + (x < 0)) >> shift_less_one) + 1) >> 1;
}

/* tinyse_rescale of each lane, for a shift of 1 or more. */
static inline tinyse_lanes tinyse_rescale_lanes(tinyse_lanes x, int32_t multiplier, int32_t shift)
{
    const tinyse_lanes product = tinyse_high_products(x, tinyse_all(multiplier));
    return (((product + (product < 0)) >> (shift - 1)) + 1) >> 1;
}

#endif
