// SPDX-License-Identifier: MIT
/* gate: a disk that answers when a test wants it to, and with an error when a test wants that.
 * Preloaded into the bridge (LD_PRELOAD) by test_slow_disk.py; builds with any C compiler of Linux.
 *
 * DISK_GATE is a directory. As long as it has a file `hold`, a sync does not end, and a file `waits` says that one has
 * begun. When it has a file `fail`, a sync ends with EIO. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *name_of(const char *name, char out[4096])
{
	const char *gate = getenv("DISK_GATE");
	snprintf(out, 4096, "%s/%s", gate != NULL ? gate : "/nonexistent", name);
	return out;
}

static int pass(void)
{
	char name[4096];
	while (access(name_of("hold", name), F_OK) == 0) {
		int fd = open(name_of("waits", name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
		usleep(2000);
	}
	if (access(name_of("fail", name), F_OK) != 0)
		return 0;
	errno = EIO;
	return -1;
}

int fdatasync(int fd)
{
	return pass() == 0 ? (int)syscall(SYS_fdatasync, fd) : -1;
}

int fsync(int fd)
{
	return pass() == 0 ? (int)syscall(SYS_fsync, fd) : -1;
}
