// SPDX-License-Identifier: MIT
/* sentinel: Sentinels are asked which server is the master of a registry: all of them, once a second and when the master does not serve.
 * Uses: bridge/base.
 * Not: know what the registry is for.
 *
 * Of what they say the highest config-epoch counts: the Sentinel that led a promotion has it at once, the others some time later. A killed
 * master that starts again is a master with old data until it is told to be a copy: who asks one Sentinel alone may be sent to it. */
#ifndef T2M_SENTINEL_H
#define T2M_SENTINEL_H

#include "bridge/cluster/registry.h"

struct sentinel;

struct sentinel_ops {
	void *ctx;
	/* Another server is the master now: connections to the one before are to be left. */
	void (*moved)(void *ctx);
};

/* `options` are those of the Sentinels; their texts and `master`, its name there, are kept and must live longer. NULL: no memory. */
struct sentinel *sentinel_open(struct ev_loop *loop, const struct registry_options *options, const char *master,
	const struct sentinel_ops *ops);
void sentinel_start(struct sentinel *sentinel);
void sentinel_free(struct sentinel *sentinel);
/* Is the server, which a connection to it has reached by now, still the master? Who knows better is heard until sentinel_is_checked: `moved` is
 * called then. A server that was killed may have started again since the Sentinels were asked. */
void sentinel_check(struct sentinel *sentinel);
bool sentinel_is_checked(const struct sentinel *sentinel);
/* For the registries that want to know: see registry_options. */
struct registry_finder sentinel_finder(struct sentinel *sentinel);

#endif
