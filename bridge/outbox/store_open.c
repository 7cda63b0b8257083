// SPDX-License-Identifier: MIT
/* store_open: decides what is opened. See store.h.
 * Uses: bridge/base.
 *
 * The files are examined first. After a power cut the state that the disk surely has is put back. Damaged files are moved
 * aside. Files that somebody took away while they were in use are made again. */
#include "bridge/outbox/store_private.h"

#include "bridge/base/clock.h"
#include "bridge/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 1000
#define AGAIN_MS 1000
#define REFUSED_MS 30000

/* --- examine --- */

static int open_file(const char *path, int flags)
{
	char name[STORE_PATH_MAX + 20];
	snprintf(name, sizeof(name), "%s/%s", path, STORE_FILE);
	return open(name, flags | O_CLOEXEC | O_NONBLOCK);
}

static bool is_after_power_cut(const struct store_mark *mark)
{
	char boot[STORE_BOOT_MAX];
	store_boot_id(boot);
	bool known = boot[0] != '\0';
	return !mark->clean && (!known || strncmp(boot, mark->boot, sizeof(boot)) != 0);
}

/* After a power cut the state that the mark names; else the newest one, and never the one before it, which lacks messages. */
static enum store_condition choose_state(
	const char *path, int fd, struct store_meta *state, bool *back, struct store_findings *found)
{
	struct store_mark mark;
	if (store_mark_read(path, &mark) && is_after_power_cut(&mark) &&
		store_check(fd, &mark.meta, false, found) == STORE_FINE) {
		*back = true;
		*state = mark.meta;
		return STORE_FINE;
	}
	*found = (struct store_findings){0};
	enum store_condition c = store_meta_read(fd, state, found->why, sizeof(found->why));
	return c == STORE_FINE ? store_check(fd, state, false, found) : c;
}

enum store_condition store_examine(
	const char *path, struct store_meta *state, bool *back, struct store_findings *found)
{
	*found = (struct store_findings){0};
	*back = false;
	int fd = open_file(path, O_RDONLY);
	if (fd < 0 && errno == ENOENT)
		return STORE_NEW;
	if (fd < 0) {
		bool in_the_way = errno == ENXIO || errno == ELOOP;
		snprintf(found->why, sizeof(found->why), "%s: %s", STORE_FILE, strerror(errno));
		return in_the_way ? STORE_DAMAGED : STORE_ERROR;
	}
	enum store_condition c = choose_state(path, fd, state, back, found);
	close(fd);
	return c;
}

/* --- aside --- */

static void forget_all(struct store *s)
{
	s->count = s->bytes = s->remembered = s->special = s->done_bytes = 0;
	done_clear(&s->done);
}

/* How many messages are in the files: as far as it is known, or as the damaged file says itself. */
static void how_many(const struct store *s, char *out, size_t size)
{
	struct store_meta meta;
	struct store_findings found = {.messages = s->count};
	char why[200];
	int fd = s->count > 0 ? -1 : open_file(s->path, O_RDONLY);
	bool known = s->count > 0 || (fd >= 0 && store_meta_read(fd, &meta, why, sizeof(why)) == STORE_FINE &&
					     store_check(fd, &meta, true, &found) == STORE_FINE);
	snprintf(out, size, "an unknown number of");
	if (known)
		snprintf(out, size, "up to %zu", found.messages);
	if (fd >= 0)
		close(fd);
}

static bool set_directory_aside(struct store *s, const char *what)
{
	char aside[STORE_PATH_MAX + 40], lost[60];
	how_many(s, lost, sizeof(lost));
	if (!store_dir_aside(s->path, aside, s->why, sizeof(s->why)))
		return false;
	log_error("outbox %s: damaged, or not an outbox: %s; its files are in %s now, %s messages in them are "
		  "not "
		  "published, and an empty outbox begins; to look into them: TRACKER2MQTT_OUTBOX_PATH=%s "
		  "tracker2mqtt --outbox-status",
		s->path, what, aside, lost, aside);
	forget_all(s);
	return true;
}

static bool refuse(struct store *s, const char *what)
{
	snprintf(s->why, sizeof(s->why),
		"outbox %s: damaged, or not an outbox: %s; tracker2mqtt --outbox-aside moves it aside (nothing "
		"is "
		"deleted)",
		s->path, what);
	s->again_ms = clock_steady_ms() + REFUSED_MS;
	return false;
}

/* --- open --- */

/* Messages that are lost had numbers, which others may have seen. New numbers begin far above them: at the time in
 * microseconds. */
static void jump(struct store *s)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t now_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	if (s->last < now_us)
		s->last = now_us;
}

static bool put_back(struct store *s, const struct store_meta *state)
{
	int fd = open_file(s->path, O_RDWR);
	int error = fd < 0 ? errno : store_meta_write(fd, state);
	if (fd >= 0)
		close(fd);
	if (error != 0)
		snprintf(s->why, sizeof(s->why), "outbox %s: %s", s->path, strerror(error));
	else
		log_error("outbox %s: the machine went down without closing it: what was stored after the last "
			  "flush is lost; of that, sync = always has acknowledged nothing, and sync = interval "
			  "at most what came within sync_interval",
			s->path);
	return error == 0;
}

static bool open_here(struct store *s, bool new_numbers)
{
	struct stat st;
	int fd, rc = store_open_env(s);
	if (rc == 0 && mdb_env_get_fd(s->env, &fd) == 0 && fstat(fd, &st) == 0)
		s->file_pages = (size_t)st.st_size / s->page_size;
	s->lost = s->away = false;
	s->tight_pages = 0;
	store_dir_sync(s->path); /* the files may be new, and so their names */
	if (rc == 0)
		store_make_room(s, 0);
	if (rc == 0)
		rc = store_first_mark(s);
	if (rc == 0 && new_numbers) {
		jump(s);
		rc = store_write_last(s);
		if (store_is_full(rc))
			rc = 0; /* the first message that is stored notes the number */
	}
	if (rc == 0)
		rc = store_trim_memory(s);
	if (rc == 0)
		return true;
	const char *said = store_say(s, rc);
	char why[200];
	snprintf(why, sizeof(why), "%s", said);
	snprintf(s->why, sizeof(s->why), "outbox %s: %s", s->path, why);
	store_close_env(s);
	return false;
}

static void tell_unknown_boot(const struct store *s)
{
	char boot[STORE_BOOT_MAX];
	store_boot_id(boot);
	if (boot[0] == '\0' && s->options.sync != OUTBOX_SYNC_NEVER)
		log_warning(
			"outbox %s: /proc/sys/kernel/random/boot_id cannot be read, so that after a crash of "
			"the bridge it goes on from the last flush, as after a loss of power",
			s->path);
}

bool store_bring_up(struct store *s, bool start)
{
	struct store_meta state;
	struct store_findings found;
	bool back, new_numbers = false;
	if (s->options.damaged == OUTBOX_DAMAGED_ASIDE)
		store_dir_clear(s->path, STORE_MARK_FILE);
	enum store_condition c = store_examine(s->path, &state, &back, &found);
	if (c == STORE_ERROR) {
		snprintf(s->why, sizeof(s->why), "outbox %s: %s", s->path, found.why);
		return false;
	}
	if (c == STORE_DAMAGED) {
		if (s->options.damaged == OUTBOX_DAMAGED_REFUSE)
			return refuse(s, found.why);
		if (!set_directory_aside(s, found.why))
			return false;
		found = (struct store_findings){0};
		new_numbers = start;
	}
	if (c == STORE_NEW)
		forget_all(s);
	if (c == STORE_FINE && back) {
		if (!put_back(s, &state))
			return false;
		new_numbers = start;
	}
	s->count = found.messages;
	s->bytes = found.bytes;
	s->special = found.special > 0 ? found.special : 1;
	if (s->last < found.last)
		s->last = found.last;
	if (s->last < found.last_seqnum)
		s->last = found.last_seqnum;
	if (!open_here(s, new_numbers))
		return false;
	if (start)
		tell_unknown_boot(s);
	store_measure_done(s);
	store_measure_kept(s);
	return true;
}

/* --- while it runs --- */

bool store_watch(struct store *s)
{
	struct stat st;
	int fd;
	if (s->env == NULL || s->lost)
		return false;
	if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
		return true;
	size_t pages = (size_t)st.st_size / s->page_size;
	s->lost = pages < s->file_pages; /* the bridge never makes the file shorter */
	if (!s->lost)
		s->file_pages = pages;
	int64_t now = clock_steady_ms();
	if (st.st_nlink > 0 && now - s->looked_ms < LOOK_MS)
		return !s->lost;
	s->looked_ms = now;
	if (!s->lost && s->tight_pages > 0)
		store_make_room(s, 0);
	if (!s->lost)
		s->away = st.st_nlink == 0 || !store_dir_has(s->path, STORE_FILE, fd) ||
			  !store_dir_has(s->path, STORE_LOCK_FILE, s->lock);
	s->lost |= s->away;
	return !s->lost;
}

static int copy_env(struct store *s, void *arg)
{
	(void)arg;
	return mdb_env_copy(s->env, s->path);
}

/* Copies all that waits into a new file at the old place. */
static bool carry_over(struct store *s)
{
	char name[STORE_PATH_MAX + 20], aside[STORE_PATH_MAX + 40];
	int fd, own;
	if (mdb_env_get_fd(s->env, &own) == 0 && store_dir_has(s->path, STORE_FILE, own))
		return true; /* only the lock was taken away */
	fd = open_file(s->path, O_RDONLY);
	if (fd >= 0) {
		close(fd);
		if (!store_dir_aside(s->path, aside, s->why, sizeof(s->why)))
			return false;
		log_error("outbox %s: another outbox came to its place while it was in use; that one is in %s "
			  "now",
			s->path, aside);
	}
	int rc = store_guarded(s, copy_env, NULL);
	fd = open_file(s->path, O_RDONLY);
	if (rc == 0 && (fd < 0 || fsync(fd) != 0))
		rc = errno;
	if (fd >= 0)
		close(fd);
	store_dir_sync(s->path);
	if (rc == 0)
		return true;
	snprintf(name, sizeof(name), "%s/%s", s->path, STORE_FILE);
	unlink(name);
	store_say(s, rc);
	return false;
}

static bool lock_again(struct store *s)
{
	bool displace = s->options.damaged == OUTBOX_DAMAGED_ASIDE;
	if (store_dir_has(s->path, STORE_LOCK_FILE, s->lock))
		return true;
	int fd = store_dir_make(s->path, displace, s->why, sizeof(s->why))
			 ? store_dir_lock(s->path, displace, s->why, sizeof(s->why))
			 : -1;
	if (fd < 0)
		return false;
	close(s->lock);
	s->lock = fd;
	return true;
}

bool store_recover(struct store *s)
{
	int64_t now = clock_steady_ms();
	bool away = s->away && s->env != NULL;
	if (now < s->again_ms)
		return false;
	s->again_ms = now + AGAIN_MS;
	store_rest(s);
	if (!lock_again(s) || (away && !carry_over(s)))
		return false;
	bool told = s->lost;
	size_t waited = store_count(s);
	store_close_env(s);
	store_write_anew(s);
	if (!store_bring_up(s, false))
		return false;
	if (told)
		log_error("outbox %s: its files were %s while it was in use; they are %s, with %zu of the %zu "
			  "messages that "
			  "waited",
			s->path, away ? "taken away" : "cut or changed", away ? "made again" : "open again",
			store_count(s), waited);
	s->again_ms = 0;
	return true;
}
