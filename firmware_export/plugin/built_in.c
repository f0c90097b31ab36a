/* A library of several models: what it says of itself. */

/* How Python calls it: the number of firmware_export/built_in.py. */
int tinyse_built_in_interface(void)
{
    return TINYSE_INTERFACE;
}

/* Whether this processor runs the library that was compiled for AVX2. */
int tinyse_built_in_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}
