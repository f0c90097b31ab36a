/* What an interface asks of a pointer. */
#ifndef TINYSE_ALIGNED_H
#define TINYSE_ALIGNED_H

#include <stddef.h>
#include <stdint.h>

/* Whether a pointer is not NULL and a multiple of `alignment` bytes. */
static inline int tinyse_is_aligned(const void *pointer, uint32_t alignment)
{
    return pointer != NULL && (uintptr_t)pointer % alignment == 0;
}

#endif
