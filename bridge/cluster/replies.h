// SPDX-License-Identifier: MIT
/* replies: the library's reader of answers, which takes no more memory than an answer is worth.
 * Uses: nothing else.
 * Not: know what stands in them. */
#ifndef T2M_REPLIES_H
#define T2M_REPLIES_H

#include "bridge/cluster/registry.h"

#define REPLY_MOST (256u << 20)       /* bytes of an answer */
#define REPLY_ELEMENTS_MOST (1 << 20) /* of a list */

/* Stays where it is while the reader is in use. */
struct replies {
	redisReader *reader; /* NULL: closed */
	redisReplyObjectFunctions objects;
	redisReplyObjectFunctions *library;
};

/* False: no memory. */
bool replies_open(struct replies *replies);
/* It may be closed already. */
void replies_close(struct replies *replies);
/* Has an answer begun that is too long? */
bool replies_too_long(const struct replies *replies);

#endif
