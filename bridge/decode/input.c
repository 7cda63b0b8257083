// SPDX-License-Identifier: MIT
/* input: see input.h. */
#include "bridge/decode/input.h"

#include "bridge/decode/capture.h"
#include "bridge/decode/flows.h"

#include <stdlib.h>

/* One file at hand. */
struct input {
	struct decoder *decoder;
	const struct input_options *options;
	const char *name;
	struct flows *flows;
	unsigned long number; /* of lines or packets */
	bool told_link;       /* once is enough */
	unsigned long fragments, damaged;
	struct source source;
	struct line_reader reader;
	char line[LINE_MAX_BYTES];
};

/* --- lines --- */

static void take_line(struct input *in, enum line_found found, const struct line *line)
{
	struct decoder *d = in->decoder;
	decoder_at(d, in->name, in->number);
	switch (found) {
	case LINE_NOTHING:
		break;
	case LINE_BYTES:
		if (line->cut)
			decoder_say(d, false, "the line shows only the beginning of these bytes");
		decoder_datagram(d, line->bytes, in->options->now_ms);
		break;
	case LINE_PART:
		flows_part(in->flows, line->stream, in->number, line->bytes, in->options->now_ms);
		break;
	case LINE_WRONG:
		decoder_say(d, true, "not a line of the kind that --input names");
		break;
	}
}

static void read_lines(struct input *in)
{
	struct line line;
	size_t len;
	bool cut;
	for (in->number = 1; source_line(&in->source, in->line, sizeof(in->line), &len, &cut); in->number++) {
		decoder_at(in->decoder, in->name, in->number);
		if (cut) {
			decoder_say(in->decoder, true, "the line is longer than %zu bytes: it is left out",
				sizeof(in->line));
			continue;
		}
		take_line(in, line_read(&in->reader, in->options->lines, span_of(in->line, len), &line), &line);
	}
	take_line(in, line_end(&in->reader, &line), &line);
}

/* --- a raw capture: the bytes of one connection --- */

static void read_raw(struct input *in)
{
	struct decoder_stream *stream = decoder_stream_open();
	uint8_t bytes[4096];
	decoder_at(in->decoder, in->name, 0);
	for (size_t n; stream != NULL && (n = source_read(&in->source, bytes, sizeof(bytes))) > 0;)
		decoder_stream_bytes(in->decoder, stream, span_of(bytes, n), in->options->now_ms, 0);
	if (stream != NULL)
		decoder_stream_close(in->decoder, stream, true);
}

/* --- packets --- */

static void on_packet(void *ctx, const struct capture_packet *packet)
{
	struct input *in = ctx;
	struct segment segment;
	switch (link_read(packet->link_type, packet->bytes, &segment)) {
	case LINK_SEGMENT:
		flows_segment(in->flows, packet->number, &segment,
			packet->time_ms != 0 ? packet->time_ms : in->options->now_ms);
		break;
	case LINK_OTHER:
		break;
	case LINK_FRAGMENT:
		in->fragments++;
		break;
	case LINK_DAMAGED:
		in->damaged++;
		break;
	case LINK_UNKNOWN:
		decoder_at(in->decoder, in->name, 0);
		if (!in->told_link)
			decoder_say(in->decoder, true,
				"packets of link type %u are not decoded; allowed: Ethernet, raw IP, Linux "
				"cooked, loopback: "
				"capture with tcpdump -i any -w FILE",
				(unsigned)packet->link_type);
		in->told_link = true;
		break;
	}
}

static void read_packets(struct input *in)
{
	const char *wrong = capture_read(&in->source, on_packet, in);
	decoder_at(in->decoder, in->name, 0);
	if (in->fragments > 0)
		decoder_say(in->decoder, false, "%lu fragments of IP packets are left out", in->fragments);
	if (in->damaged > 0)
		decoder_say(in->decoder, false,
			"%lu packets are shorter than their own headers and are left out", in->damaged);
	if (wrong != NULL)
		decoder_say(in->decoder, true, "%s", wrong);
}

/* --- */

/* Text has no control characters but those that begin and end lines. */
static bool is_lines(struct span head)
{
	for (size_t i = 0; i < head.len; i++) {
		uint8_t c = head.ptr[i];
		if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return false;
	}
	return true;
}

/* Binary frames may have no control character; but they have bytes that no text has. */
static bool has_high_bytes(struct span head)
{
	for (size_t i = 0; i < head.len;) {
		size_t n = emit_utf8_length(span_after(head, i));
		if (n == 0)
			return head.len - i > 3; /* a character may be cut at the end */
		i += n;
	}
	return false;
}

static enum input_kind kind_of(const struct input *in)
{
	struct span head = source_head(&in->source);
	if (in->options->kind != INPUT_AUTO)
		return in->options->kind;
	if (capture_is(head))
		return INPUT_PCAP;
	return is_lines(head) && !has_high_bytes(head) ? INPUT_LINES : INPUT_RAW;
}

void input_read(struct decoder *decoder, const struct input_options *options, const char *name, FILE *file)
{
	struct input *in = calloc(1, sizeof(*in));
	struct flows *flows = flows_open(decoder, name, options->port);
	decoder_at(decoder, name, 0);
	decoder_forget(decoder);
	if (in == NULL || flows == NULL) {
		decoder_say(decoder, true, "there is no memory to read it");
	} else {
		in->decoder = decoder;
		in->options = options;
		in->name = name;
		in->flows = flows;
		source_open(&in->source, file);
		enum input_kind kind = kind_of(in);
		if (kind == INPUT_RAW)
			read_raw(in);
		else if (kind == INPUT_PCAP)
			read_packets(in);
		else
			read_lines(in);
		flows_close(flows, kind != INPUT_PCAP);
		flows = NULL;
		if (ferror(file))
			decoder_say(decoder, true, "it cannot be read to its end");
	}
	if (flows != NULL)
		flows_close(flows, false);
	free(in);
}

bool input_kind_find(const char *name, struct input_options *out)
{
	if (strcmp(name, "raw") == 0 || strcmp(name, "pcap") == 0) {
		out->kind = name[0] == 'r' ? INPUT_RAW : INPUT_PCAP;
		return true;
	}
	bool known = line_kind_find(name, &out->lines);
	out->kind = known && out->lines != LINE_AUTO ? INPUT_LINES : INPUT_AUTO;
	return known;
}
