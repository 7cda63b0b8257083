// SPDX-License-Identifier: MIT
/* sentinel: Sentinels are asked which server is the master of a registry: one after the other, each time that its master did not serve.
 * Uses: bridge/base.
 * Not: know what the registry is for. */
#ifndef T2M_SENTINEL_H
#define T2M_SENTINEL_H

#include "bridge/cluster/registry.h"

struct sentinel;

/* `options` are those of the Sentinels; their texts and `master`, its name there, are kept and must live longer. NULL: no memory. */
struct sentinel *sentinel_open(
	struct ev_loop *loop, const struct registry_options *options, const char *master);
void sentinel_start(struct sentinel *sentinel);
void sentinel_free(struct sentinel *sentinel);
/* For the registries that want to know: see registry_options. */
struct registry_finder sentinel_finder(struct sentinel *sentinel);

#endif
