// SPDX-License-Identifier: MIT
/* h02_frame: where does a frame end?
 * Uses: nothing else.
 * Not: know what it means.
 *
 * Neither form has a length or a check code. A text frame ends at `#`; a binary one where the next frame
 * starts, or where the unit falls silent at a known length. Everything else between frames is noise. */
#include "codecs/h02/h02_private.h"

static const uint8_t lengths[] = {32, 42, 45, 46, 47, 48, 51, 54}; /* of binary frames, in order */

/* --- text --- */

/* A start inside of another frame must be sure. */
static bool starts_inside(struct span in)
{
	if (in.ptr[0] == '*')
		return h02_text_sure(in);
	return in.ptr[0] == '$' && h02_binary_start(in) >= H02_START_YES;
}

/* Where another frame surely starts inside of this one; `len` when none does. */
static size_t start_inside(struct span in, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		uint8_t c = in.ptr[i];
		if ((c == '*' || c == '$') && starts_inside(span_after(in, i)))
			return i;
	}
	return len;
}

static enum codec_status text_frame(const struct codec_link *link, struct span in, size_t *len)
{
	size_t most = in.len < H02_TEXT_MAX ? in.len : H02_TEXT_MAX;
	const uint8_t *hash = memchr(in.ptr, '#', most);
	size_t end = hash != NULL ? (size_t)(hash - in.ptr) : most;
	bool maybe = end > 1 &&
		     (memchr(in.ptr + 1, '*', end - 1) != NULL || memchr(in.ptr + 1, '$', end - 1) != NULL);
	size_t inside = maybe ? start_inside(in, end) : end;
	if (inside < end) {
		*len = inside;
		return CODEC_NO_TERMINATOR;
	}
	*len = hash != NULL ? end + 1 : end;
	if (hash != NULL)
		return CODEC_OK;
	if (in.len >= H02_TEXT_MAX)
		return CODEC_OVERSIZE;
	return link->quiet_ms == CODEC_QUIET_FINAL ? CODEC_NO_TERMINATOR : CODEC_MORE;
}

/* --- binary --- */

enum behind { BEHIND_OTHER = 0, BEHIND_START, BEHIND_END, BEHIND_NEWLINE, BEHIND_UNSURE };

/* What stands behind a frame that would end here? */
static enum behind look_behind(struct span rest)
{
	if (rest.len == 0)
		return BEHIND_END;
	size_t i = 0;
	while (i < rest.len && (rest.ptr[i] == '\r' || rest.ptr[i] == '\n'))
		i++;
	if (i == rest.len)
		return BEHIND_NEWLINE;
	if (!h02_may_start(rest.ptr[i]))
		return BEHIND_OTHER;
	struct span head = span_after(rest, i);
	enum codec_status text = h02_text_start(head);
	enum h02_start binary = h02_binary_start(head);
	if (text == CODEC_OK || binary >= H02_START_YES)
		return BEHIND_START;
	return text == CODEC_MORE || binary == H02_START_MORE ? BEHIND_UNSURE : BEHIND_OTHER;
}

/* May a frame with this head have this length? */
static bool length_allowed(struct span head, enum h02_start start, size_t len)
{
	return len == H02_LONG_ID_LENGTH ? h02_long_id(head) : start != H02_START_LONG;
}

/* Of the known lengths the one behind which the bytes make most sense: `best` says what stands there. Of several that are as good,
 * the length of this connection's frames, else the smallest; 0 when none is any good. */
static size_t best_length(
	const struct codec_link *link, struct span in, enum h02_start start, enum behind *best)
{
	static const uint8_t rank[] = {[BEHIND_OTHER] = 0,
		[BEHIND_UNSURE] = 1,
		[BEHIND_NEWLINE] = 2,
		[BEHIND_END] = 3,
		[BEHIND_START] = 4};
	size_t found = 0;
	*best = BEHIND_OTHER;
	for (size_t i = 0; i < sizeof(lengths) && lengths[i] <= in.len; i++) {
		size_t len = lengths[i];
		if (!length_allowed(in, start, len))
			continue;
		enum behind behind = look_behind(span_after(in, len));
		bool known = len == link->priv[H02_KNOWN_LENGTH];
		if (rank[behind] > rank[*best] || (known && behind != BEHIND_OTHER && behind == *best)) {
			found = len;
			*best = behind;
		}
	}
	return found;
}

/* Finds the end of the binary frame at the head; its start is WEAK, or sure. `noise`: bytes were skipped just before it. If then no known
 * length fits, and none is known of this connection, it is more noise: BAD_LENGTH. */
static enum codec_status binary_frame(
	struct codec_link *link, struct span in, enum h02_start start, bool noise, size_t *len)
{
	uint8_t *known = &link->priv[H02_KNOWN_LENGTH];
	size_t next = h02_next_text(in, 1, H02_BINARY_MIN);
	if (next > 0) {
		*len = next;
		return CODEC_TRUNCATED;
	}
	if (in.len < H02_BINARY_MIN) {
		*len = in.len;
		return link->quiet_ms >= CODEC_QUIET_LONG_MS ? CODEC_TRUNCATED : CODEC_MORE;
	}
	bool bad_id = start == H02_START_WEAK && !span_is_bcd(span_of(in.ptr + 1, 5));
	if (in.ptr[0] == 'X' || bad_id) { /* the latter will be refused: BAD_ID */
		*len = H02_BINARY_MIN;
		return CODEC_OK;
	}
	enum behind behind;
	size_t best = best_length(link, in, start, &behind);
	bool whole = behind == BEHIND_START;
	if (behind == BEHIND_END || behind == BEHIND_NEWLINE)
		whole = link->quiet_ms >= (best < *known ? CODEC_QUIET_LONG_MS : CODEC_QUIET_SHORT_MS);
	else if (behind == BEHIND_UNSURE)
		whole = link->quiet_ms >= CODEC_QUIET_LONG_MS;
	if (whole) {
		*known = (uint8_t)best;
		*len = best;
		return CODEC_OK;
	}
	/* An unknown length: wait until the start of the next frame must be in sight. */
	if (in.len < H02_BINARY_MAX + 16 && link->quiet_ms < CODEC_QUIET_LONG_MS)
		return CODEC_MORE;
	next = h02_next_start(in, H02_BINARY_MIN, H02_BINARY_MAX);
	if (next == 0)
		next = in.len <= H02_BINARY_MAX ? in.len : H02_BINARY_MIN;
	*len = next;
	return noise && *known == 0 ? CODEC_BAD_LENGTH : CODEC_OK;
}

/* --- both --- */

enum codec_status h02_frame(struct codec_link *link, struct span in, struct frame *out)
{
	bool final = link->quiet_ms == CODEC_QUIET_FINAL, noise = link->after_noise;
	for (out->skip = 0; out->skip < in.len; out->skip++) {
		struct span head = span_after(in, out->skip);
		enum codec_status text = h02_text_start(head);
		if (text == CODEC_OK)
			return text_frame(link, head, &out->len);
		enum h02_start binary = h02_binary_start(head);
		enum codec_status doubt = CODEC_OK;
		if (binary == H02_START_WEAK)
			doubt = h02_binary_doubt(link, head);
		if (doubt == CODEC_MORE)
			return CODEC_MORE;
		if (doubt == CODEC_NOT_MINE)
			continue;
		if (binary >= H02_START_WEAK)
			return binary_frame(link, head, binary, noise || out->skip > 0, &out->len);
		if (text != CODEC_MORE && binary != H02_START_MORE)
			continue;
		if (!final)
			return CODEC_MORE;
		if (binary == H02_START_MORE && head.len > 1) {
			out->len = head.len;
			return CODEC_TRUNCATED;
		}
	}
	return CODEC_MORE;
}
