// SPDX-License-Identifier: MIT
/* directory: see directory.h. */
#include "bridge/base/directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts a path back to the directory above it. False: there is none. */
static bool go_up(char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0 && path[0] != '\0' && strcmp(path, ".") != 0) {
		strcpy(path, "."); /* a name without a slash is in the working directory */
		return true;
	}
	bool up = n > 0 && n < strlen(path);
	path[n] = '\0';
	return up;
}

bool directory_make(const char *path)
{
	if (strlen(path) >= DIRECTORY_PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		char above[DIRECTORY_PATH_MAX];
		memcpy(above, path, (size_t)(slash - path));
		above[slash - path] = '\0';
		mkdir(above, 0755);
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

const char *directory_fault(const char *path, char *where)
{
	struct stat st;
	if (strlen(path) >= DIRECTORY_PATH_MAX) {
		strcpy(where, "");
		return strerror(ENAMETOOLONG);
	}
	strcpy(where, path);
	while (stat(where, &st) != 0) {
		if (errno != ENOENT || !go_up(where))
			return strerror(errno);
	}
	if (!S_ISDIR(st.st_mode))
		return strerror(ENOTDIR);
	return access(where, W_OK | X_OK) == 0 ? NULL : strerror(errno);
}
