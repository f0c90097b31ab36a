/* A LADSPA plugin: mono, at the rates of block.h; a host runs one for each channel. */
#include <ladspa.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "plugin.h"

enum { INPUT, OUTPUT, LIMIT, LATENCY, PORTS };

typedef struct {
    LADSPA_Data *ports[PORTS];
    int limit;
    tinyse_block block;
} plugin;

static LADSPA_Handle instantiate(const LADSPA_Descriptor *descriptor, unsigned long rate)
{
    (void)descriptor;
    plugin *self = calloc(1, sizeof *self); /* a host may leave ports unconnected: they are NULL */
    if (self != NULL && tinyse_block_init(&self->block, rate > INT32_MAX ? 0 : (int32_t)rate) != TINYSE_OK) {
        free(self); /* a host then says that it could not be instantiated */
        return NULL;
    }
    if (self != NULL) {
        self->limit = TINYSE_NO_LIMIT;
    }
    return self;
}

static void connect_port(LADSPA_Handle handle, unsigned long port, LADSPA_Data *place)
{
    ((plugin *)handle)->ports[port] = place;
}

static void activate(LADSPA_Handle handle)
{
    tinyse_block_reset(&((plugin *)handle)->block);
}

static void run(LADSPA_Handle handle, unsigned long count)
{
    plugin *self = handle;
    const LADSPA_Data strength = self->ports[LIMIT] != NULL ? *self->ports[LIMIT] : TINYSE_LARGEST_LIMIT;
    const int limit = strength >= TINYSE_LARGEST_LIMIT ? TINYSE_NO_LIMIT : strength > 0 ? (int)(strength + 0.5f) : 0;
    if (limit != self->limit) {
        self->limit = limit;
        (void)tinyse_set_attenuation_limit(&self->block.stream, limit);
    }
    if (self->ports[LATENCY] != NULL) {
        *self->ports[LATENCY] = (LADSPA_Data)tinyse_block_latency(&self->block);
    }
    if (self->ports[INPUT] != NULL && self->ports[OUTPUT] != NULL) {
        (void)tinyse_block_process(&self->block, self->ports[INPUT], self->ports[OUTPUT], (int32_t)count);
    } else if (self->ports[OUTPUT] != NULL) {
        memset(self->ports[OUTPUT], 0, count * sizeof(LADSPA_Data));
    }
}

static void cleanup(LADSPA_Handle handle)
{
    free(handle);
}

const LADSPA_Descriptor *ladspa_descriptor(unsigned long index)
{
    static const LADSPA_PortDescriptor kinds[PORTS] = {
        LADSPA_PORT_INPUT | LADSPA_PORT_AUDIO,
        LADSPA_PORT_OUTPUT | LADSPA_PORT_AUDIO,
        LADSPA_PORT_INPUT | LADSPA_PORT_CONTROL,
        LADSPA_PORT_OUTPUT | LADSPA_PORT_CONTROL,
    };
    static const char *const names[PORTS] = {"Input", "Output", "Attenuation limit (dB, 60: none)", "latency"};
    static const LADSPA_PortRangeHint hints[PORTS] = {
        {0, 0, 0},
        {0, 0, 0},
        {LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE | LADSPA_HINT_INTEGER | LADSPA_HINT_DEFAULT_MAXIMUM,
         0, TINYSE_LARGEST_LIMIT},
        {0, 0, 0},
    };
    static const LADSPA_Descriptor descriptor = {
        .UniqueID = TINYSE_PLUGIN_ID,
        .Label = TINYSE_PLUGIN_LABEL,
        .Properties = LADSPA_PROPERTY_HARD_RT_CAPABLE,
        .Name = "tinyse noise suppression, model " TINYSE_MODEL_HASH,
        .Maker = "the tinyse authors",
        .Copyright = "MIT",
        .PortCount = PORTS,
        .PortDescriptors = kinds,
        .PortNames = names,
        .PortRangeHints = hints,
        .instantiate = instantiate,
        .connect_port = connect_port,
        .activate = activate,
        .run = run,
        .cleanup = cleanup,
    };
    return index == 0 ? &descriptor : NULL;
}
