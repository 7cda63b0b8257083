// SPDX-License-Identifier: MIT
/* fuzz_watch: arbitrary bytes as topic and payload of a message, down to the line and the JSON of tracker2mqtt-watch. */
#include "bridge/watch/line.h"

#include <assert.h>
#include <stdlib.h>

/* No control character, and no second line but one that is set in, where lines are broken. */
static void check_line(const char *text, size_t len, bool broken)
{
	assert(len > 0 && text[len - 1] == '\n');
	for (size_t i = 0; i + 1 < len; i++)
		assert(((uint8_t)text[i] >= 0x20 && text[i] != 0x7f) ||
			(broken && text[i] == '\n' && text[i + 1] == ' '));
}

static void check_json(const struct document *d)
{
	char *text = NULL;
	size_t len;
	const struct screen screen = {.utf8 = d->msgpack};
	FILE *out = open_memstream(&text, &len);
	assert(out != NULL);
	document_write(&screen, d->json, 0, out);
	fputc('\n', out);
	fclose(out);
	check_line(text, len, false);
	struct document again;
	assert(document_read(&again, span_of(text, len)));
	char *before = cJSON_PrintUnformatted(d->root), *after = cJSON_PrintUnformatted(again.root);
	assert(before != NULL && after != NULL && strcmp(before, after) == 0);
	cJSON_free(before);
	cJSON_free(after);
	document_free(&again);
	free(text);
}

/* The first byte says how the rest is divided, and what the screen can do. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const topics[] = {"trackers/1/position", "trackers/1/telemetry", "trackers/1/alarm",
		"trackers/1/status", "trackers/1/cmd", "trackers/1/cmd/reply", "trackers/1/raw",
		"trackers/bridge/1/status", "trackers/bridge/1/unknown"};
	const size_t count = sizeof(topics) / sizeof(topics[0]);
	if (size < 1)
		return 0;
	struct span rest = span_of(data + 1, size - 1), topic = rest;
	if (data[0] % 16 < count)
		topic = span_text(topics[data[0] % 16]);
	char *text = NULL;
	size_t len;
	struct document d;
	struct line_style style = {
		{.utf8 = data[0] & 16, .columns = data[0] & 64 ? 50 : 0}, "trackers", LINE_NAME_WIDTH};
	FILE *out = open_memstream(&text, &len);
	assert(out != NULL);
	bool is_document = document_read(&d, rest);
	struct sight s = {topic, rest, data[0] & 32, 1795650161000, is_document ? &d : NULL};
	line_write(&style, &s, out);
	fclose(out);
	check_line(text, len, style.screen.columns > 0);
	free(text);
	if (is_document)
		check_json(&d);
	document_free(&d);
	return 0;
}
