// SPDX-License-Identifier: MIT
/* h02_private: what the files of the H02 codec share, file by file, from the first byte to the answer.
 * Uses: codecs, codecs/record.
 * Not: be included outside of codecs/h02.
 *
 *   h02.c          binds:  start -> frame -> text or binary -> answer;  command
 *   h02_start.c            does a frame start here, how sure is that?
 *   h02_frame.c            where does it end?
 *   h02_text.c             its type decides what its fields are: h02_text_layout.c, h02_text_tail.c; h02_text_field.c, h02_number.c
 *   h02_binary.c           its length decides what its bytes are
 *   h02_meaning.c          the codes that text and binary share
 *   h02_answer.c           the record is handed over, then the unit is answered
 *   h02_command.c          what is sent to a unit
 *   h02_options.c          what users can set */
#ifndef T2M_H02_PRIVATE_H
#define T2M_H02_PRIVATE_H

#include "codecs/codec.h"
#include "codecs/h02/h02_options.h"
#include "codecs/record/calendar.h"

#define H02_TEXT_MAX 1024 /* with `*` and `#`; real frames are shorter */
#define H02_BINARY_MIN 32
#define H02_BINARY_MAX 64 /* the longest frame of unknown layout */
#define H02_LONG_ID_LENGTH 42

/* link->priv[H02_KNOWN_LENGTH]: the length of this connection's binary frames, or 0 */
enum { H02_KNOWN_LENGTH = 0 };
/* unit->priv[H02_VENDOR] and the next: the two letters of the maker code, or 0 */
enum { H02_VENDOR = 0 };

/* --- h02_start.c --- */

enum codec_status h02_sniff(struct span head);

/* No other byte starts a frame. */
static inline bool h02_may_start(uint8_t c)
{
	return c == '*' || c == '$' || c == 'X';
}

/* Is there `*XX,` at the head? OK, MORE or NOT_MINE. */
enum codec_status h02_text_start(struct span in);
/* The same, and a digit behind it: even in the middle of another frame this starts one. */
bool h02_text_sure(struct span in);

/* How sure is it that a binary frame starts at the head? NO, MORE (bytes are missing to tell), WEAK (id or date are damaged), or from YES on
 * sure: there is a plausible id of 5 bytes with time and date behind it; LONG: only one of 8 bytes. */
enum h02_start { H02_START_NO = 0, H02_START_MORE, H02_START_WEAK, H02_START_YES, H02_START_LONG };
enum h02_start h02_binary_start(struct span in);
/* Is there a plausible id of 8 bytes with time and date behind it? */
bool h02_long_id(struct span in);

/* The first place from `from` to before `to` where a frame surely starts, or 0; where a text frame does. */
size_t h02_next_start(struct span in, size_t from, size_t to);
size_t h02_next_text(struct span in, size_t from, size_t to);

/* Is a WEAK start the start of a frame? OK; NOT_MINE: noise, a sure start comes before its end; MORE: bytes are missing to tell. */
enum codec_status h02_binary_doubt(const struct codec_link *link, struct span in);

/* --- h02_frame.c --- */

enum codec_status h02_frame(struct codec_link *link, struct span in, struct frame *out);

/* --- h02_text.c, h02_text_layout.c, h02_text_tail.c; their fields: h02_text_field.h --- */

enum codec_status h02_text_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink);

struct h02_text;
/* The message types with a layout of their own. OK or BAD_FIELDS, or BAD_LATITUDE and the like. `at`: the field with the time. */
enum codec_status h02_block(struct h02_text *x, size_t at);
/* Does a position block start at this field? */
bool h02_block_starts(const struct h02_text *x, size_t at);
enum codec_status h02_confirmation(struct h02_text *x);
enum codec_status h02_nbr(struct h02_text *x);
enum codec_status h02_cell_report(struct h02_text *x);
enum codec_status h02_vp1(struct h02_text *x);

/* The fields behind the status word, from `at` to the end. */
void h02_tail(struct h02_text *x, size_t at);

/* --- h02_binary.c --- */

enum codec_status h02_binary_decode(
	struct codec_link *link, struct span frame, struct telemetry *t, const struct codec_sink *sink);

/* --- h02_meaning.c --- */

/* `bytes`: where the word stands. `low_battery_bits`: bits 5 and 6 mean a low battery (V6, V8), not the antenna. */
void h02_set_status(struct telemetry *t, struct span bytes, uint32_t word, bool low_battery_bits);
void h02_set_battery_code(struct telemetry *t, unsigned code);
/* A date that does not exist is dropped: the record has no time then. */
static inline void h02_set_time(struct telemetry *t, const struct calendar *c)
{
	int64_t unix_s;
	if (calendar_unix(c, &unix_s))
		telemetry_set(t, TM_TIMESTAMP, unix_s * 1000);
}
/* The countries' codes begin at 200 and end at 799: with another one the network and cell are unknown, or the fields are no cell. */
static inline bool h02_is_mcc(int64_t mcc)
{
	return mcc >= 200 && mcc <= 799;
}
/* The serving cell with its network; nothing when h02_is_mcc says no. */
void h02_set_network_cell(struct telemetry *t, int64_t mcc, int64_t mnc, int64_t lac, int64_t cellid);
/* The serving cell; 0 is unknown. */
void h02_set_cell(struct telemetry *t, int64_t lac, int64_t cellid);

/* --- h02_answer.c --- */

/* The forms of an answer to the unit. */
enum h02_answer {
	H02_ANSWER_NONE = 0,
	H02_ANSWER_V4,     /* *XX,<id>,V4,<type>,<yyyymmddHHMMSS># */
	H02_ANSWER_ECHO,   /* *XX,<id>,<type># */
	H02_ANSWER_R12,    /* *XX,<id>,R12,<HHMMSS># */
	H02_ANSWER_BINARY, /* the same: a binary frame's type is no word, so it has no V4 form */
};

/* Moves the record's time from the unit's time zone to UTC, hands the record to the sink and, when the sink has taken it, the answer in the
 * form that the options choose. REFUSED: not taken. */
enum codec_status h02_finish(struct codec_link *link, struct telemetry *t, struct span type,
	enum h02_answer form, const struct codec_sink *sink);

/* `*XX,<ident>,`; XX as the unit writes it, or HQ. */
void h02_put_head(struct writer *w, const struct codec_unit *unit);
/* yyyymmdd and HHMMSS, UTC. */
void h02_put_date(struct writer *w, int64_t now_ms);
void h02_put_clock(struct writer *w, int64_t now_ms);

/* --- h02_command.c --- */

enum codec_status h02_encode(struct codec_link *link, const struct command *command, struct writer *out,
	struct command_token *token);
bool h02_is_whole(struct span bytes, bool own, struct codec_whole *out);
/* A frame of this type, which is no reply by its form, may answer a command: tells the sink. */
void h02_tell_answer(struct span type, struct span frame, const struct codec_sink *sink);

extern const struct command_spec h02_commands[];

#endif
