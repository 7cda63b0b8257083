// SPDX-License-Identifier: MIT
/* count_malloc: a library to preload: counts allocations by who asks: the program's own code, or a library.
 * Writes `own N libraries N` to stderr at the end. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static unsigned long own, libraries;
static char *from, *to;

static void count(void *caller)
{
	char *at = caller;
	if (from != NULL && at >= from && at < to)
		own++;
	else
		libraries++;
}

void *malloc(size_t n)
{
	count(__builtin_return_address(0));
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, n);
}

/* The executable's own mapping, from /proc/self/maps: its first path. */
__attribute__((constructor)) static void begin(void)
{
	char path[512] = "", line[700], name[512];
	unsigned long low, high;
	FILE *f = fopen("/proc/self/maps", "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		name[0] = '\0';
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %511s", &low, &high, name) < 2 || name[0] != '/')
			continue;
		if (path[0] == '\0')
			snprintf(path, sizeof(path), "%s", name);
		for (size_t i = 0;; i++) {
			if (path[i] != name[i])
				break;
			if (path[i] != '\0')
				continue;
			from = from == NULL ? (char *)low : from;
			to = (char *)high;
			break;
		}
	}
	if (f != NULL)
		fclose(f);
}

__attribute__((destructor)) static void end(void)
{
	fprintf(stderr, "own %lu libraries %lu\n", own, libraries);
}
