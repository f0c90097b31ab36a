/* Golden vectors: what went in, and what the integer reference made of it. */
#ifndef TINYSE_VECTORS_H
#define TINYSE_VECTORS_H

#include <stdint.h>

#include "network.h"

extern const int vectors_frames;

/* CRC-32 (as zlib) of the outputs and states behind a frame, one after the other in the order of the .tflite. */
uint32_t vectors_checksum(const tinyse_network *network);
extern const uint32_t vectors_checksums[];

/* Of a denoiser: sound, in frames of TINYSE_HOP. */
extern const int16_t vectors_in[];
extern const int16_t vectors_out[];

/* Of a tagger: the decision behind each whole second, from the same kind of sound. */
extern const uint8_t vectors_tags[];

/* Of a network without a front end: write a frame's inputs. */
void vectors_load(tinyse_network *network, int frame);

#endif
