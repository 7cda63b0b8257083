/* h02: what the files of the H02 codec share.
 * May use: codec, calendar. May not: be included outside of codecs/h02*.c. */
#ifndef T2M_H02_H
#define T2M_H02_H

#include "codecs/record/calendar.h"
#include "codecs/codec.h"
#include "codecs/h02/h02_options.h"

#define H02_TEXT_MAX 1024 /* R-MAXTEXT, including `*` and `#` */
#define H02_BINARY_MIN 32
#define H02_BINARY_MAX 64 /* the longest frame of unknown layout */

/* link->priv */
enum { H02_KNOWN_LENGTH = 0 };
/* unit->priv: the two letters of the maker code, or 0 */
enum { H02_VENDOR = 0 };

/* The forms of an answer to the unit; h02.md section 7. */
enum h02_answer {
	H02_ANSWER_NONE = 0,
	H02_ANSWER_V4,   /* *XX,<id>,V4,<type>,<yyyymmddHHMMSS># */
	H02_ANSWER_ECHO, /* *XX,<id>,<type># */
	H02_ANSWER_R12,  /* *XX,<id>,R12,<HHMMSS># */
};

/* Is there `*XX,` at the head? OK, MORE or NOT_MINE. */
enum codec_status h02_text_start(struct span in);

/* How sure is it that a binary frame starts at the head? */
enum h02_start { H02_START_NO = 0, H02_START_MORE, H02_START_WEAK, H02_START_YES };
enum h02_start h02_binary_start(struct span in);

/* Is a WEAK start, with a whole frame in sight, enough to recognise the protocol? OK or NOT_MINE. */
enum codec_status h02_binary_sniff(struct span in);

/* Is a WEAK start a frame? OK, MORE (not in sight yet) or NOT_MINE (noise). */
enum codec_status h02_binary_doubt(const struct codec_link *link, struct span in);

/* Frames the binary frame at the head (its start is WEAK or YES). Behind noise one of unknown layout is none. */
enum codec_status h02_binary_frame(struct codec_link *link, struct span in, bool noise, size_t *len);

enum codec_status h02_text_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink);
enum codec_status h02_binary_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink);

/* Hands the record over and, once it is taken, the answer in the form that suits the options. */
enum codec_status h02_finish(struct codec_link *link, struct telemetry *t, struct span type,
	enum h02_answer form, const struct codec_sink *sink);
enum codec_status h02_encode(struct codec_link *link, const struct command *command, struct writer *out,
	struct command_token *token);
bool h02_is_whole(struct span bytes, bool own, struct codec_whole *out);

extern const struct command_spec h02_commands[];

/* Pieces of meaning that text and binary share. */
void h02_set_status(struct telemetry *t, uint32_t word, bool low_battery_bits);
void h02_set_battery_code(struct telemetry *t, unsigned code);
void h02_set_time(struct telemetry *t, const struct calendar *c);

#endif
