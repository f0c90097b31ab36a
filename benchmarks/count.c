/* A QEMU plugin that counts, for each address: executions, jumps away from it, and lines of code that had to be waited for.
 *
 * Arguments: out=FILE, base=ADDRESS of flash. A line of the result is `address executed jumped lines`. Lines of flash are
 * modeled as an STM32F4's accelerator has them (ST RM0390, 3.4): 16 bytes, 64 of them kept for code, and the line after
 * the current one is fetched ahead, so that code waits only after a jump.
 *
 * QEMU's header is not packaged: these are the few declarations of its API, version 1 (QEMU 6.0 and later), that it needs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

enum { HALFWORDS = 1 << 20, LINES = 64, LINE = 16 };

static uint64_t executed[HALFWORDS], jumped[HALFWORDS], waited[HALFWORDS];
static uint8_t sizes[HALFWORDS];
static uint32_t lines[LINES]; /* those that are kept, the last used one first */
static uint32_t base, last = HALFWORDS;
static const char *result = "counts.txt";

/* Whether `line` was there; it comes first. */
static int touch(uint32_t line)
{
    uint32_t at = 0;
    while (at < LINES - 1 && lines[at] != line) {
        at++;
    }
    const int hit = lines[at] == line;
    memmove(lines + 1, lines, at * sizeof lines[0]);
    lines[0] = line;
    return hit;
}

static void execute(unsigned cpu, void *place)
{
    const uint32_t now = (uint32_t)(uintptr_t)place;
    const int in_order = last < HALFWORDS && last + sizes[last] / 2 == now;
    (void)cpu;
    executed[now]++;
    if (last < HALFWORDS && !in_order) {
        jumped[last]++;
    }
    if (!touch((base + 2 * now) / LINE) && !in_order) {
        waited[now]++;
    }
    last = now;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t place = (qemu_plugin_insn_vaddr(instruction) - base) / 2;
        if (place < HALFWORDS) {
            sizes[place] = (uint8_t)qemu_plugin_insn_size(instruction);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, execute, 0, (void *)(uintptr_t)place);
        }
    }
}

static void finish(qemu_plugin_id_t id, void *nothing)
{
    FILE *file = fopen(result, "w");
    (void)id, (void)nothing;
    for (uint32_t i = 0; file != NULL && i < HALFWORDS; i++) {
        if (executed[i]) {
            fprintf(file, "%x %llu %llu %llu\n", base + 2 * i, (unsigned long long)executed[i],
                    (unsigned long long)jumped[i], (unsigned long long)waited[i]);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count, char **arguments)
{
    (void)info;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            result = strdup(arguments[i] + 4);
        } else if (strncmp(arguments[i], "base=", 5) == 0) {
            base = (uint32_t)strtoul(arguments[i] + 5, NULL, 0);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
