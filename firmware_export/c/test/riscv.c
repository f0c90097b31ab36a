/* A bare RV32 under QEMU: start, semihosting, a count of instructions, the depth of the stack.
 *
 * With -icount shift=6 an instruction takes 64 ns of QEMU's time, and that is what QEMU's minstret counts.
 */
#include <stdint.h>

#include "port.h"

#define PAINT 0x5AFEC0DEu

extern uint32_t stack_top, stack_bottom, data_source, data_start, data_end, bss_start, bss_end;

int main(void);

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".balign 16\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
}

void finish(uint32_t code);

void finish(uint32_t code)
{
    const uint32_t block[2] = {0x20026u, code}; /* ADP_Stopped_ApplicationExit */
    semihost(0x20, block);                      /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

void port_print(const char *text)
{
    semihost(0x04, text); /* SYS_WRITE0 */
}

uint32_t port_instructions(void)
{
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(count));
    return count / 64;
}

uint32_t port_instruction_mask(void)
{
    return 0xFFFFFFFFu / 64;
}

uint32_t port_stack_bytes(void)
{
    const uint32_t *word = &stack_bottom;
    while (word < &stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)&stack_top - (uintptr_t)word);
}

static void fault(void)
{
    port_print("FAULT\n");
    finish(99);
}

void begin(void);

void begin(void)
{
    const uint32_t *source = &data_source;
    for (uint32_t *word = &data_start; word < &data_end; word++) {
        *word = *source++;
    }
    for (uint32_t *word = &bss_start; word < &bss_end; word++) {
        *word = 0;
    }
    uintptr_t top;
    __asm__ volatile("mv %0, sp" : "=r"(top));
    for (uint32_t *word = &stack_bottom; (uintptr_t)word + 64 < top; word++) {
        *word = PAINT;
    }
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrw mtvec, %0\n.option pop" : : "r"((uintptr_t)fault & ~(uintptr_t)3));
    finish((uint32_t)main());
}

__asm__(".section .vectors, \"ax\"\n"
        ".globl start\n"
        "start:\n"
        "la sp, stack_top\n"
#ifdef __riscv_flen
        /* The FPU is off after a reset: mstatus.FS. */
        ".option push\n.option arch, +zicsr\nli t0, 0x2000\ncsrs mstatus, t0\n.option pop\n"
#endif
        "j begin\n");
