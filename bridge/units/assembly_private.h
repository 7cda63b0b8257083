// SPDX-License-Identifier: MIT
/* assembly_private: what assembly.c and assembly_room.c share; nobody else includes it.
 * Uses: bridge/base. */
#ifndef T2M_ASSEMBLY_PRIVATE_H
#define T2M_ASSEMBLY_PRIVATE_H

#include "bridge/units/assembly.h"
#include "bridge/base/hash.h"

#include <utlist.h>

#define ASKED_FOR_MS 60000 /* a part that comes within this time may be the one that was asked for */

/* An address that pays for something. */
struct payer {
	struct payer_key {
		uint8_t address[16], known;
	} key;
	struct pool *pool;
	size_t bytes;
	unsigned size_class;
	struct multipart *oldest;  /* the longest untouched first */
	struct payer *prev, *next; /* of its size class */
	UT_hash_handle hh;
};

struct sender {
	char ident[CODEC_IDENT_MAX + 1];
	struct multipart *messages;
	UT_hash_handle hh;
};

struct part {
	uint8_t *body; /* NULL: not here yet */
	uint16_t len, serial;
	uint32_t arrival; /* counted within the message */
};

/* A message in several parts. */
struct multipart {
	struct sender *sender;
	struct payer *payer;
	size_t bytes; /* all that is paid for it */
	uint32_t kind;
	uint16_t total, have;
	uint32_t arrivals;
	int64_t touched_ms, asked_ms, late_ms; /* late_ms: it was late then, for the last time */
	unsigned late;                         /* so often it was asked for because it was late */
	struct part *part; /* NULL: the message has ended, with this status and these digests */
	enum codec_status ended;
	uint64_t *digest;
	struct multipart *next_here;     /* of the sender */
	struct multipart *prev, *next;   /* of the pool: by age */
	struct multipart *older, *newer; /* of the payer: by age */
};

/* Memory that addresses share; size class n holds those that pay for 2^n bytes or more, but not 2^(n+1). */
#define SIZE_CLASSES 32
struct pool {
	size_t max_bytes, bytes;
	struct payer *by_size[SIZE_CLASSES];
	struct multipart *oldest; /* the longest untouched first */
};

struct assembly {
	struct pool strangers, known;
	struct payer *payers;   /* hash */
	struct sender *senders; /* hash */
	unsigned given_up;
	/* of the call at hand */
	int64_t now_ms;
	struct payer *paying; /* stays although it pays for nothing */
	/* of the frame at hand */
	struct multipart *complete;
	uint8_t *whole;
	uint16_t serials[ASSEMBLY_PARTS_MAX], missing[ASSEMBLY_PARTS_MAX];
};

#define BODY_COST 16 /* of a part that is kept, besides its bytes */

/* Who pays for what comes from there. NULL: no memory. */
struct payer *assembly_payer(struct assembly *assembly, const struct assembly_from *from);
/* Forgets it if it pays for nothing. */
void assembly_free_idle(struct assembly *assembly, struct payer *payer);

struct sender *assembly_sender(const struct assembly *assembly, const char *ident);

/* A message without parts, with room for this one. NULL: no room. */
struct multipart *assembly_begin(
	struct assembly *assembly, const struct assembly_from *from, const struct codec_part *part);
void assembly_drop(struct assembly *assembly, struct multipart *m);
/* A part goes, if it is here; the message stays. */
void assembly_drop_part(struct multipart *m, unsigned index);
/* Its parts go, digests come in their place. */
void assembly_keep_digests(struct multipart *m, uint64_t *digest);

/* Makes room at the cost of others, but not of this message. False: there is none. */
bool assembly_make_room(
	struct assembly *assembly, struct payer *payer, size_t bytes, const struct multipart *except);
/* Touched now, and paid by this address from now on, with so many bytes. */
void assembly_touch(struct assembly *assembly, struct multipart *m, struct payer *payer, size_t bytes);

#endif
