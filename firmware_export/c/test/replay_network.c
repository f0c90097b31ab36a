/* Replays the golden vectors of a network without a front end: every output and every state of every frame must have the
 * reference's bits. Prints lines of `name value`; the result is the number of frames that differ, at most 99.
 */
#include "bare.h"
#include "port.h"
#include "vectors.h"

static tinyse_stream stream;

int tinyse_replay(void)
{
    int wrong = 0;

    if (tinyse_init(&stream) != TINYSE_OK) {
        return 98;
    }
    for (int frame = 0; frame < tinyse_vectors_frames; frame++) {
        tinyse_vectors_load(&stream.network, frame);
        wrong += tinyse_step(&stream) != TINYSE_OK;
        wrong += tinyse_vectors_checksum(&stream.network) != tinyse_vectors_checksums[frame];
    }
    port_print(wrong ? "network differs\n" : "network equal\n");
    return wrong < 99 ? wrong : 99;
}
