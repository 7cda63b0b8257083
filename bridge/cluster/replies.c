// SPDX-License-Identifier: MIT
/* replies: see replies.h. */
#include "bridge/cluster/replies.h"

#if HIREDIS_MAJOR >= 1
typedef size_t list_length;
#else
typedef int list_length;
#endif

/* The library takes the memory of a list before it has the elements. */
static void *create_list(const redisReadTask *task, list_length elements)
{
	const struct replies *r = task->privdata;
	return elements <= REPLY_ELEMENTS_MOST ? r->library->createArray(task, elements) : NULL;
}

bool replies_open(struct replies *r)
{
	r->reader = redisReaderCreate();
	if (r->reader == NULL)
		return false;
	r->library = r->reader->fn;
	r->objects = *r->library;
	r->objects.createArray = create_list;
	r->reader->fn = &r->objects;
	r->reader->privdata = r;
	return true;
}

void replies_close(struct replies *r)
{
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	r->reader = NULL;
}

bool replies_too_long(const struct replies *r)
{
	return r->reader->len > REPLY_MOST;
}
