/* Copies and loads at any address.
 *
 * Where the compiler may not use unaligned words (-mno-unaligned-access: a core that traps them, or memory that does not
 * take them), the C library's memcpy may: it was compiled before. Then bytes are moved one by one. Cores that have no
 * unaligned words at all (Armv6-M) have a library that makes none.
 */
#ifndef TINYSE_BYTES_H
#define TINYSE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__arm__) && !defined(__ARM_FEATURE_UNALIGNED) && !(defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1)
#define TINYSE_ALIGNED_ONLY 1
#endif

/* memcpy; source and target do not overlap. */
static inline void tinyse_copy_bytes(void *target, const void *source, size_t count)
{
#ifdef TINYSE_ALIGNED_ONLY
    int8_t *to = target;
    for (const int8_t *from = source, *end = from + count; from < end;) {
        *to++ = *from++;
        __asm__ volatile(""); /* else a compiler makes a memcpy of it again */
    }
#else
    memcpy(target, source, count);
#endif
}

/* A value of 16 bits. */
static inline int16_t tinyse_load_16(const int8_t *bytes)
{
#ifdef TINYSE_ALIGNED_ONLY
    const uint8_t *b = (const uint8_t *)bytes;
    return (int16_t)(uint16_t)(b[0] | (uint32_t)b[1] << 8);
#else
    int16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
#endif
}

static inline void tinyse_store_16(int8_t *bytes, int32_t value)
{
#ifdef TINYSE_ALIGNED_ONLY
    bytes[0] = (int8_t)(uint8_t)value;
    bytes[1] = (int8_t)(uint8_t)(value >> 8);
#else
    const int16_t narrow = (int16_t)value;
    memcpy(bytes, &narrow, sizeof narrow);
#endif
}

/* Four bytes, the first one lowest. */
static inline uint32_t tinyse_load_word(const int8_t *bytes)
{
    const uint8_t *b = (const uint8_t *)bytes;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

#endif
