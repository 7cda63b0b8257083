// SPDX-License-Identifier: MIT
/* jt808_private: what the files of the JT/T 808 codec share, file by file.
 * Uses: codecs, codecs/record.
 * Not: be included outside of codecs/jt808.
 *
 *   jt808.c            binds: find -> read -> what the message says -> answer;  command
 *   jt808_frame.c      bytes to a message and back
 *   jt808_location.c   where the unit is: alarms, status, items
 *   jt808_info.c       what it is: registration, authentication, parameters, attributes
 *   jt808_vendor.c     what makers have added
 *   jt808_answer.c     what it is answered, and what it answers to commands
 *   jt808_command.c    what is sent to it
 *   jt808_options.c    what users can set */
#ifndef T2M_JT808_PRIVATE_H
#define T2M_JT808_PRIVATE_H

#include "codecs/codec.h"
#include "codecs/jt808/jt808_options.h"
#include "codecs/record/calendar.h"

#define JT808_FRAME_MAX 2200 /* the largest body and header, all escaped, have 2092 */
#define JT808_BODY_MAX 1023
#define JT808_UNESCAPED_MIN 13 /* header of 2013 and check byte */

/* unit->priv: what answers and commands need of the unit's last header */
struct jt808_unit {
	uint8_t phone[10]; /* as received: 6 bytes, in 2019 10 */
	uint8_t version_2019;
	uint8_t protocol_version;
	uint16_t serial; /* of the next message to the unit */
};
_Static_assert(sizeof(struct jt808_unit) <= sizeof(((struct codec_unit *)0)->priv), "room in the unit");

static inline struct jt808_unit *jt808_unit(struct codec_unit *unit)
{
	return (struct jt808_unit *)(void *)unit->priv;
}

/* One message of a unit, its header taken apart. */
struct jt808_message {
	uint16_t id, serial;
	bool has_header; /* the check code is right, and there are all of `id` to `phone`, whatever became of the body */
	bool version_2019;
	uint8_t protocol_version; /* 0 before 2019 */
	uint16_t total, number;   /* of a message in parts; both 0: it came in one frame */
	struct span phone, body;
	char type[7];                                         /* "0x0200" */
	void (*from_gbk)(struct span in, struct writer *out); /* the sink's */
};

/* --- jt808_frame.c --- */

enum codec_status jt808_sniff(struct span head);
enum codec_status jt808_frame_find(struct codec_link *link, struct span in, struct frame *out);
/* Takes a frame apart; `t` only gets marks. The spans of the message point into `plain`, which gets the bytes without escapes. OK, or why it is no message. */
enum codec_status jt808_frame_read(
	struct telemetry *t, struct span frame, uint8_t plain[JT808_FRAME_MAX], struct jt808_message *m);
/* Writes the phone number without leading zeros, or the IMEI that stands in its place. false: it is neither. */
bool jt808_ident(const struct jt808_message *m, struct writer *out);
/* Writes a whole frame to the unit: header, body, check byte, escapes. Returns its serial number. */
uint16_t jt808_frame_write(struct codec_unit *unit, uint16_t id, struct span body, struct writer *out);

/* --- jt808_location.c --- */

/* The IMEI of a location's item F6, 15 digits; empty: it has none. */
struct span jt808_location_imei(struct span body, uint8_t digits[16]);
/* A location: 0x0200, an item of 0x0704 and 0x0210, or what follows the serial number in 0x0201 and 0x0500. */
enum codec_status jt808_location(struct telemetry *t, struct span body, const struct jt808_options *options);

/* BCD YY MM DD hh mm ss in the unit's time zone; a date that does not exist is dropped. */
void jt808_set_time(struct telemetry *t, struct span bcd, const struct jt808_options *options);

/* --- jt808_info.c: 0x0100, 0x0102, 0x0104, 0x0107, and what nobody decodes --- */

/* The bytes as they are. */
enum codec_status jt808_payload(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_registration(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_authentication(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_parameters(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
/* The IMEI of 0x0102, 15 digits; empty: it has none. */
struct span jt808_authentication_imei(const struct jt808_message *m);
enum codec_status jt808_attributes(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);

/* --- jt808_vendor.c: 0x0210, 0x0701, 0x1300, 0x6006 --- */

#define JT808_BATTERY_BYTES 7 /* the body of 0x0210 when it is no list */
enum codec_status jt808_battery(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
/* What the unit answers to a text command. */
enum codec_status jt808_counted_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_wide_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_text(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);

/* --- jt808_answer.c --- */

enum jt808_result { JT808_RESULT_OK = 0, JT808_RESULT_FAILURE, JT808_RESULT_WRONG, JT808_RESULT_UNSUPPORTED };
enum jt808_answer {
	JT808_ANSWER_NONE = 0,
	JT808_ANSWER_GENERAL,
	JT808_ANSWER_REGISTRATION,
	JT808_ANSWER_MEDIA, /* a general answer, then 0x8800 */
	JT808_ANSWER_TIME,
	JT808_ANSWER_VENDOR_TIME
};

/* Answers a message that `status` is the outcome of. `serials` are those of all its parts; NULL: it came in one frame. */
void jt808_answer(struct codec_link *link, const struct jt808_message *m, const uint16_t *serials,
	enum jt808_answer answer, enum codec_status status, const struct codec_sink *sink);
/* The general answer to one part. */
void jt808_answer_part(struct codec_link *link, const struct jt808_message *m, enum codec_status status,
	const struct codec_sink *sink);
/* Asks for missing parts: as many as an answer to a frame of `frame_len` bytes has room for. */
void jt808_answer_missing(struct codec_link *link, const struct codec_parts *parts, size_t frame_len,
	const struct codec_sink *sink);
/* codec.ask_parts */
void jt808_ask_parts(struct codec_link *link, const struct codec_parts *parts, struct writer *out);
/* Tells the bridge when the message, which is OK and whose record is `t`, answers a command. */
void jt808_tell_reply(const struct jt808_message *m, const struct telemetry *t, struct span frame,
	const struct codec_sink *sink);

/* --- jt808_command.c --- */

enum codec_status jt808_encode(struct codec_link *link, const struct command *command, struct writer *out,
	struct command_token *token);
bool jt808_is_whole(struct span bytes, bool own, struct codec_whole *out);
extern const struct command_spec jt808_commands[];

#endif
