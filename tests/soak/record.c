// SPDX-License-Identifier: MIT
/* record: what a process does to the files below one directory, and what it sends to units, in one log and in order.
 * Preloaded into the bridge (LD_PRELOAD) by powerloss.py, which reads the log; builds with any C compiler of Linux.
 * May use: libc. May not: know LMDB, or anything of the bridge.
 *
 * RECORD_ROOT is the directory, RECORD_LOG the log; RECORD_SYNC_MS: so long a sync takes at least. An event is a struct event and its bytes. What takes time has
 * two events: one before the call, with all that it may do, and one after it, with what it did (EVENT_END). The log is
 * appended to, so that others may add events of their own. */
#define _GNU_SOURCE
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- names and descriptors --- */

static bool is_below(const char *path)
{
	char after = strncmp(path, all.root, all.root_len) == 0 ? path[all.root_len] : 'x';
	return all.log >= 0 && (after == '/' || after == '\0');
}

static bool full_path(int directory, const char *name, char out[PATH_MAX])
{
	char link[64], above[PATH_MAX];
	if (all.log < 0)
		return false;
	if (name[0] == '/') {
		snprintf(out, PATH_MAX, "%s", name);
		return is_below(out);
	}
	snprintf(link, sizeof(link), directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
	ssize_t n = readlink(link, above, sizeof(above) - 1);
	above[n > 0 ? n : 0] = '\0';
	int len = snprintf(out, PATH_MAX, "%s%s%s", above, *name != '\0' ? "/" : "", name);
	return len < PATH_MAX && is_below(out);
}

/* The inode when the descriptor still is what it was opened as, else 0. */
static uint64_t inode_of(int fd)
{
	struct stat st;
	if (all.log < 0 || fd < 0 || fd >= FD_MAX || all.inode[fd] == 0 || fstat(fd, &st) != 0)
		return 0;
	return st.st_ino == all.inode[fd] ? all.inode[fd] : 0;
}

static void forget(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		all.inode[fd] = all.unit[fd] = all.dsync[fd] = 0;
}

static void copy(int from, int to)
{
	if (from < 0 || from >= FD_MAX || to < 0 || to >= FD_MAX)
		return;
	all.inode[to] = all.inode[from];
	all.dsync[to] = all.dsync[from];
	all.unit[to] = all.unit[from];
}

static int opened(int fd, const char *path, bool was_there, int flags)
{
	struct stat st;
	forget(fd);
	if (fd < 0 || fd >= FD_MAX || fstat(fd, &st) != 0)
		return fd;
	all.inode[fd] = st.st_ino;
	all.dsync[fd] = (flags & O_DSYNC) != 0;
	if (!was_there)
		put_text(EVENT_CREATE, 0, st.st_ino, path, strlen(path));
	else if ((flags & O_TRUNC) != 0)
		put(EVENT_TRUNCATE, 0, st.st_ino, 0, NULL, 0);
	return fd;
}

static int open_at(int directory, const char *name, int flags, unsigned mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool below = full_path(directory, name, path);
	bool was_there = below && lstat(path, &st) == 0;
	int fd = REAL(openat)(directory, name, flags, mode);
	if (below)
		return opened(fd, path, was_there, flags);
	forget(fd);
	return fd;
}

#define MODE_OF(flags, mode)                                                                                   \
	do {                                                                                                   \
		va_list list;                                                                                  \
		va_start(list, flags);                                                                         \
		mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, unsigned) : 0;                      \
		va_end(list);                                                                                  \
	} while (0)

int open(const char *name, int flags, ...)
{
	unsigned mode;
	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, name, flags, mode);
}

int openat(int directory, const char *name, int flags, ...)
{
	unsigned mode;
	MODE_OF(flags, mode);
	return open_at(directory, name, flags, mode);
}

int creat(const char *name, mode_t mode)
{
	return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

__typeof__(open) open64 __attribute__((alias("open")));
__typeof__(openat) openat64 __attribute__((alias("openat")));

int close(int fd)
{
	forget(fd);
	return REAL(close)(fd);
}

int dup(int fd)
{
	int n = REAL(dup)(fd);
	copy(fd, n);
	return n;
}

int dup2(int fd, int to)
{
	int n = REAL(dup2)(fd, to);
	copy(fd, n);
	return n;
}

int dup3(int fd, int to, int flags)
{
	int n = REAL(dup3)(fd, to, flags);
	copy(fd, n);
	return n;
}

/* A stream writes behind the back of this file. */
FILE *fopen(const char *name, const char *mode)
{
	char path[PATH_MAX];
	if (strpbrk(mode, "wa+") != NULL && full_path(AT_FDCWD, name, path))
		put_text(EVENT_BEYOND, 0, 0, "fopen", 5);
	return REAL(fopen)(name, mode);
}

__typeof__(fopen) fopen64 __attribute__((alias("fopen")));

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	char link[64], path[PATH_MAX];
	uint64_t inode = (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0 ? inode_of(fd) : 0;
	if (inode != 0) { /* LMDB's table of readers is no matter: the next start makes it anew */
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
		if (strstr(path, "/lock.mdb") == NULL)
			put_text(EVENT_BEYOND, 0, inode, "mmap", 4);
	}
	return REAL(mmap)(at, len, protection, flags, fd, offset);
}

__typeof__(mmap) mmap64 __attribute__((alias("mmap")));

/* --- directories --- */

static int rename_at(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
	char names[2 * PATH_MAX], other[PATH_MAX];
	bool below = full_path(from_directory, from, names) | full_path(to_directory, to, other);
	int rc = REAL(renameat2)(from_directory, from, to_directory, to, flags);
	if (rc == 0 && below) {
		size_t n = strlen(names) + 1, m = strlen(other) + 1;
		memcpy(names + n, other, m);
		put_text(flags != 0 ? EVENT_BEYOND : EVENT_RENAME, 0, 0, names, n + m);
	}
	return rc;
}

int rename(const char *from, const char *to)
{
	return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	return rename_at(from_directory, from, to_directory, to, 0);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
	return rename_at(from_directory, from, to_directory, to, flags);
}

int unlinkat(int directory, const char *name, int flags)
{
	char path[PATH_MAX];
	bool below = full_path(directory, name, path);
	int rc = REAL(unlinkat)(directory, name, flags);
	if (rc == 0 && below)
		put_text(EVENT_UNLINK, 0, 0, path, strlen(path));
	return rc;
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int remove(const char *name)
{
	int rc = unlink(name);
	return rc != 0 && errno == EISDIR ? rmdir(name) : rc;
}

int mkdirat(int directory, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool below = full_path(directory, name, path);
	int rc = REAL(mkdirat)(directory, name, mode);
	if (rc == 0 && below && stat(path, &st) == 0)
		put_text(EVENT_CREATE, FLAG_DIRECTORY, st.st_ino, path, strlen(path));
	return rc;
}

int mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags)
{
	char path[PATH_MAX];
	if (full_path(to_directory, to, path))
		put_text(EVENT_BEYOND, 0, 0, "link", 4);
	return REAL(linkat)(from_directory, from, to_directory, to, flags);
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* --- writes --- */

static int64_t place_of(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_APPEND) != 0 && fstat(fd, &st) == 0)
		return st.st_size;
	return lseek(fd, 0, SEEK_CUR);
}

/* To a file below the root, or to a unit; 0: to neither. */
static uint64_t put_write(int fd, const struct iovec *parts, int count, int64_t offset)
{
	uint64_t inode = inode_of(fd);
	if (inode != 0)
		return put(EVENT_WRITE, all.dsync[fd] ? FLAG_DSYNC : 0, inode,
			offset >= 0 ? offset : place_of(fd), parts, count);
	if (all.log >= 0 && fd >= 0 && fd < FD_MAX && all.unit[fd])
		return put(EVENT_SEND, 0, (uint64_t)fd, 0, parts, count);
	return 0;
}

#define RECORDED(id, call)                                                                                     \
	do {                                                                                                   \
		uint64_t number = id;                                                                          \
		__typeof__(call) result = call;                                                                \
		if (number != 0)                                                                               \
			put_end(number, result);                                                               \
		return result;                                                                                 \
	} while (0)

#define PART(bytes, len) (&(struct iovec){(void *)(uintptr_t)(bytes), len})

ssize_t write(int fd, const void *bytes, size_t len)
{
	RECORDED(put_write(fd, PART(bytes, len), 1, -1), REAL(write)(fd, bytes, len));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	RECORDED(put_write(fd, parts, count, -1), REAL(writev)(fd, parts, count));
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	RECORDED(put_write(fd, PART(bytes, len), 1, offset), REAL(pwrite)(fd, bytes, len, offset));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	RECORDED(put_write(fd, parts, count, offset), REAL(pwritev)(fd, parts, count, offset));
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	if (inode_of(fd) != 0)
		put_text(EVENT_BEYOND, 0, 0, "pwritev2", 8);
	return REAL(pwritev2)(fd, parts, count, offset, flags);
}

__typeof__(pwrite) pwrite64 __attribute__((alias("pwrite")));
__typeof__(pwritev) pwritev64 __attribute__((alias("pwritev")));

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *place, size_t len, unsigned flags)
{
	if (inode_of(to) != 0)
		put_text(EVENT_BEYOND, 0, 0, "copy_file_range", 15);
	return REAL(copy_file_range)(from, at, to, place, len, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (inode_of(fd) != 0)
		put_text(EVENT_BEYOND, 0, 0, "fallocate", 9);
	return REAL(fallocate)(fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
	struct stat st;
	uint64_t inode = inode_of(fd);
	bool grows = inode != 0 && fstat(fd, &st) == 0 && st.st_size < offset + len;
	int error = REAL(posix_fallocate)(fd, offset, len);
	if (error == 0 && grows)
		put(EVENT_TRUNCATE, 0, inode, offset + len, NULL, 0);
	return error;
}

int ftruncate(int fd, off_t size)
{
	uint64_t inode = inode_of(fd);
	int rc = REAL(ftruncate)(fd, size);
	if (rc == 0 && inode != 0)
		put(EVENT_TRUNCATE, 0, inode, size, NULL, 0);
	return rc;
}

__typeof__(ftruncate) ftruncate64 __attribute__((alias("ftruncate")));
__typeof__(posix_fallocate) posix_fallocate64 __attribute__((alias("posix_fallocate")));

/* --- syncs --- */

static uint64_t put_sync(int fd, unsigned flags)
{
	struct stat st;
	uint64_t inode = inode_of(fd);
	if (inode != 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		flags |= FLAG_DIRECTORY;
	return inode != 0 ? put(EVENT_SYNC, flags, inode, 0, NULL, 0) : 0;
}

/* A disk that is slow: much is acknowledged, or must not be, while it works. */
static void take_long(int fd)
{
	const char *ms = getenv("RECORD_SYNC_MS");
	if (ms != NULL && inode_of(fd) != 0)
		usleep((useconds_t)atoi(ms) * 1000);
}

int fsync(int fd)
{
	RECORDED(put_sync(fd, 0), (take_long(fd), REAL(fsync)(fd)));
}

int fdatasync(int fd)
{
	RECORDED(put_sync(fd, 0), (take_long(fd), REAL(fdatasync)(fd)));
}

int syncfs(int fd)
{
	RECORDED(put_sync(fd, FLAG_ALL), REAL(syncfs)(fd));
}

/* --- to units --- */

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	int n = REAL(accept4)(fd, address, len, flags);
	forget(n);
	if (all.log >= 0 && n >= 0 && n < FD_MAX) {
		all.unit[n] = true;
		put(EVENT_ACCEPT, 0, (uint64_t)n, 0, NULL, 0);
	}
	return n;
}

int accept(int fd, struct sockaddr *address, socklen_t *len)
{
	return accept4(fd, address, len, 0);
}

static uint64_t put_send(int fd, const struct iovec *parts, int count, bool datagram)
{
	if (all.log < 0 || fd < 0 || fd >= FD_MAX || (!datagram && !all.unit[fd]))
		return 0;
	return put(EVENT_SEND, datagram ? FLAG_DATAGRAM : 0, (uint64_t)fd, 0, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	RECORDED(put_send(fd, PART(bytes, len), 1, false), REAL(send)(fd, bytes, len, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	RECORDED(
		put_send(fd, PART(bytes, len), 1, to != NULL), REAL(sendto)(fd, bytes, len, flags, to, to_len));
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	RECORDED(
		put_send(fd, m->msg_iov, (int)m->msg_iovlen, m->msg_name != NULL), REAL(sendmsg)(fd, m, flags));
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned count, int flags)
{
	unsigned sent = 0;
	while (sent < count) {
		ssize_t n = sendmsg(fd, &m[sent].msg_hdr, flags);
		if (n < 0)
			break;
		m[sent++].msg_len = (unsigned)n;
	}
	return sent > 0 || count == 0 ? (int)sent : -1;
}
