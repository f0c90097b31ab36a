/* Replays the golden vectors of a network without a front end: every output and every state of every frame must have the
 * reference's bits. Prints lines of `name value`; the exit code is the number of frames that differ, at most 99.
 */
#include "network.h"
#include "port.h"
#include "vectors.h"

static tinyse_network network;

int main(void)
{
    int wrong = 0;

    tinyse_network_reset(&network);
    for (int frame = 0; frame < vectors_frames; frame++) {
        vectors_load(&network, frame);
        tinyse_network_step(&network);
        wrong += vectors_checksum(&network) != vectors_checksums[frame];
    }
    port_print(wrong ? "network differs\n" : "network equal\n");
    return wrong < 99 ? wrong : 99;
}
