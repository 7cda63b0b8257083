// SPDX-License-Identifier: MIT
/* files: the page's files, out of one directory.
 * Uses: bridge/base.
 * Not: know what stands in them.
 *
 * Only names of letters, digits, `.`, `-` and `_` that begin with a letter or digit, in the directory itself: nothing else can be reached. "/" is
 * index.html. NAME.gz beside NAME is sent to browsers that take gzip. */
#ifndef T2M_FILES_H
#define T2M_FILES_H

#include "bridge/base/http.h"

/* A http_handler; `root` is the context, a struct files. */
struct files {
	const char *root; /* the directory; outlives the server */
};
/* Does the browser take gzip? */
bool files_take_gzip(const struct http_request *request);
void files_handler(void *files, const struct http_request *request, struct http_answer *answer);

#endif
