/* Replays the golden vectors: every output and every state of every frame must have the reference's bits.
 *
 * With TINYSE_CMSIS_DSP, whose transform is not bit-exact, the sound's difference must be 30 dB below it instead.
 *
 * Prints lines of `name value`; the result is the number of frames that differ, at most 99. Compiled with
 * TINYSE_PROFILE, and on a machine that counts instructions, it prints them by operator too.
 */
#include <string.h>

#include "denoiser.h"
#include "port.h"
#include "vectors.h"

#ifndef TINYSE_FRAMES
#define TINYSE_FRAMES tinyse_vectors_frames
#endif

static tinyse_stream stream;
static int16_t sound[TINYSE_HOP];

static void print_number(const char *name, uint32_t value)
{
    char digits[12];
    char *text = digits + sizeof digits - 2;
    memcpy(text, "\n", 2);
    do {
        *--text = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    port_print(name);
    port_print(" ");
    port_print(text);
}

#ifdef TINYSE_PROFILE
static uint32_t spent[TINYSE_OPERATORS];
static uint32_t mark;

static uint32_t lap(void)
{
    const uint32_t now = port_instructions(), mask = port_instruction_mask();
    const uint32_t passed = now >= mark ? now - mark : now + mask - mark;
    mark = port_instructions();
    return passed;
}

void tinyse_done(int number)
{
    spent[number] += lap();
}

static void profile(void)
{
    uint32_t analysis = 0, synthesis = 0;
    memset(spent, 0, sizeof spent);
    for (int frame = 0; frame < TINYSE_FRAMES; frame++) {
        tinyse_network *network = &stream.network;
        const int16_t *in = tinyse_vectors_in + frame * TINYSE_HOP;
        lap();
        tinyse_front_end_analyze(&stream.front_end, in, TINYSE_INPUT_FEATURES(network));
        analysis += lap();
        tinyse_network_step(network);
        lap();
        tinyse_front_end_synthesize(&stream.front_end, TINYSE_OUTPUT_MASK(network), sound);
        synthesis += lap();
    }
    const uint32_t frames = (uint32_t)TINYSE_FRAMES;
    print_number("analysis", analysis / frames);
    print_number("synthesis", synthesis / frames);
    for (int number = 0; number < TINYSE_OPERATORS; number++) {
        print_number("operator", spent[number] / frames);
    }
}
#endif

int tinyse_replay(void)
{
    uint32_t wrong_sound = 0, wrong_network = 0, wrong_samples = 0;
#ifdef TINYSE_CMSIS_DSP
    uint64_t signal = 0, noise = 0;
#endif

    if (tinyse_init(&stream) != TINYSE_OK) {
        return 98;
    }
    for (int frame = 0; frame < TINYSE_FRAMES; frame++) {
        tinyse_process(&stream, tinyse_vectors_in + frame * TINYSE_HOP, sound);
        wrong_network += tinyse_vectors_checksum(&stream.network) != tinyse_vectors_checksums[frame];
        const int16_t *expected = tinyse_vectors_out + frame * TINYSE_HOP;
        wrong_sound += memcmp(sound, expected, sizeof sound) != 0;
        for (int i = 0; i < TINYSE_HOP; i++) {
            wrong_samples += sound[i] != expected[i];
#ifdef TINYSE_CMSIS_DSP
            const int64_t difference = sound[i] - expected[i];
            signal += (uint64_t)((int64_t)expected[i] * expected[i]);
            noise += (uint64_t)(difference * difference);
#endif
        }
    }
    print_number("frames", (uint32_t)TINYSE_FRAMES);
    print_number("wrong_network_frames", wrong_network);
    print_number("wrong_sound_frames", wrong_sound);
    print_number("wrong_samples", wrong_samples);
    print_number("stack", port_stack_bytes());
    print_number("ram", (uint32_t)sizeof(tinyse_stream));
#ifdef TINYSE_PROFILE
    tinyse_init(&stream);
    profile();
#endif
#ifdef TINYSE_CMSIS_DSP
    const uint32_t wrong = noise * 1000 > signal;
#else
    const uint32_t wrong = wrong_network + wrong_sound;
#endif
    return (int)(wrong < 99 ? wrong : 99);
}
