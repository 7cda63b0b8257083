// SPDX-License-Identifier: MIT
/* store_dir: the directory of the store: it is made, it is locked for one process, its files are moved aside.
 * Uses: bridge/base.
 * Not: know what is in the files. */
#ifndef T2M_STORE_DIR_H
#define T2M_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#define STORE_PATH_MAX 400
#define STORE_WHY_MAX 700
#define STORE_LOCK_FILE "tracker2mqtt.lock"

/* Makes the directory and those above it where they are missing, and waits until the disk has them. `displace`: a file that
 * stands in the directory's place is moved aside. False: `why` says what is wrong. */
bool store_dir_make(const char *path, bool displace, char *why, size_t size);
/* A descriptor that locks the directory as long as it is open; -1: `why` says what is wrong. */
int store_dir_lock(const char *path, bool displace, char *why, size_t size);
/* Moves all files but the lock to a new directory beside `path`, or inside of it where that is not possible. `aside`: its name.
 * False: `why` says what is wrong. */
bool store_dir_aside(const char *path, char aside[STORE_PATH_MAX + 40], char *why, size_t size);
/* Moves what has this name in the directory aside, if it is not a regular file. */
void store_dir_clear(const char *path, const char *name);
/* Waits until the disk has the names in the directory as they are now. */
void store_dir_sync(const char *path);
/* Is the file of this descriptor still the one of this name in the directory? */
bool store_dir_has(const char *path, const char *name, int fd);

#endif
