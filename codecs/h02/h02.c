// SPDX-License-Identifier: MIT
/* h02: H02 / SinoTrack / "TQ", text and binary, mixed on one connection: the codec and its parts.
 * Uses: nothing else.
 * Not: allocate, log, ask the time.
 *
 *   text     *XX,<id>,<type>[,<field>]...#
 *             XX maker code, id 1 to 20 digits or empty, at most 1024 bytes
 *   binary   $ II II II II II hh mm ss DD MM YY ...   5 bytes of BCD id, BCD time and date, 32 to 54 bytes
 *   binary   X OO OO OO OO OO hh mm ss DD MM YY ...   odometer instead of the id, 32 bytes
 *
 * Sources: the makers' "TQ GPRS transport protocol" (SinoTrack Protocol), "GPS Protocol 2020-7-6" and "SinoTrack Protocol NEW-EN",
 * and frames of real units. There is no standard. */
#include "codecs/h02/h02_private.h"

static enum codec_status decode(
	struct codec_link *link, struct span frame, struct telemetry *scratch, const struct codec_sink *sink)
{
	telemetry_reset(scratch);
	if (frame.ptr[0] == '*')
		return h02_text_decode(link, frame, scratch, sink);
	return h02_binary_decode(link, frame, scratch, sink);
}

const struct codec codec_h02 = {
	.name = "h02",
	.label = "H02",
	.title = "H02 / SinoTrack, text and binary",
	.max_frame = H02_TEXT_MAX,
	.max_command = 900,
	.commands = h02_commands,
	.marks = {.frame = "*#$", .field = ", "},
	.relayed = true,
	.options = h02_option_rows,
	.options_size = sizeof(struct h02_options),
	.sniff = h02_sniff,
	.frame = h02_frame,
	.decode = decode,
	.is_whole = h02_is_whole,
	.encode = h02_encode,
};
