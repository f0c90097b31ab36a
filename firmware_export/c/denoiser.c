/* One hop through front end, network and front end. */
#include "denoiser.h"

#include "aligned.h"

tinyse_status tinyse_init_checked(tinyse_stream *stream, uint32_t bytes, uint32_t build)
{
    if (bytes != sizeof *stream || build != TINYSE_BUILD) {
        return TINYSE_WRONG_HEADER;
    }
    const tinyse_status status = tinyse_reset(stream);
    return status == TINYSE_OK ? tinyse_set_attenuation_limit(stream, TINYSE_NO_LIMIT) : status;
}

tinyse_status tinyse_reset(tinyse_stream *stream)
{
    if (!tinyse_is_aligned(stream, TINYSE_ALIGNMENT)) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_front_end_reset(&stream->front_end);
    tinyse_network_reset(&stream->network);
    return TINYSE_OK;
}

tinyse_status tinyse_process(tinyse_stream *__restrict stream, const tinyse_sample in[TINYSE_HOP], tinyse_sample out[TINYSE_HOP])
{
    if (!tinyse_is_aligned(stream, TINYSE_ALIGNMENT) || !tinyse_is_aligned(in, sizeof *in) || !tinyse_is_aligned(out, sizeof *out)) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_network *network = &stream->network;
    tinyse_front_end_analyze(&stream->front_end, in, TINYSE_INPUT_FEATURES(network));
    tinyse_network_step(network);
    tinyse_front_end_synthesize(&stream->front_end, TINYSE_OUTPUT_MASK(network), out);
#ifdef TINYSE_CMSIS_NN
    if (network->failed) {
        return TINYSE_LIBRARY_FAILED;
    }
#endif
    return TINYSE_OK;
}

tinyse_status tinyse_set_attenuation_limit(tinyse_stream *stream, int decibels)
{
    if (!tinyse_is_aligned(stream, TINYSE_ALIGNMENT) || decibels < TINYSE_NO_LIMIT || decibels > TINYSE_LARGEST_LIMIT) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_front_end_set_limit(&stream->front_end, decibels);
    return TINYSE_OK;
}
