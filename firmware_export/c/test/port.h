/* What the tests need of a machine. */
#ifndef TINYSE_PORT_H
#define TINYSE_PORT_H

#include <stdint.h>

/* Print a line's part, without a newline of its own. */
void port_print(const char *text);

/* Instructions executed so far, wrapping at 24 bits or later; always 0 where they are not counted. */
uint32_t port_instructions(void);

/* How many instructions port_instructions() counts before it wraps, as a mask. */
uint32_t port_instruction_mask(void);

/* The deepest that the stack has been, in bytes; 0 where it is not measured. */
uint32_t port_stack_bytes(void);

#endif
