/* Float arithmetic that rounds as the source says. Before all other includes of a file that computes in float. */
#ifndef TINYSE_EXACT_H
#define TINYSE_EXACT_H

#include <float.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || __FINITE_MATH_ONLY__
#error "the front end needs IEEE arithmetic in the order of its source: compile it without -ffast-math and its parts"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: wider for half precision only */
#error "the front end needs float arithmetic that rounds to float: compile it for SSE (-msse2 -mfpmath=sse), not for x87"
#endif

/* Compilers that do not say what they were asked for are told; and a multiplication and an addition stay two roundings,
 * which is not the default of GCC. */
#if defined(__clang__)
#pragma clang fp contract(off) reassociate(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off,no-associative-math,no-reciprocal-math,no-unsafe-math-optimizations")
#endif

#endif
