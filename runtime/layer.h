/*
 * Layers: what copy-on-write places changed in a run, kept on the host: ~/.local/state/sundog/layers/NAME (or a directory
 * that was named) with
 *   meta       created=NANOSECONDS, then one line per place: N<tab>path on the host
 *   N/         the upper of place N, in the format of Linux' overlay (option userxattr)
 * The contents are a sandbox's: names are single components, nothing in them is followed.
 */
#ifndef SUNDOG_RUNTIME_LAYER_H
#define SUNDOG_RUNTIME_LAYER_H

#include "sentry/base/types.h"

struct builder;
struct layer {
    char *dir;
    s64 created;      /* ns since the epoch */
    struct layer_place { unsigned n; char *path; } *places; unsigned nplaces;
};

/* NAME, or a path with a slash. malloc'ed or NULL after a message. */
char *layer_dir(const char *name);
/* Reads meta. 0, or an exit status after a message. */
int layer_load(struct layer *l, const char *name);
void layer_fini(struct layer *l);
/* For a run: the place's upper, made if needed, as a root of the gofer. *upper: its index + 1. */
int layer_upper(struct builder *b, const char *host, const char *at, u32 *upper);

struct layer_change { char kind; /* A M R D */ char *path; char *upper; u32 mode; bool conflict; const char *why; };
struct layer_changes { struct layer_change *c; unsigned n, conflicts; };
int layer_diff(const struct layer *l, struct layer_changes *out);
void layer_changes_fini(struct layer_changes *c);
/* Removes the layer's files. */
int layer_remove(const struct layer *l);

#endif
