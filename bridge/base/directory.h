/* directory: making directories for files that the bridge keeps.
 * May use: the file system. May not: know what they are for. */
#ifndef T2M_DIRECTORY_H
#define T2M_DIRECTORY_H

#include <stdbool.h>

#define DIRECTORY_PATH_MAX 400

/* Makes the directory with mode 0700, and missing parents with mode 0755. True also when it exists. False: errno. */
bool directory_make(const char *path);

/* Could this user make the directory and write into it? Makes nothing. NULL: yes. Else why not, as strerror says it, and in `where` (of
 * DIRECTORY_PATH_MAX bytes) the directory that is in the way. */
const char *directory_fault(const char *path, char *where);

#endif
