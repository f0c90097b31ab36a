/* A computer with an operating system. */
#include <stdio.h>

#include "port.h"

void port_print(const char *text)
{
    fputs(text, stdout);
}

uint32_t port_instructions(void)
{
    return 0;
}

uint32_t port_instruction_mask(void)
{
    return 0;
}

uint32_t port_stack_bytes(void)
{
    return 0;
}
