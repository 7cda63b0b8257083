// SPDX-License-Identifier: MIT
/* waiting: requests that have not ended: who waits for which unit; and what of them is kept over a restart of the bridge.
 * Uses: bridge/base.
 * Not: know MQTT or the disk, decide when a request ends, the clock. */
#ifndef T2M_WAITING_H
#define T2M_WAITING_H

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "bridge/commands/request.h"
#include "bridge/commands/ticket.h"

/* STAGE_SETTLING: it has ended, or is to be held, when the registry of the cluster says so. */
enum request_stage { STAGE_NEW = 0, STAGE_HELD, STAGE_QUEUED, STAGE_SENT, STAGE_SETTLING };

struct waiting;

/* A unit for which requests wait, the oldest first. */
struct addressee {
	char ident[CODEC_IDENT_MAX + 1];
	struct waiting *waiting;
	int64_t count;
	UT_hash_handle hh;
};

/* A request that has not ended. */
struct waiting {
	struct addressee *addressee; /* NULL: the request does not wait */
	struct waiting *prev, *next;
	UT_hash_handle hh;        /* by number */
	UT_hash_handle by_ticket; /* of those that have one */
	enum request_stage stage;
	uint64_t number;
	int64_t sent_ms;  /* steady time */
	int64_t until_ms; /* its stage ends then, unless something happens before; steady time */
	int64_t timeout_ms;
	bool elsewhere; /* its unit may answer through another bridge of the cluster */
	bool kept;      /* it stands in the store, and outlives the process */
	bool restored;  /* it was sent, or may have been, by the run of the bridge before this one */
	char ident[CODEC_IDENT_MAX + 1], topic[61]; /* topic: the unit's name in topics */
	struct request request;
	struct command_token token;
	struct span payload, frame, response_topic, correlation; /* owned */
	struct span receipt,
		receipt_result; /* owned: the unit's receipt, which is its answer unless a better one comes */
	int64_t receipt_ms;     /* it came then; steady time */
	char ticket[TICKET_MAX + 1]; /* "": it is this bridge's alone */
	struct settling *settling;   /* in STAGE_SETTLING; owned: see settling.h */
	size_t bytes;                /* memory that it takes; about */
};

/* All that wait. All zero: none. */
struct waiting_list {
	struct waiting *all;          /* hash by number, in the order of arrival */
	struct addressee *addressees; /* hash by ident */
	struct waiting *tickets;      /* hash by ticket */
	uint64_t number;
	size_t bytes; /* memory of all requests that wait; about */
};

/* NULL: no memory. `ident` and `name` have at most as many bytes as their arrays have room for. */
struct waiting *waiting_new(struct span ident, struct span name);
void waiting_free(struct waiting *w);
/* Copies `from` into one of the request's spans; an empty one stays empty. False: no memory. */
bool waiting_own(struct waiting *w, struct span *to, struct span from);

/* False: no memory. */
bool waiting_join(struct waiting_list *list, struct waiting *w);
void waiting_leave(struct waiting_list *list, struct waiting *w);
struct waiting *waiting_numbered(const struct waiting_list *list, uint64_t number);
/* NULL: none waits with this ticket. */
struct waiting *waiting_ticket(const struct waiting_list *list, const char *ticket);
/* NULL: none wait for this unit. */
const struct addressee *waiting_addressee(const struct waiting_list *list, const char *ident);
/* The first that waits for this unit; NULL: none. */
struct waiting *waiting_for(const struct waiting_list *list, const char *ident);

/* --- kept --- */

#define WAITING_KEY 9 /* bytes of a key */
#define WAITING_PACKED_MAX (16 << 10)
void waiting_key(const struct waiting *w, uint8_t out[WAITING_KEY]);
/* Writes the request as it is kept; its times as Unix time. */
void waiting_pack(const struct waiting *w, struct moment now, struct writer *out);
/* Reads it back: NULL when it is none, or for want of memory. Its stage ends when it would have ended, but no later than so long after now
 * as it was to last when it was kept, whatever was done to the clock. *number: its number. */
struct waiting *waiting_unpack(struct span key, struct span value, struct moment now, uint64_t *number);

#endif
