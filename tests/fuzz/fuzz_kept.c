// SPDX-License-Identifier: MIT
/* fuzz_kept: arbitrary bytes as what an earlier run kept: a request, a note of a unit, what is known of one, the table that it refers to. */
#include "bridge/base/note.h"
#include "bridge/commands/waiting.h"
#include "codecs/formats/known.h"

#include <assert.h>
#include <stdlib.h>

static void as_request(struct span value)
{
	static const uint8_t key[WAITING_KEY] = {'r', 0, 0, 0, 0, 0, 0, 0, 1};
	const struct moment now = {.unix_ms = 1800000000000, .steady_ms = 100000};
	uint64_t number;
	uint8_t again[WAITING_PACKED_MAX];
	struct waiting *w = waiting_unpack(span_of(key, sizeof(key)), value, now, &number);
	if (w == NULL)
		return;
	struct writer out = writer_of(again, sizeof(again));
	waiting_pack(w, now, &out);
	assert(strlen(w->ident) <= CODEC_IDENT_MAX);
	waiting_free(w);
}

static void as_note(struct span note)
{
	if (!note_is_one(note))
		return;
	for (int letter = 'a'; letter <= 'z'; letter++) {
		struct span part = note_part(note, (char)letter);
		struct reader r = reader_of(part);
		assert(part.len == 0 || (part.ptr > note.ptr && part.ptr + part.len <= note.ptr + note.len));
		note_take_number(&r);
		note_take_text(&r);
	}
}

static void as_known(struct span kept)
{
	static struct known_table own, theirs;
	static uint8_t bytes[KNOWN_BYTES_MOST], more[KNOWN_WORK_BYTES];
	static struct telemetry record;
	known_table_own(&own);
	known_table_load(&theirs, kept);
	for (int other = 0; other < 2; other++) {
		struct writer w = writer_of(bytes, sizeof(bytes)), out = writer_of(more, sizeof(more));
		if (!known_load(kept, &own, other ? &theirs : &own, &w))
			continue;
		known_record(writer_span(&w), &own, &record);
		struct telemetry fresh;
		telemetry_reset(&fresh);
		telemetry_set(&fresh, TM_SPEED, 7);
		struct span merged = known_merge(writer_span(&w), &own, &fresh, 1800000000000, &out);
		known_record(merged, &own, &record);
		known_place(writer_span(&w), &own, &record);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1); /* its end is guarded by the sanitizer */
	if (bytes == NULL)
		abort();
	if (size > 0)
		memcpy(bytes, data, size);
	as_request(span_of(bytes, size));
	as_note(span_of(bytes, size));
	as_known(span_of(bytes, size));
	free(bytes);
	return 0;
}
