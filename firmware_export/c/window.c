/* Windows that reach over the edge of an input, or over several of its rows. */
#include "window.h"

#include <string.h>

#include "bytes.h"

TINYSE_SHARED const int8_t *tinyse_gather(const tinyse_convolution *layer, const int8_t *input, int32_t top, int32_t left,
                            int8_t *scratch)
{
    const int32_t width = layer->width, channels = layer->channels, bytes = layer->kernel_width * channels;
    const int32_t before = left < 0 ? -left * channels : 0;
    const int32_t after = left + layer->kernel_width > width ? (left + layer->kernel_width - width) * channels : 0;
    const int32_t inside = bytes - before - after;
    int8_t *next = scratch;

    if (bytes == 1 && inside == 1 && top >= 0 && top + layer->kernel_height <= layer->height) {
        const int8_t *from = input + top * width + left; /* a column of single bytes */
        for (int32_t count = layer->kernel_height; count > 0; count--) {
            *next++ = *from;
            from += width;
        }
        return scratch;
    }
    for (int32_t row = top; row < top + layer->kernel_height; row++) {
        if (row < 0 || row >= layer->height || inside <= 0) {
            memset(next, layer->input_zero, (size_t)bytes);
        } else {
            memset(next, layer->input_zero, (size_t)before);
            tinyse_copy_bytes(next + before, input + ((row * width + left) * channels + before), (size_t)inside);
            memset(next + bytes - after, layer->input_zero, (size_t)after);
        }
        next += bytes;
    }
    return scratch;
}
