/* The replay of this export alone. */
#include "vectors.h"

int main(void)
{
    return tinyse_replay();
}
