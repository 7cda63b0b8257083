// SPDX-License-Identifier: MIT
/* file: the bytes of a fuzz run as a file in memory. */
#ifndef T2M_FUZZ_FILE_H
#define T2M_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A path that opens as a file with these bytes, until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;
	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	return path;
}

/* Where the faults are written. */
static inline FILE *fuzz_null(void)
{
	static FILE *null;
	if (null == NULL && (null = fopen("/dev/null", "w")) == NULL)
		abort();
	return null;
}

#endif
