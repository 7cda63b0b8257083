// SPDX-License-Identifier: MIT
/* wishes: see wishes.h. */
#include "bridge/outbox/wishes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "forget-"
#define PATH_BYTES 600

static bool name_of(char out[PATH_BYTES], const char *path, const char *ident)
{
	int n = snprintf(out, PATH_BYTES, "%s/" NAME "%s", path, ident);
	return n > 0 && n < PATH_BYTES;
}

int wish_leave(const char *path, const char *ident)
{
	char name[PATH_BYTES];
	if (!name_of(name, path, ident))
		return ENAMETOOLONG;
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Only a plain file can be removed again. */
static bool is_wish(DIR *dir, const char *name)
{
	const size_t head = sizeof(NAME) - 1;
	struct stat st;
	return strncmp(name, NAME, head) == 0 && strlen(name + head) < WISH_MAX &&
	       fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

bool wish_find(const char *path, char ident[WISH_MAX])
{
	DIR *dir = opendir(path);
	const struct dirent *d = NULL;
	bool found = false;
	while (dir != NULL && !found && (d = readdir(dir)) != NULL) {
		found = is_wish(dir, d->d_name);
		if (found)
			strcpy(ident, d->d_name + sizeof(NAME) - 1);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

bool wish_done(const char *path, const char *ident)
{
	char name[PATH_BYTES];
	return name_of(name, path, ident) && (unlink(name) == 0 || errno == ENOENT);
}
