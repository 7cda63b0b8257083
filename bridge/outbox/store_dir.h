/* store_dir: the directory of the store: made, locked for one process, its files moved aside.
 * May use: the C library. May not: know what is in the files. */
#ifndef T2M_STORE_DIR_H
#define T2M_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#define STORE_PATH_MAX 400
#define STORE_WHY_MAX 700
#define STORE_LOCK_FILE "tracker2mqtt.lock"

/* Makes the directory and those above it where they are missing, and sees that the disk has them. `displace`: a file in
 * its place is moved aside. False: `why`. */
bool store_dir_make(const char *path, bool displace, char *why, size_t size);
/* A descriptor that locks the directory as long as it is open; -1: `why`. */
int store_dir_lock(const char *path, bool displace, char *why, size_t size);
/* Moves all but the lock to a new directory beside it, or, where that cannot be, inside of it: `aside` is its name. */
bool store_dir_aside(const char *path, char aside[STORE_PATH_MAX + 40], char *why, size_t size);
/* Moves what has this name in it and is no file aside. */
void store_dir_clear(const char *path, const char *name);
/* Makes a name in the directory, or its absence, safe. */
void store_dir_sync(const char *path);
/* Is the file of this descriptor still the one of this name in the directory? */
bool store_dir_has(const char *path, const char *name, int fd);

#endif
