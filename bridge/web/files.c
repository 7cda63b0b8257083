// SPDX-License-Identifier: MIT
/* files: see files.h. */
#include "bridge/web/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MOST 64
#define PATH_MOST 500

static const struct {
	const char *end, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".webmanifest", "application/manifest+json"},
};

static const char missing[] = "The page is not installed: [web] root has no index.html.\n"
			      "The Debian package brings it; in the sources, cmake builds it into build/web "
			      "where npm is installed.\n";

static bool is_name(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n > NAME_MOST || !byte_is_alnum((uint8_t)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!byte_is_alnum((uint8_t)name[i]) && strchr(".-_", name[i]) == NULL)
			return false;
	return true;
}

static const char *type_of(const char *name)
{
	const char *end = strrchr(name, '.');
	for (size_t i = 0; end != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(end, types[i].end) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* -1: it cannot be read, or is no file. */
static int open_file(const char *root, const char *name, const char *end, uint64_t *size)
{
	char path[PATH_MOST];
	struct stat st;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s%s", root, name, end) >= sizeof(path))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	*size = fd >= 0 ? (uint64_t)st.st_size : 0;
	return fd;
}

/* One entry of the list, such as "gzip;q=0.8". */
static bool is_gzip(const char *entry)
{
	size_t n = strlen("gzip");
	if (strncmp(entry, "gzip", n) != 0 || strchr(";, \t", entry[n]) == NULL)
		return false;
	const char *end = entry + strcspn(entry, ","), *q = strstr(entry, "q=");
	return q == NULL || q > end || q[2] != '0' || strspn(q + 2, "0.") < strcspn(q + 2, ", \t");
}

static bool takes_gzip(const struct http_request *request)
{
	const char *p = http_request_header(request, "Accept-Encoding");
	while (p != NULL && *p != '\0' && !is_gzip(p))
		p += strcspn(p, ","), p += strspn(p, ", \t");
	return p != NULL && *p != '\0';
}

void files_handler(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	const struct files *files = ctx;
	const char *path = http_request_path(request), *name = strcmp(path, "/") == 0 ? "index.html" : path + 1;
	if (is_name(name) && takes_gzip(request) &&
		(answer->file = open_file(files->root, name, ".gz", &answer->file_size)) >= 0)
		answer->header[0] = (struct http_header){"Content-Encoding", "gzip"};
	else if (is_name(name))
		answer->file = open_file(files->root, name, "", &answer->file_size);
	answer->type = type_of(name);
	if (answer->file >= 0)
		return;
	answer->status = 404;
	answer->type = HTTP_PLAIN;
	answer->body = span_text(strcmp(path, "/") == 0 ? missing : "there is no such file\n");
}
