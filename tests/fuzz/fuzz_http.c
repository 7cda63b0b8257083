// SPDX-License-Identifier: MIT
/* fuzz_http: what a browser may ask for: a path of the page's files, and a handshake, with any headers. The input is one line for each; an
 * empty one is missing. The linker leads the handlers' questions about a request to here. */
#include "bridge/web/files.h"
#include "bridge/web/tunnel_private.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const char *const names[] = {"", "Upgrade", "Connection", "Origin", "Host", "Sec-WebSocket-Version",
	"Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Accept-Encoding"};
#define NAMES (sizeof(names) / sizeof(names[0]))

static char *lines[NAMES]; /* the first one is the path */
static char root[] = "/tmp/t2m-fuzz.XXXXXX";

static const char *header(const char *name)
{
	for (size_t i = 1; i < NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return lines[i];
	return NULL;
}

const char *__wrap_http_request_header(const struct http_request *request, const char *name);
const char *__wrap_http_request_header(const struct http_request *request, const char *name)
{
	(void)request;
	return header(name);
}

const char *__wrap_http_request_path(const struct http_request *request);
const char *__wrap_http_request_path(const struct http_request *request)
{
	(void)request;
	return lines[0];
}

const union address *__wrap_http_request_peer(const struct http_request *request);
const union address *__wrap_http_request_peer(const struct http_request *request)
{
	static const union address peer = {.in4 = {.sin_family = AF_INET}};
	(void)request;
	return &peer;
}

static void put_file(const char *name)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

static void remove_files(void)
{
	static const char *const all[] = {"index.html", "a.js", "a.js.gz", ".hidden"};
	char path[100];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, all[i]);
		unlink(path);
	}
	rmdir(root);
}

static void make_files(void)
{
	static bool made;
	if (made)
		return;
	made = true;
	assert(mkdtemp(root) != NULL);
	put_file("index.html");
	put_file("a.js");
	put_file("a.js.gz");
	put_file(".hidden");
	atexit(remove_files);
}

/* A file is one of the directory itself, and none that is hidden; a packed one is only for who takes it. */
static void ask_for_a_file(void)
{
	struct http_answer answer = {.status = 200, .type = HTTP_PLAIN, .file = -1};
	struct files files = {root};
	char link[60], path[200] = "";
	files_handler(&files, NULL, &answer);
	assert(answer.status == (answer.file >= 0 ? 200 : 404));
	if (answer.file < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", answer.file);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	assert(n > (ssize_t)strlen(root) && strncmp(path, root, strlen(root)) == 0);
	const char *name = path + strlen(root) + 1;
	assert(strcmp(name, "index.html") == 0 || strncmp(name, "a.js", 4) == 0);
	if (answer.header[0].name != NULL)
		assert(strcmp(name, "a.js.gz") == 0 && strstr(header("Accept-Encoding"), "gzip") != NULL);
	close(answer.file);
}

/* Let in is only a page of this server that speaks as it should. */
static void ask_for_a_tunnel(void)
{
	static struct config config;
	struct tunnel tunnel = {.config = &config};
	struct http_answer answer = {.status = 200, .type = HTTP_PLAIN, .file = -1};
	config.web.max_viewers = 8;
	tunnel_handler(&tunnel, NULL, &answer);
	assert((answer.keep != NULL) == (answer.status == 101));
	if (answer.status != 101) {
		assert(answer.status == 400 || answer.status == 403 || answer.status == 426);
		return;
	}
	const char *host = strstr(header("Origin"), "://");
	assert(host != NULL && strcasecmp(host + 3, header("Host")) == 0);
	assert(strlen(header("Sec-WebSocket-Key")) == 24 && strlen(tunnel.accept) == 28);
	assert(strcasestr(header("Upgrade"), "websocket") != NULL &&
		strcasestr(header("Connection"), "upgrade") != NULL);
	assert(strcmp(header("Sec-WebSocket-Version"), "13") == 0);
	assert(strcasestr(header("Sec-WebSocket-Protocol"), "mqtt") != NULL);
	for (size_t i = 0; i < HTTP_HEADERS_MOST && answer.header[i].name != NULL; i++)
		assert(strpbrk(answer.header[i].value, "\r\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;
	make_files();
	for (size_t i = 0; i < NAMES; i++) {
		size_t n = 0;
		while (at + n < size && data[at + n] != '\n')
			n++;
		lines[i] = i == 0 || n > 0 ? malloc(n + 2) : NULL;
		if (lines[i] != NULL)
			snprintf(lines[i], n + 2, "%s%.*s", i == 0 ? "/" : "", (int)n, (const char *)data + at);
		at += n + (at + n < size);
	}
	ask_for_a_file();
	ask_for_a_tunnel();
	for (size_t i = 0; i < NAMES; i++)
		free(lines[i]);
	return 0;
}
