// SPDX-License-Identifier: MIT
/* codecs: the protocol table, and the steps that all protocols share: recognise, frame, decode.
 * Uses: nothing else.
 * Not: look inside a frame. */
#include "codecs/codec.h"

/* The protocols, one line each: codecs/<name>/<name>.c defines codec_<name>. The first that recognises a frame gets it. */
#define PROTOCOLS(X)                                                                                           \
	X(gt06)                                                                                                \
	X(h02)                                                                                                 \
	X(jt808)

#define DECLARE(name) extern const struct codec codec_##name;
PROTOCOLS(DECLARE)
#define ROW(name) &codec_##name,
const struct codec *const codecs[] = {PROTOCOLS(ROW) NULL};

const char *const codec_status_names[CODEC_STATUS_COUNT] = {
	[CODEC_OK] = "ok",
	[CODEC_MORE] = "more",
	[CODEC_NOT_MINE] = "unknown",
	[CODEC_OVERSIZE] = "oversize",
	[CODEC_NO_TERMINATOR] = "no-terminator",
	[CODEC_TRUNCATED] = "truncated",
	[CODEC_BAD_ID] = "bad-id",
	[CODEC_NO_IDENT] = "no-ident",
	[CODEC_NO_TYPE] = "no-type",
	[CODEC_BAD_FIELDS] = "bad-fields",
	[CODEC_BAD_BCD] = "bad-bcd",
	[CODEC_BAD_ESCAPE] = "bad-escape",
	[CODEC_BAD_CHECKSUM] = "bad-checksum",
	[CODEC_BAD_LENGTH] = "bad-length",
	[CODEC_ENCRYPTED] = "encrypted",
	[CODEC_FRAGMENT] = "fragment",
	[CODEC_UNSUPPORTED] = "unsupported",
	[CODEC_BAD_LATITUDE] = "bad-latitude",
	[CODEC_BAD_LONGITUDE] = "bad-longitude",
	[CODEC_NO_ROOM] = "no-room",
	[CODEC_REFUSED] = "refused",
	[CODEC_FROM_PLATFORM] = "from-platform",
};

const char *const codec_status_meanings[CODEC_STATUS_COUNT] = {
	[CODEC_OK] = "the frame is understood",
	[CODEC_MORE] = "the frame is not whole yet",
	[CODEC_NOT_MINE] = "no protocol begins a frame like this",
	[CODEC_OVERSIZE] = "the frame is longer than the protocol allows",
	[CODEC_NO_TERMINATOR] = "the frame has no end mark: it was cut, or the next one begins within it",
	[CODEC_TRUNCATED] = "the frame ends too early",
	[CODEC_BAD_ID] = "the id of the unit is not made of digits, or too long",
	[CODEC_NO_IDENT] = "the frame has no id, and none is known from a frame before",
	[CODEC_NO_TYPE] = "the message type is empty",
	[CODEC_BAD_FIELDS] = "the fields do not follow the layout of this message type",
	[CODEC_BAD_BCD] = "a half byte that must be a decimal digit is none",
	[CODEC_BAD_ESCAPE] = "an escape is followed by a byte that it does not allow",
	[CODEC_BAD_CHECKSUM] = "the check code is wrong",
	[CODEC_BAD_LENGTH] = "the length that the header tells is not that of the body",
	[CODEC_ENCRYPTED] = "the body is encrypted",
	[CODEC_FRAGMENT] = "the frame is one part of a message, and other parts are missing",
	[CODEC_UNSUPPORTED] = "this message type has no decoder: its bytes are shown as they are",
	[CODEC_BAD_LATITUDE] = "the latitude is impossible",
	[CODEC_BAD_LONGITUDE] = "the longitude is impossible",
	[CODEC_NO_ROOM] = "there is no memory for this part of a message",
	[CODEC_REFUSED] = "the unit or its record was refused",
	[CODEC_FROM_PLATFORM] = "only a server sends this message",
};

const struct codec *codec_find(struct span name)
{
	for (const struct codec *const *c = codecs; *c != NULL; c++)
		if (span_is(name, (*c)->name))
			return *c;
	return NULL;
}

/* The codec, but for this one, that recognises a frame here; NULL: none. */
static const struct codec *recognised_by_another(struct span in, const struct codec *than)
{
	for (const struct codec *const *c = codecs; *c != NULL && in.len > 0; c++)
		if (*c != than && (*c)->sniff(in) == CODEC_OK)
			return *c;
	return NULL;
}

/* Finds the first place where a codec recognises a frame of its own. OK: it becomes the stream's codec. MORE: cannot tell yet. What looks
 * like a damaged frame is noise when another codec recognises what follows. */
static enum codec_status recognise(struct codec_stream *stream, struct span in, size_t *skip)
{
	bool final = stream->link.quiet_ms == CODEC_QUIET_FINAL, unsure = false;
	const struct codec *damaged = NULL;
	size_t damaged_at = 0;
	for (*skip = 0; *skip < in.len && !(unsure && !final); ++*skip) {
		for (const struct codec *const *c = codecs; *c != NULL; c++) {
			enum codec_status status = (*c)->sniff(span_after(in, *skip));
			if (status == CODEC_OK) {
				const struct codec *behind =
					recognised_by_another(span_after(in, *skip + 1), *c);
				*skip = *c == damaged ? damaged_at : *skip + (behind != NULL);
				stream->codec = *c == damaged || behind == NULL ? *c : behind;
				return CODEC_OK;
			}
			if (status == CODEC_BAD_FIELDS && damaged == NULL) {
				damaged = *c;
				damaged_at = *skip;
			}
			unsure |= status == CODEC_MORE && *c != damaged;
		}
	}
	*skip = damaged != NULL ? damaged_at : unsure && !final ? *skip - 1 : *skip;
	if (damaged == NULL || (unsure && !final))
		return final ? CODEC_NOT_MINE : CODEC_MORE;
	stream->codec = damaged;
	return CODEC_OK;
}

void codec_begin_datagram(struct codec_stream *stream, struct span in)
{
	size_t skip;
	struct codec_stream fresh = {.link = {.quiet_ms = CODEC_QUIET_FINAL}};
	if (stream->codec == NULL || recognise(&fresh, in, &skip) != CODEC_OK || fresh.codec == stream->codec)
		return;
	*stream = (struct codec_stream){.codec = fresh.codec};
}

enum codec_status codec_next(struct codec_stream *stream, struct span in, struct frame *out)
{
	size_t noise = 0;
	*out = (struct frame){0};
	if (in.len == 0)
		return CODEC_MORE;
	if (stream->codec == NULL) {
		enum codec_status status = recognise(stream, in, &noise);
		if (status != CODEC_OK) {
			out->skip = noise;
			return status;
		}
		stream->link.after_noise = noise > 0;
	}
	enum codec_status status = stream->codec->frame(&stream->link, span_after(in, noise), out);
	if (status != CODEC_MORE)
		stream->link.after_noise = false;
	else if (out->skip > 0)
		stream->link.after_noise = true;
	out->skip += noise;
	return status;
}

enum codec_status codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink)
{
	return stream->codec->decode(&stream->link, frame, scratch, sink);
}

size_t codec_each(struct codec_stream *stream, struct span in, struct telemetry *scratch,
	const struct codec_sink *sink, codec_became *became, enum codec_status *end)
{
	size_t used = 0;
	*end = CODEC_MORE;
	while (used < in.len) {
		struct frame f;
		struct span rest = span_after(in, used);
		enum codec_status status = codec_next(stream, rest, &f);
		used += f.skip;
		if (status == CODEC_MORE || status == CODEC_NOT_MINE) {
			*end = status;
			break;
		}
		struct span frame = span_of(rest.ptr + f.skip, f.len);
		if (status == CODEC_OK)
			status = codec_decode(stream, frame, scratch, sink);
		became(sink->ctx, status, frame);
		used += f.len;
	}
	return used;
}
