/* Replays the golden vectors of a tagger: every output and state of every frame, and every decision, must have the
 * reference's bits. Prints lines of `name value`; the result is the number of frames and decisions that differ, at
 * most 99.
 */
#include <string.h>

#include "port.h"
#include "tagger.h"
#include "vectors.h"

static tinyse_stream stream;

int tinyse_replay(void)
{
    int wrong_frames = 0, wrong_decisions = 0;
    uint8_t tags[TINYSE_CLASSES];

    if (tinyse_init(&stream) != TINYSE_OK) {
        return 98;
    }
    for (int frame = 0; frame < tinyse_vectors_frames; frame++) {
        if (tinyse_process(&stream, tinyse_vectors_in + frame * TINYSE_HOP) != TINYSE_OK) {
            return 97;
        }
        wrong_frames += tinyse_vectors_checksum(&stream.network) != tinyse_vectors_checksums[frame];
        if ((frame + 1) % TINYSE_HOPS_A_SECOND == 0) {
            const uint8_t *expected = tinyse_vectors_tags + frame / TINYSE_HOPS_A_SECOND * TINYSE_CLASSES;
            tinyse_decide(&stream, tags);
            wrong_decisions += memcmp(tags, expected, sizeof tags) != 0;
        }
    }
    tinyse_latest(&stream, tags);
    wrong_decisions += memcmp(tags, tinyse_vectors_latest, sizeof tags) != 0;
    port_print(wrong_frames ? "network differs\n" : "network equal\n");
    port_print(wrong_decisions ? "decisions differ\n" : "decisions equal\n");
    const int wrong = wrong_frames + wrong_decisions;
    return wrong < 99 ? wrong : 99;
}
