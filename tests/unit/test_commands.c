// SPDX-License-Identifier: MIT
/* test_commands: request -> command -> the exact bytes on the wire, for every named command of every codec. */
#include "harness.h"

#include "bridge/commands/request.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_MS 1650636572400LL /* 14:09:32 UTC */

static size_t encode(const struct codec *codec, const char *header, const char *json, uint8_t *out, size_t size)
{
	char why[1200];
	struct request r;
	struct codec_unit unit = {.ident = "9170503816"};
	struct codec_link link = {.now_ms = NOW_MS, .unit = &unit};
	struct command_token token;
	struct writer w = writer_of(out, size);
	for (size_t i = 0; i < strlen(header) / 2; i++) /* what the codec has kept of the unit's own header */
		unit.priv[i] =
			(uint8_t)(byte_hex((uint8_t)header[2 * i]) << 4 | byte_hex((uint8_t)header[2 * i + 1]));
	const char *fault = request_parse(&r, span_text(json), why, sizeof(why));
	if (fault == NULL)
		fault = request_resolve(&r, codec, why, sizeof(why));
	if (fault != NULL)
		fail_msg("%s: %s", json, fault);
	assert_int_equal(codec->encode(&link, &r.command, &w, &token), CODEC_OK);
	request_free(&r);
	return w.len;
}

static void check_row(const cJSON *row, bool *seen, size_t max)
{
	const struct codec *codec = codec_find(span_text(cJSON_GetObjectItem(row, "codec")->valuestring));
	const cJSON *request = cJSON_GetObjectItem(row, "request"), *unit = cJSON_GetObjectItem(row, "unit");
	const char *want = cJSON_GetObjectItem(row, "frame")->valuestring;
	const cJSON *name = cJSON_GetObjectItem(request, "command");
	uint8_t frame[2200];
	char got[4500] = "";
	assert_non_null(codec);
	char *json = cJSON_PrintUnformatted(request);
	size_t len = encode(codec, unit ? unit->valuestring : "", json, frame, sizeof(frame));
	struct writer w = writer_of(got, sizeof(got) - 1);
	if (frame[0] == '*')
		writer_bytes(&w, frame, len);
	else
		writer_hex(&w, span_of(frame, len));
	got[w.len] = '\0';
	if (strcmp(got, want) != 0)
		fail_msg("%s %s: want %s, got %s", codec->name, json, want, got);
	for (size_t i = 0; name != NULL && codec->commands[i].name != NULL; i++)
		if (i < max && strcmp(codec->commands[i].name, name->valuestring) == 0)
			seen[i] = true;
	free(json);
}

enum { CODECS_MOST = 16, COMMANDS_MOST = 64 };
static bool seen[CODECS_MOST][COMMANDS_MOST];

static void check_file(const char *file)
{
	char path[512], *line = NULL;
	size_t cap = 0;
	snprintf(path, sizeof(path), "%s/%s", SOURCE_DIR, file);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		cJSON *row = cJSON_Parse(line);
		if (row == NULL)
			fail_msg("%s: not JSON: %s", file, line);
		const char *name = cJSON_GetObjectItem(row, "codec")->valuestring;
		size_t c = 0;
		while (codecs[c] != NULL && strcmp(codecs[c]->name, name) != 0)
			c++;
		if (codecs[c] == NULL)
			fail_msg("%s: no codec has the name %s", file, name);
		check_row(row, seen[c], COMMANDS_MOST);
		cJSON_Delete(row);
	}
	free(line);
	fclose(f);
}

static void test_bytes(void **state)
{
	(void)state;
	static const char *const files[] = {COMMAND_FILES};
	for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++)
		check_file(files[f]);
	for (size_t c = 0; codecs[c] != NULL; c++)
		for (size_t i = 0; codecs[c]->commands[i].name != NULL; i++)
			if (!seen[c][i])
				fail_msg("no row of a commands.jsonl for %s of %s", codecs[c]->commands[i].name,
					codecs[c]->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
