/* store: see store.h. */
#include "store.h"

#include "directory.h"
#include "flush.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE "tracker2mqtt.lock"

struct store {
	MDB_env *env;
	MDB_dbi messages, memory;
	MDB_txn *reading;
	MDB_cursor *cursor;
	enum store_sync sync;
	char path[400];
	size_t map_size;
	int lock;
	struct flush flush;
	bool torn;
	uint64_t last;
	size_t count, bytes;
};

/* In the memory db, under a key that no ident can be. */
static const char LAST_KEY[] = "#last";

/* --- open --- */

static sigjmp_buf torn;

/* A page behind the end of the file was touched: it is truncated. */
static void on_bus_error(int number)
{
	(void)number;
	siglongjmp(torn, 1);
}

static bool take_lock(struct store *s, char *why, size_t size)
{
	char name[480];
	snprintf(name, sizeof(name), "%s/%s", s->path, LOCK_FILE);
	s->lock = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (s->lock >= 0 && errno == EWOULDBLOCK)
		snprintf(why, size,
			"outbox %s is in use by another tracker2mqtt; give each one a path of its own",
			s->path);
	else
		snprintf(why, size, "outbox %s: %s", name, strerror(errno));
	return false;
}

static int open_env(struct store *s, unsigned flags)
{
	unsigned sync = s->sync == STORE_SYNC_ALWAYS ? 0 : MDB_NOSYNC;
	int rc = mdb_env_create(&s->env);
	if (rc != 0)
		return rc;
	mdb_env_set_maxdbs(s->env, 2);
	mdb_env_set_mapsize(s->env, s->map_size);
	return mdb_env_open(s->env, s->path, flags | sync | MDB_NORDAHEAD | MDB_NOTLS, 0600);
}

static int open_dbs(struct store *s, unsigned create)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, create ? 0 : MDB_RDONLY, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, "messages", create | MDB_INTEGERKEY, &s->messages);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "memory", create, &s->memory);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static uint64_t key_number(const MDB_val *key)
{
	uint64_t n = 0;
	if (key->mv_size == sizeof(n))
		memcpy(&n, key->mv_data, sizeof(n));
	return n;
}

static bool begin_reading(struct store *s);

/* Walks all messages: counts, and sees that they are messages. */
static bool walk(struct store *s, struct outbox_message *oldest)
{
	MDB_val key, value;
	int rc = 0;
	bool fine = begin_reading(s);
	s->count = s->bytes = 0;
	while (fine && (rc = mdb_cursor_get(s->cursor, &key, &value, MDB_NEXT)) == 0) {
		struct outbox_message m;
		uint64_t number = key_number(&key);
		fine = number > 0 && message_unpack(span_of(value.mv_data, value.mv_size), number, &m);
		if (s->count == 0 && oldest != NULL)
			*oldest = m;
		s->count++;
		s->bytes += value.mv_size;
		s->last = number;
	}
	store_rest(s);
	return fine && rc == MDB_NOTFOUND;
}

static bool check_all(struct store *s, struct outbox_message *oldest)
{
	struct sigaction act = {.sa_handler = on_bus_error}, old;
	sigaction(SIGBUS, &act, &old);
	bool fine = sigsetjmp(torn, 1) == 0 && walk(s, oldest);
	sigaction(SIGBUS, &old, NULL);
	return fine;
}

static struct store *give_up(struct store *s, int rc, char *why, size_t size)
{
	bool foreign = rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED ||
		       rc == MDB_NOTFOUND || rc == MDB_PAGE_NOTFOUND || rc == MDB_INCOMPATIBLE ||
		       rc == MDB_PANIC;
	if (rc != 0)
		snprintf(why, size, "outbox %s: %s%s", s->path, foreign ? "damaged, or not an outbox: " : "",
			mdb_strerror(rc));
	if (foreign)
		snprintf(why + strlen(why), size - strlen(why),
			"; tracker2mqtt --outbox-reset moves it aside (nothing is deleted)");
	if (s->lock >= 0)
		close(s->lock);
	if (s->torn) { /* after a bus error LMDB's state is not to be touched; the process ends */
		static struct store *volatile abandoned;
		abandoned = s;
		(void)abandoned;
		return NULL;
	}
	if (s->env != NULL) {
		store_rest(s);
		mdb_env_close(s->env);
	}
	free(s);
	return NULL;
}

/* Is the file shorter than when it was written last? */
static bool is_short(const struct store *s, int64_t expected)
{
	char name[480];
	struct stat st;
	snprintf(name, sizeof(name), "%s/data.mdb", s->path);
	return stat(name, &st) == 0 && st.st_size < expected;
}

static int64_t file_size(const struct store *s)
{
	int fd;
	struct stat st;
	return mdb_env_get_fd(s->env, &fd) == 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

struct last_value {
	uint64_t last;
	int64_t file_size; /* at the end of the transaction before */
};

static bool read_last(struct store *s, struct last_value *out)
{
	int64_t size = 0, last = 0;
	bool there = store_recall(s, span_text(LAST_KEY), &last);
	store_recall(s, span_text("#file"), &size);
	store_rest(s);
	*out = (struct last_value){(uint64_t)last, size};
	return there;
}

/* Opens, and reads every message; a truncated file ends in a bus error. */
static int guarded_open(struct store *s, struct last_value *last)
{
	if (sigsetjmp(torn, 1) != 0) {
		s->torn = true;
		return MDB_CORRUPTED;
	}
	int rc = open_env(s, 0);
	if (rc == 0)
		rc = open_dbs(s, MDB_CREATE);
	if (rc == 0 && read_last(s, last) && is_short(s, last->file_size))
		rc = MDB_CORRUPTED;
	return rc == 0 && !walk(s, NULL) ? MDB_CORRUPTED : rc;
}

/* Pages are not filled to the brim, and a transaction needs free ones to work in. */
static uint64_t map_size(uint64_t size)
{
	return (size * 2 + (64u << 20)) & ~UINT64_C(0xffff);
}

bool store_fits(uint64_t size)
{
	uint64_t need = map_size(size);
	void *map = need < SIZE_MAX ? mmap(NULL, (size_t)need, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
				    : MAP_FAILED;
	return map != MAP_FAILED && munmap(map, (size_t)need) == 0;
}

struct store *store_open(const char *path, size_t size, enum store_sync sync, char *why, size_t why_size)
{
	struct store *s = calloc(1, sizeof(*s));
	if (s == NULL || strlen(path) >= sizeof(s->path)) {
		snprintf(why, why_size, "outbox: no memory, or the path is too long");
		free(s);
		return NULL;
	}
	strcpy(s->path, path);
	s->sync = sync;
	s->lock = -1;
	s->map_size = (size_t)map_size(size);
	if (!directory_make(path)) {
		snprintf(why, why_size, "outbox %s: %s; set [outbox] path to a directory that may be written",
			path, strerror(errno));
		free(s);
		return NULL;
	}
	if (!take_lock(s, why, why_size))
		return give_up(s, 0, why, why_size);
	struct last_value last = {0};
	struct sigaction act = {.sa_handler = on_bus_error}, old;
	sigaction(SIGBUS, &act, &old);
	int rc = guarded_open(s, &last);
	sigaction(SIGBUS, &old, NULL);
	if (rc != 0)
		return give_up(s, rc, why, why_size);
	if (last.last > s->last)
		s->last = last.last;
	return s;
}

void store_close(struct store *s)
{
	store_rest(s);
	flush_wait(&s->flush);
	if (s->env != NULL && s->sync != STORE_SYNC_NEVER)
		mdb_env_sync(s->env, 1);
	if (s->env != NULL)
		mdb_env_close(s->env);
	close(s->lock);
	free(s);
}

/* --- write --- */

static int remember(struct store *s, MDB_txn *txn, struct span key, int64_t value)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.ptr}, v = {sizeof(value), &value};
	return mdb_put(txn, s->memory, &k, &v, 0);
}

static int write_messages(struct store *s, MDB_txn *txn, struct outbox_ring *in)
{
	struct outbox_message m;
	int rc = 0;
	for (uint64_t after = 0; rc == 0 && ring_next(in, after, &m); after = m.seqnum) {
		MDB_val key = {sizeof(m.seqnum), &m.seqnum}, value = {message_packed_size(&m), NULL};
		rc = mdb_put(txn, s->messages, &key, &value, MDB_APPEND | MDB_RESERVE);
		if (rc == 0)
			message_pack(&m, value.mv_data);
		if (rc == 0 && m.memory_key.len > 0)
			rc = remember(s, txn, m.memory_key, m.memory_value);
	}
	return rc;
}

static int delete_messages(
	struct store *s, MDB_txn *txn, const uint64_t *out, size_t count, size_t *gone, size_t *bytes)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		uint64_t number = out[i];
		MDB_val key = {sizeof(number), &number}, value;
		rc = mdb_get(txn, s->messages, &key, &value);
		if (rc == 0) {
			*bytes += value.mv_size;
			++*gone;
			rc = mdb_del(txn, s->messages, &key, NULL);
		} else if (rc == MDB_NOTFOUND) {
			rc = 0;
		}
	}
	return rc;
}

/* After a failure LMDB may want to be opened anew. */
static void reopen(struct store *s)
{
	store_rest(s);
	flush_wait(&s->flush);
	if (s->env != NULL)
		mdb_env_close(s->env);
	s->env = NULL;
	if (open_env(s, 0) != 0 || open_dbs(s, MDB_CREATE) != 0) {
		mdb_env_close(s->env);
		s->env = NULL;
	}
}

const char *store_write(
	struct store *s, struct outbox_ring *in, const uint64_t *out, size_t out_count, uint64_t last_seqnum)
{
	MDB_txn *txn;
	size_t gone = 0, bytes = 0;
	store_rest(s);
	if (s->env == NULL)
		reopen(s);
	int rc = s->env != NULL ? mdb_txn_begin(s->env, NULL, 0, &txn) : MDB_PANIC;
	if (rc == 0) {
		rc = delete_messages(s, txn, out, out_count, &gone, &bytes);
		if (rc == 0 && in != NULL)
			rc = write_messages(s, txn, in);
		if (rc == 0)
			rc = remember(s, txn, span_text(LAST_KEY), (int64_t)last_seqnum);
		if (rc == 0)
			rc = remember(s, txn, span_text("#file"), file_size(s));
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (rc != 0) {
		if (rc == MDB_PANIC)
			reopen(s);
		return mdb_strerror(rc);
	}
	s->count = s->count - gone + (in != NULL ? ring_count(in) : 0);
	s->bytes = s->bytes - bytes + (in != NULL ? ring_bytes(in) : 0);
	s->last = last_seqnum;
	return NULL;
}

bool store_flush(struct store *s)
{
	int fd;
	return s->env != NULL && mdb_env_get_fd(s->env, &fd) == 0 && flush_begin(&s->flush, fd);
}

bool store_flushed(struct store *s, const char **why)
{
	int error;
	if (!flush_ended(&s->flush, &error))
		return false;
	*why = error != 0 ? strerror(error) : NULL;
	return true;
}

/* --- read --- */

static bool begin_reading(struct store *s)
{
	if (s->env == NULL)
		return false;
	if (s->reading != NULL)
		return true;
	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reading) != 0) {
		s->reading = NULL;
		return false;
	}
	if (mdb_cursor_open(s->reading, s->messages, &s->cursor) == 0)
		return true;
	mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
	return false;
}

void store_rest(struct store *s)
{
	if (s->reading == NULL)
		return;
	mdb_cursor_close(s->cursor);
	mdb_txn_abort(s->reading);
	s->reading = NULL;
	s->cursor = NULL;
}

bool store_next(struct store *s, uint64_t after, struct outbox_message *out)
{
	MDB_val key, value;
	if (!begin_reading(s))
		return false;
	/* mostly the cursor stands on the one before */
	bool here = mdb_cursor_get(s->cursor, &key, &value, MDB_GET_CURRENT) == 0 &&
		    key_number(&key) == after && after > 0;
	uint64_t from = after + 1;
	key = (MDB_val){sizeof(from), &from};
	if (mdb_cursor_get(s->cursor, &key, &value, here ? MDB_NEXT : MDB_SET_RANGE) != 0)
		return false;
	return message_unpack(span_of(value.mv_data, value.mv_size), key_number(&key), out);
}

bool store_get(struct store *s, uint64_t seqnum, struct outbox_message *out)
{
	MDB_val key = {sizeof(seqnum), &seqnum}, value;
	if (!begin_reading(s) || mdb_get(s->reading, s->messages, &key, &value) != 0)
		return false;
	return message_unpack(span_of(value.mv_data, value.mv_size), seqnum, out);
}

bool store_recall(struct store *s, struct span key, int64_t *value)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.ptr}, v;
	if (!begin_reading(s) || mdb_get(s->reading, s->memory, &k, &v) != 0 || v.mv_size != sizeof(*value))
		return false;
	memcpy(value, v.mv_data, sizeof(*value));
	return true;
}

uint64_t store_last_seqnum(const struct store *s)
{
	return s->last;
}

size_t store_count(const struct store *s)
{
	return s->count;
}

size_t store_bytes(const struct store *s)
{
	return s->bytes;
}

/* --- tools --- */

int store_print_status(const char *path)
{
	struct store s = {.lock = -1, .map_size = 0};
	struct outbox_message oldest;
	struct stat st;
	snprintf(s.path, sizeof(s.path), "%s", path);
	if (stat(path, &st) != 0) {
		fprintf(stderr, "outbox %s: %s\n", path, strerror(errno));
		return 1;
	}
	int rc = open_env(&s, MDB_RDONLY);
	if (rc == 0)
		rc = open_dbs(&s, 0);
	if (rc != 0 || !check_all(&s, &oldest)) {
		fprintf(stderr, "outbox %s: %s\n", path, rc != 0 ? mdb_strerror(rc) : "damaged");
		return 1;
	}
	printf("messages: %zu\nbytes: %zu\n", s.count, s.bytes);
	if (s.count > 0) {
		char when[40];
		time_t t = (time_t)(oldest.put_ms / 1000);
		struct tm tm;
		gmtime_r(&t, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		printf("oldest: %s, number %llu\n", when, (unsigned long long)oldest.seqnum);
	} else {
		printf("oldest: none\n");
	}
	mdb_env_close(s.env);
	return 0;
}

int store_move_aside(const char *path)
{
	struct store s = {.lock = -1};
	char aside[480], why[600];
	snprintf(s.path, sizeof(s.path), "%s", path);
	if (!take_lock(&s, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	snprintf(aside, sizeof(aside), "%s.aside-%lld", path, (long long)time(NULL));
	int rc = rename(path, aside);
	if (rc == 0)
		printf("outbox %s is now %s; the next start makes a new one\n", path, aside);
	else
		fprintf(stderr, "outbox %s: %s\n", path, strerror(errno));
	close(s.lock);
	return rc != 0;
}
