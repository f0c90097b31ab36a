/* Which variants of the code the compiler's target can run; define TINYSE_PORTABLE to get portable C everywhere. */
#ifndef TINYSE_TARGET_H
#define TINYSE_TARGET_H

#if defined(_MSC_VER) && !defined(__clang__)
#error "tinyse needs GCC or Clang, or a compiler that takes their attributes; clang-cl does"
#endif

#if !defined(TINYSE_PORTABLE) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define TINYSE_MVE 1
#if __ARM_FEATURE_MVE & 2
#define TINYSE_MVE_FLOAT 1
#endif
#elif !defined(TINYSE_PORTABLE) && defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define TINYSE_DSP 1
#elif !defined(TINYSE_PORTABLE) && (defined(__SSE2__) || defined(__aarch64__) || defined(__wasm_simd128__))
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector) /* GCC 12, Clang */
#define TINYSE_LANES 1
#endif
#endif
#endif

#endif
