// SPDX-License-Identifier: MIT
/* deflate: see deflate.h. */
#include "bridge/web/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#define WINDOW (-15) /* raw deflate, 32 KiB */
#define GZIP (15 + 16)
#define MEMORY 8
#define LEVEL 1
static const uint8_t TAIL[] = {0, 0, 0xff, 0xff}; /* ends each message, and is not sent */

struct deflate {
	z_stream out, in;
};

bool deflate_agreed(const char *offer, const char **out)
{
	static const char name[] = "permessage-deflate";
	*out = name;
	/* A browser offers it alone, or with client_max_window_bits, which need not be answered. A client that wants the server's window to be
	 * smaller or forgotten after each message goes without. */
	return offer != NULL && strncmp(offer, name, sizeof(name) - 1) == 0 &&
	       strchr(";, ", offer[sizeof(name) - 1]) != NULL && strstr(offer, "server_") == NULL;
}

struct deflate *deflate_open(void)
{
	struct deflate *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	if (deflateInit2(&d->out, LEVEL, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(d);
		return NULL;
	}
	if (inflateInit2(&d->in, WINDOW) != Z_OK) {
		deflateEnd(&d->out);
		free(d);
		return NULL;
	}
	return d;
}

void deflate_free(struct deflate *d)
{
	deflateEnd(&d->out);
	inflateEnd(&d->in);
	free(d);
}

static void give(z_stream *z, struct span from, const struct writer *to)
{
	z->next_in = (Bytef *)(uintptr_t)from.ptr;
	z->avail_in = (uInt)from.len;
	z->next_out = to->ptr + to->len;
	z->avail_out = (uInt)(to->cap - to->len);
}

bool deflate_pack(struct deflate *d, struct span message, struct writer *out)
{
	size_t before = out->len;
	give(&d->out, message, out);
	if (deflate(&d->out, Z_SYNC_FLUSH) != Z_OK || d->out.avail_out == 0)
		return false;
	out->len = out->cap - d->out.avail_out;
	if (out->len < before + sizeof(TAIL))
		return false;
	out->len -= sizeof(TAIL);
	return true;
}

bool deflate_gzip(struct span message, struct writer *out)
{
	z_stream z = {.zalloc = Z_NULL};
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	give(&z, message, out);
	bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
	out->len = out->cap - z.avail_out;
	deflateEnd(&z);
	return ok;
}

bool deflate_unpack(struct deflate *d, struct span message, struct writer *out)
{
	const struct span parts[] = {message, span_of(TAIL, sizeof(TAIL))};
	for (size_t i = 0; i < 2; i++) {
		give(&d->in, parts[i], out);
		int rc = inflate(&d->in, Z_SYNC_FLUSH);
		out->len = out->cap - d->in.avail_out;
		if (rc == Z_STREAM_END && d->in.avail_in > 0)
			return false; /* bytes behind the end */
		if (rc == Z_STREAM_END)
			return inflateReset(&d->in) == Z_OK;
		if ((rc != Z_OK && rc != Z_BUF_ERROR) || d->in.avail_in > 0)
			return false;
	}
	return !out->full;
}
