/* What every function of an export answers. */
#ifndef TINYSE_STATUS_H
#define TINYSE_STATUS_H

typedef enum {
    TINYSE_OK = 0,
    TINYSE_BAD_ARGUMENT = 1, /* a pointer that is NULL or not aligned, or a number out of range */
    TINYSE_LIBRARY_FAILED = 2, /* with --cmsis: CMSIS-NN refuses a layer or needs more memory */
    TINYSE_WRONG_HEADER = 3 /* the header and the library are of different exports */
} tinyse_status;

#endif
