/* The whole path from sound to sound for Python, in float samples; the stream's memory is Python's. */
#include <stddef.h>

#include "front_end.h"
#include "network.h"

typedef struct {
    tinyse_front_end front_end;
    tinyse_network network;
} tinyse_host_stream;

size_t tinyse_host_bytes(void)
{
    return sizeof(tinyse_host_stream);
}

size_t tinyse_host_hop(void)
{
    return TINYSE_HOP;
}

void tinyse_host_reset(tinyse_host_stream *stream)
{
    tinyse_front_end_reset(&stream->front_end);
    tinyse_network_reset(&stream->network);
}

/* `limit` is the share of every gain that stays at one. */
void tinyse_host_process(tinyse_host_stream *stream, const float *in, float *out, size_t hops, float limit)
{
    stream->front_end.limit = limit;
    for (; hops > 0; hops--, in += TINYSE_HOP, out += TINYSE_HOP) {
        tinyse_front_end_analyze(&stream->front_end, in, TINYSE_INPUT_FEATURES(&stream->network));
        tinyse_network_step(&stream->network);
        tinyse_front_end_synthesize(&stream->front_end, TINYSE_OUTPUT_MASK(&stream->network), out);
    }
}
