// SPDX-License-Identifier: MIT
/* store_kept: values under keys that outlive the process, beside the messages. See store.h.
 * Uses: nothing else.
 *
 * Databases "kept" (of commands) and "units": key -> value, as keep.h has them. */
#include "bridge/outbox/store_private.h"

#define SHARE 8 /* what each of them keeps may take an eighth of the size of the outbox */

/* --- writing --- */

static int write_change(struct store *s, const struct keep_change *c, struct store_kept_size *size)
{
	MDB_val key = {c->key_len, (void *)(uintptr_t)c->bytes}, old;
	MDB_val value = {c->value_len, (void *)(uintptr_t)(c->bytes + c->key_len)};
	MDB_dbi dbi = s->kept[c->of];
	size_t *bytes = &size->bytes[c->of];
	int rc = mdb_get(s->writing, dbi, &key, &old);
	if (rc == 0)
		*bytes -= c->key_len + old.mv_size;
	else if (rc != MDB_NOTFOUND)
		return rc;
	if (c->value_len > 0) {
		rc = mdb_put(s->writing, dbi, &key, &value, 0);
		*bytes += rc == 0 ? c->key_len + c->value_len : 0;
		return rc;
	}
	return rc == 0 ? mdb_del(s->writing, dbi, &key, NULL) : 0;
}

int store_write_kept(struct store *s, uint64_t stored, struct store_kept_size *size)
{
	memcpy(size->bytes, s->kept_bytes, sizeof(size->bytes));
	for (size->up_to = s->keep.first; size->up_to != NULL && size->up_to->after <= stored;
		size->up_to = size->up_to->next) {
		int rc = write_change(s, size->up_to, size);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void store_kept_stored(struct store *s, const struct store_kept_size *size)
{
	if (s->options.sync == OUTBOX_SYNC_ALWAYS)
		keep_move(&s->keep, size->up_to, &s->unsafe.keep);
	else
		keep_drop(&s->keep, size->up_to);
	memcpy(s->kept_bytes, size->bytes, sizeof(size->bytes));
}

bool store_keep(struct store *s, enum keep_of of, struct span key, struct span value, uint64_t after)
{
	size_t bytes = s->kept_bytes[of] + s->keep.bytes[of] + key.len + value.len;
	if (value.len > 0 && bytes > s->options.size / SHARE)
		return false;
	return keep_add(&s->keep, of, key, value, after);
}

bool store_keeps(const struct store *s)
{
	return s->keep.first != NULL;
}

bool store_keeps_of(const struct store *s, enum keep_of of)
{
	return s->keep.bytes[of] > 0;
}

/* --- reading --- */

struct reading {
	enum keep_of of;
	store_each_kept *each;
	void *ctx;
	size_t bytes;
};

static void read_one(void *arg, const MDB_val *key, const MDB_val *value)
{
	struct reading *r = arg;
	r->bytes += key->mv_size + value->mv_size;
	if (r->each != NULL)
		r->each(r->ctx, span_of(key->mv_data, key->mv_size), span_of(value->mv_data, value->mv_size));
}

static int read_all(struct store *s, void *arg)
{
	return store_walk(s, s->kept[((struct reading *)arg)->of], read_one, arg);
}

void store_each_of_kept(struct store *s, enum keep_of of, store_each_kept *each, void *ctx)
{
	struct reading r = {of, each, ctx, 0};
	store_guarded(s, read_all, &r);
	store_rest(s);
}

void store_measure_kept(struct store *s)
{
	for (enum keep_of of = 0; of < KEEP_KINDS; of++) {
		struct reading r = {of, NULL, NULL, 0};
		store_guarded(s, read_all, &r);
		s->kept_bytes[of] = r.bytes;
	}
	store_rest(s);
}
