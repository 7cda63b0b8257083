/* store_private: what store.c and store_aside.c share; nobody else includes it. */
#ifndef T2M_STORE_PRIVATE_H
#define T2M_STORE_PRIVATE_H

#include "flush.h"
#include "store.h"

#include <lmdb.h>

struct store {
	MDB_env *env;
	MDB_dbi messages, memory, refused;
	bool has_refused; /* false: opened for reading only, and there are none */
	MDB_txn *reading;
	MDB_cursor *cursor;
	enum store_sync sync;
	char path[400];
	size_t map_size, aside_most; /* aside_most: bytes that may be set aside */
	int lock;
	struct flush flush;
	bool torn;
	uint64_t last;
	size_t count, bytes;
};

/* store_aside.c: opens the database of what was set aside. */
int aside_open(struct store *s, MDB_txn *txn, unsigned create);
/* For people: how many there are, and the newest ones. */
void aside_print(struct store *s);

#endif
