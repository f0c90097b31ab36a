/* Golden vectors: what went in, and what the integer reference made of it. */
#ifndef TINYSE_VECTORS_H
#define TINYSE_VECTORS_H

#include <stdint.h>

#include "network.h"

/* CRC-32 (as zlib) of the outputs and states behind a frame, one after the other in the order of the .tflite. */
uint32_t vectors_checksum(const tinyse_network *network);

extern const int vectors_frames;
extern const uint32_t vectors_checksums[];
extern const int16_t vectors_in[];   /* frames of TINYSE_HOP */
extern const int16_t vectors_out[];

#endif
