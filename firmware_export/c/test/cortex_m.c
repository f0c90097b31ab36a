/* A bare Cortex-M under QEMU: start, semihosting, a count of instructions, the depth of the stack.
 *
 * With -icount shift=6 an instruction takes 64 ns of QEMU's time, so the 24-bit SysTick counts instructions up to a
 * factor, TICKS_PER_125_INSTRUCTIONS, that follows from the board's clock. These are instructions, not cycles.
 */
#include <stdint.h>

#include "port.h"

#ifndef TICKS_PER_125_INSTRUCTIONS
#error "define TICKS_PER_125_INSTRUCTIONS: the board's clock in Hz times 64 ns times 125"
#endif

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define CONFIGURATION REGISTER(0xE000ED14u)
#define COPROCESSOR_ACCESS REGISTER(0xE000ED88u)
#define TICK_MASK 0xFFFFFFu
#define PAINT 0x5AFEC0DEu

extern uint32_t stack_top, stack_bottom, data_source, data_start, data_end, bss_start, bss_end;

int main(void);

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void finish(uint32_t code)
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
    return (uint32_t)((uint64_t)(TICK_MASK - SYSTICK_VALUE) * 125u / TICKS_PER_125_INSTRUCTIONS);
}

uint32_t port_instruction_mask(void)
{
    return (uint32_t)((uint64_t)TICK_MASK * 125u / TICKS_PER_125_INSTRUCTIONS);
}

uint32_t port_stack_bytes(void)
{
    const uint32_t *word = &stack_bottom;
    while (word < &stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)&stack_top - (uintptr_t)word);
}

__attribute__((noinline)) static void begin(void)
{
    const uint32_t *source = &data_source;
    for (uint32_t *word = &data_start; word < &data_end; word++) {
        *word = *source++;
    }
    for (uint32_t *word = &bss_start; word < &bss_end; word++) {
        *word = 0;
    }
    uintptr_t top;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (uint32_t *word = &stack_bottom; (uintptr_t)word + 64 < top; word++) {
        *word = PAINT;
    }
#ifdef TRAP_UNALIGNED
    CONFIGURATION |= 1u << 3; /* UNALIGN_TRP: a word or half word at any other address is a fault */
#endif
    SYSTICK_RELOAD = TICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* on, from the processor's clock */
    finish((uint32_t)main());
}

/* The FPU and the vectors are off after a reset, and a compiler may use them for any loop: they come first. */
void start(void);

void start(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    COPROCESSOR_ACCESS |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
#endif
    begin();
}

static void fault(void)
{
    port_print("FAULT\n");
    finish(99);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)&stack_top, start, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault,
};
