// SPDX-License-Identifier: MIT
/* parts_outbox: see parts_outbox.h. */
#include "bridge/parts_outbox.h"

/* the words of [outbox] sync and damaged are the outbox' own */
_Static_assert((int)CONFIG_SYNC_ALWAYS == (int)OUTBOX_SYNC_ALWAYS, "always");
_Static_assert((int)CONFIG_SYNC_INTERVAL == (int)OUTBOX_SYNC_INTERVAL, "interval");
_Static_assert((int)CONFIG_SYNC_NEVER == (int)OUTBOX_SYNC_NEVER, "never");
_Static_assert((int)CONFIG_DAMAGED_ASIDE == (int)OUTBOX_DAMAGED_ASIDE, "aside");
_Static_assert((int)CONFIG_DAMAGED_REFUSE == (int)OUTBOX_DAMAGED_REFUSE, "refuse");

static void wake_loop(void *ctx)
{
	struct bridge *b = ctx;
	ev_async_send(b->loop, &b->disk);
}

static void on_disk(struct ev_loop *loop, ev_async *disk, int events)
{
	(void)loop;
	(void)disk;
	(void)events; /* it only wakes the loop: parts_turn follows */
}

bool parts_outbox_open(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	const struct outbox_options options = {c->outbox.path, (size_t)c->outbox.size,
		(enum outbox_sync)c->outbox.sync, c->outbox.sync_interval,
		(enum outbox_damaged)c->outbox.damaged};
	ev_async_init(&b->disk, on_disk);
	ev_async_start(b->loop, &b->disk);
	b->outbox = outbox_open(&options, why, size);
	if (b->outbox != NULL)
		outbox_use_wake(b->outbox, wake_loop, b);
	return b->outbox != NULL;
}

void parts_outbox_close(struct bridge *b)
{
	if (b->outbox != NULL)
		outbox_close(b->outbox);
	ev_async_stop(b->loop, &b->disk);
}
