/* jt808: what the files of the JT/T 808 codec share.
 * May use: codec, calendar. May not: be included outside of codecs/jt808*.c. */
#ifndef T2M_JT808_H
#define T2M_JT808_H

#include "codecs/record/calendar.h"
#include "codecs/codec.h"
#include "codecs/jt808/jt808_options.h"

#define JT808_FRAME_MAX 2200 /* R-MAX808, with delimiters and escapes */
#define JT808_BODY_MAX 1023

/* unit->priv: what answers and commands need of the unit's header */
struct jt808_unit {
	uint8_t phone[10]; /* as received */
	uint8_t version_2019;
	uint8_t protocol_version;
	uint16_t serial; /* of the next message that we send */
	uint8_t known;
};
_Static_assert(sizeof(struct jt808_unit) <= sizeof(((struct codec_unit *)0)->priv), "room in the unit");

/* One message of a unit, its header taken apart. */
struct jt808_message {
	uint16_t id, serial;
	bool version_2019;
	uint16_t total, number; /* 0 when it came in one piece */
	struct span body;
	char type[7];                                         /* "0x0200" */
	void (*from_gbk)(struct span in, struct writer *out); /* as the sink has it */
};

enum jt808_result { JT808_RESULT_OK = 0, JT808_RESULT_FAILURE, JT808_RESULT_WRONG, JT808_RESULT_UNSUPPORTED };
enum jt808_answer {
	JT808_ANSWER_NONE = 0,
	JT808_ANSWER_GENERAL,
	JT808_ANSWER_REGISTRATION,
	JT808_ANSWER_TIME,
	JT808_ANSWER_VENDOR_TIME
};

static inline struct jt808_unit *jt808_unit(struct codec_unit *unit)
{
	return (struct jt808_unit *)(void *)unit->priv;
}

/* Writes a whole frame to the unit: header, body, check byte, escapes. Returns its serial number. */
uint16_t jt808_frame(struct codec_unit *unit, uint16_t id, struct span body, struct writer *out);

/* Answers a message of which this became; `serials` of all its parts, NULL when it came in one piece. */
void jt808_answer(struct codec_link *link, const struct jt808_message *m, const uint16_t *serials,
	enum jt808_answer answer, enum codec_status status, const struct codec_sink *sink);
/* The general answer to one frame. */
void jt808_answer_part(struct codec_link *link, const struct jt808_message *m, enum codec_status status,
	const struct codec_sink *sink);
/* Asks for missing parts, for as many as an answer to a frame of `frame_len` bytes may name. */
void jt808_ask_parts(struct codec_link *link, const struct jt808_message *m, const struct codec_parts *parts,
	size_t frame_len, const struct codec_sink *sink);
/* The message answers our command with this id: tells the bridge. */
void jt808_tell_reply(
	const struct jt808_message *m, uint16_t command, struct span frame, const struct codec_sink *sink);

/* A 0x0200 body (or what follows its own head in 0x0201, 0x0500). */
enum codec_status jt808_location(struct telemetry *t, struct span body, const struct jt808_options *options);

/* 0x0100, 0x0102, 0x0104, 0x0107: what they say. */
enum codec_status jt808_registration(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_authentication(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_parameters(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);
enum codec_status jt808_attributes(
	struct telemetry *t, const struct jt808_message *m, const struct jt808_options *options);

enum codec_status jt808_encode(struct codec_link *link, const struct command *command, struct writer *out,
	struct command_token *token);
bool jt808_is_whole(struct span bytes, bool own, struct codec_whole *out);
extern const struct command_spec jt808_commands[];

/* Does this command of ours have a specific answer besides the general one? */
bool jt808_has_answer(uint16_t id);

#endif
