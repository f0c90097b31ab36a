/* Windows that reach over the edge of an input, or over several of its rows. */
#include "window.h"

#include <string.h>

#include "bytes.h"

TINYSE_SHARED const int8_t *tinyse_gather(const tinyse_convolution *layer, const int8_t *input, int32_t top, int32_t left,
                            int8_t *scratch)
{
    const int32_t width = layer->width, channels = layer->channels;
    const int32_t right = left + layer->kernel_width;
    const int32_t first = left < 0 ? 0 : left;
    const int32_t end = right > width ? width : right;

    memset(scratch, layer->input_zero, (size_t)layer->depth);
    for (int32_t row = 0; row < layer->kernel_height; row++) {
        if (top + row >= 0 && top + row < layer->height && end > first) {
            tinyse_copy_bytes(scratch + (row * layer->kernel_width + first - left) * channels,
                              input + ((top + row) * width + first) * channels, (size_t)((end - first) * channels));
        }
    }
    return scratch;
}
