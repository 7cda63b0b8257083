/* directory: directories for what is kept on disk.
 * May use: the file system. May not: know what they are for. */
#ifndef T2M_DIRECTORY_H
#define T2M_DIRECTORY_H

#include <stdbool.h>

#define DIRECTORY_PATH_MAX 400

/* Makes it, mode 0700, and those above that are missing, 0755. false: errno says why. One that is there already is fine. */
bool directory_make(const char *path);

/* Could this user make it and write into it? Makes nothing. NULL: yes; else why not (a constant text), and the directory that
 * it is about in `where` of DIRECTORY_PATH_MAX bytes. */
const char *directory_fault(const char *path, char *where);

#endif
