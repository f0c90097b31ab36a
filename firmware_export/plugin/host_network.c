/* A network for Python, whose memory it is: how much, and where values lie in it. */
#include <stddef.h>

#include "network.h"

size_t tinyse_host_network_bytes(void)
{
    return sizeof(tinyse_network);
}

size_t tinyse_host_states(void)
{
    return offsetof(tinyse_network, states);
}

size_t tinyse_host_arena(void)
{
    return offsetof(tinyse_network, arena);
}
