// SPDX-License-Identifier: MIT
/* store_dir: see store_dir.h. */
#include "bridge/outbox/store_dir.h"

#include "bridge/base/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_ (STORE_PATH_MAX + 300)

static void above(const char *path, char out[STORE_PATH_MAX])
{
	snprintf(out, STORE_PATH_MAX, "%s", path);
	size_t len = strlen(out);
	while (len > 1 && out[len - 1] == '/')
		out[--len] = '\0';
	char *slash = strrchr(out, '/');
	if (slash == NULL)
		snprintf(out, STORE_PATH_MAX, ".");
	else
		slash[slash == out] = '\0';
}

void store_dir_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* A name beside `path` that is not in use yet. */
static void aside_name(const char *path, char *out, size_t size)
{
	struct stat st;
	long long now = (long long)time(NULL);
	int length = (int)strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	snprintf(out, size, "%.*s.aside-%lld", length, path, now);
	for (int n = 2; lstat(out, &st) == 0 && n < 1000; n++)
		snprintf(out, size, "%.*s.aside-%lld-%d", length, path, now, n);
}

/* Moves aside what stands where a directory or a file should be. */
static bool displace_it(const char *path)
{
	char aside[NAME_MAX_ + 40];
	aside_name(path, aside, sizeof(aside));
	return rename(path, aside) == 0;
}

bool store_dir_make(const char *path, bool displace, char *why, size_t size)
{
	char parent[STORE_PATH_MAX], grandparent[STORE_PATH_MAX];
	struct stat st;
	above(path, parent);
	above(parent, grandparent);
	bool there = stat(path, &st) == 0, new_parent = stat(parent, &st) != 0;
	if (there && stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		if (!displace || !displace_it(path))
			goto failed;
		there = false;
	}
	if (!directory_make(path))
		goto failed;
	if (!there)
		store_dir_sync(parent);
	if (new_parent)
		store_dir_sync(grandparent);
	return true;
failed:
	snprintf(why, size, "outbox %s: %s; set [outbox] path to a directory that may be written", path,
		strerror(errno));
	return false;
}

void store_dir_clear(const char *path, const char *name)
{
	char full[NAME_MAX_];
	struct stat st;
	snprintf(full, sizeof(full), "%s/%s", path, name);
	if (stat(full, &st) == 0 && !S_ISREG(st.st_mode))
		displace_it(full);
}

int store_dir_lock(const char *path, bool displace, char *why, size_t size)
{
	char name[NAME_MAX_];
	snprintf(name, sizeof(name), "%s/%s", path, STORE_LOCK_FILE);
	if (displace)
		store_dir_clear(path, STORE_LOCK_FILE);
	int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		store_dir_sync(path);
		return fd;
	}
	if (fd >= 0 && errno == EWOULDBLOCK)
		snprintf(why, size,
			"outbox %s is in use by another tracker2mqtt; give each one a path of its own", path);
	else
		snprintf(why, size, "outbox %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool stays(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, STORE_LOCK_FILE) == 0 ||
	       strncmp(name, "aside", 5) == 0;
}

/* 0, or errno: then some of them may have moved. */
static int move_files(const char *path, const char *aside)
{
	char from[NAME_MAX_], to[NAME_MAX_];
	DIR *dir = opendir(path);
	int error = dir == NULL ? errno : 0;
	for (struct dirent *e; error == 0 && (e = readdir(dir)) != NULL;) {
		if (stays(e->d_name))
			continue;
		snprintf(from, sizeof(from), "%s/%s", path, e->d_name);
		snprintf(to, sizeof(to), "%s/%s", aside, e->d_name);
		if (rename(from, to) != 0)
			error = errno;
	}
	if (dir != NULL)
		closedir(dir);
	return error;
}

bool store_dir_aside(const char *path, char aside[STORE_PATH_MAX + 40], char *why, size_t size)
{
	char parent[STORE_PATH_MAX], base[STORE_PATH_MAX + 40];
	above(path, parent);
	aside_name(path, aside, STORE_PATH_MAX + 40);
	int error = mkdir(aside, 0700) == 0 ? move_files(path, aside) : errno;
	if (error != 0) { /* the directory is a mount of its own, or the one above may not be written */
		rmdir(aside);
		snprintf(base, sizeof(base), "%s/aside", path);
		aside_name(base, aside, STORE_PATH_MAX + 40);
		error = mkdir(aside, 0700) == 0 ? move_files(path, aside) : errno;
	}
	store_dir_sync(aside);
	store_dir_sync(path);
	store_dir_sync(parent);
	if (error != 0)
		snprintf(why, size, "outbox %s cannot be moved aside: %s", path, strerror(error));
	return error == 0;
}

bool store_dir_has(const char *path, const char *name, int fd)
{
	char full[NAME_MAX_];
	struct stat there, ours;
	snprintf(full, sizeof(full), "%s/%s", path, name);
	return stat(full, &there) == 0 && fstat(fd, &ours) == 0 && there.st_ino == ours.st_ino &&
	       there.st_dev == ours.st_dev;
}
