/* Golden vectors: what went in, and what the integer reference made of it. */
#ifndef TINYSE_VECTORS_H
#define TINYSE_VECTORS_H

#include <stdint.h>

#include "network.h"

extern const int tinyse_vectors_frames;

/* CRC-32 (as zlib) of the outputs and states after a frame, one after the other in the order of the .tflite. */
uint32_t tinyse_vectors_checksum(const tinyse_network *network);
extern const uint32_t tinyse_vectors_checksums[];

/* Of a denoiser: sound, in frames of TINYSE_HOP. */
extern const int16_t tinyse_vectors_in[];
extern const int16_t tinyse_vectors_out[];

/* Of a tagger: the decision after each whole second, from the same kind of sound. */
extern const uint8_t tinyse_vectors_tags[];
extern const uint8_t tinyse_vectors_latest[]; /* the probabilities of the last frame */

/* Of a network without a front end: write a frame's inputs. */
void tinyse_vectors_load(tinyse_network *network, int frame);

/* Replays them all and prints what came of it; 0 if every bit is as it should be. */
int tinyse_replay(void);

#endif
