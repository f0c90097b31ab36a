/* A step of the network, with what a caller may get wrong. */
#include "bare.h"

#include "aligned.h"

tinyse_status tinyse_init_checked(tinyse_stream *stream, uint32_t bytes, uint32_t build)
{
    if (bytes != sizeof *stream || build != TINYSE_BUILD) {
        return TINYSE_WRONG_HEADER;
    }
    if (!tinyse_is_aligned(stream, TINYSE_ALIGNMENT)) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_network_reset(&stream->network);
    return TINYSE_OK;
}

tinyse_status tinyse_step(tinyse_stream *stream)
{
    if (!tinyse_is_aligned(stream, TINYSE_ALIGNMENT)) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_network_step(&stream->network);
#ifdef TINYSE_CMSIS_NN
    if (stream->network.failed) {
        return TINYSE_LIBRARY_FAILED;
    }
#endif
    return TINYSE_OK;
}
