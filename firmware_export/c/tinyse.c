/* One hop through front end, network and front end. */
#include "tinyse.h"

#include <stddef.h>

tinyse_status tinyse_init(tinyse *stream)
{
    const tinyse_status status = tinyse_reset(stream);
    return status == TINYSE_OK ? tinyse_set_attenuation_limit(stream, TINYSE_NO_LIMIT) : status;
}

tinyse_status tinyse_reset(tinyse *stream)
{
    if (stream == NULL) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_front_end_reset(&stream->front_end);
    tinyse_network_reset(&stream->network);
    return TINYSE_OK;
}

tinyse_status tinyse_process(tinyse *stream, const int16_t in[TINYSE_HOP], int16_t out[TINYSE_HOP])
{
    if (stream == NULL || in == NULL || out == NULL) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_network *network = &stream->network;
    tinyse_front_end_analyse(&stream->front_end, in, TINYSE_INPUT_FEATURES(network));
    tinyse_network_step(network);
    tinyse_front_end_synthesise(&stream->front_end, TINYSE_OUTPUT_MASK(network), out);
#ifdef TINYSE_CMSIS_NN
    if (network->failed) {
        return TINYSE_LIBRARY_FAILED;
    }
#endif
    return TINYSE_OK;
}

tinyse_status tinyse_set_attenuation_limit(tinyse *stream, int decibels)
{
    if (stream == NULL || decibels < TINYSE_NO_LIMIT || decibels > TINYSE_LARGEST_LIMIT) {
        return TINYSE_BAD_ARGUMENT;
    }
    tinyse_front_end_set_limit(&stream->front_end, decibels);
    return TINYSE_OK;
}
