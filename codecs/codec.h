// SPDX-License-Identifier: MIT
/* codec: the contract between the protocols and the bridge.
 * Uses: codecs/record.
 * Not: wait, store, talk, log, allocate or ask the time.
 *
 * A codec turns bytes into records and commands into bytes. The bridge keeps the memory (struct
 * codec_unit, struct codec_link), gives the time, and is called back through struct codec_sink. A new
 * protocol is one folder whose main file ends in a `const struct codec`, and one line in codecs.c.
 * codecs/template is one to copy from.
 *
 * Lifetimes: every span given to a callback points into the frame, into the codec's own stack, into the telemetry or into a
 * literal, and is valid only until the callback returns, those of the record until `decode` returns; whoever keeps bytes copies
 * them. A codec keeps nothing but what stands in `priv` of the unit and of the link. */
#ifndef T2M_CODEC_H
#define T2M_CODEC_H

#include "codecs/option.h"
#include "codecs/record/bytes.h"
#include "codecs/record/command.h"
#include "codecs/record/telemetry.h"

/* What became of some bytes. A value is also the index of its name and of its counter. */
enum codec_status {
	CODEC_OK = 0,
	CODEC_MORE,     /* no error: the frame is not whole yet */
	CODEC_NOT_MINE, /* no codec knows these bytes, or this one does not */
	CODEC_OVERSIZE,
	CODEC_NO_TERMINATOR,
	CODEC_TRUNCATED,
	CODEC_BAD_ID,
	CODEC_NO_IDENT,
	CODEC_NO_TYPE,
	CODEC_BAD_FIELDS,
	CODEC_BAD_BCD,
	CODEC_BAD_ESCAPE,
	CODEC_BAD_CHECKSUM,
	CODEC_BAD_LENGTH,
	CODEC_ENCRYPTED,
	CODEC_FRAGMENT,    /* no error: one part of a message in several frames was kept, or had come before */
	CODEC_UNSUPPORTED, /* the codec does not know this message: its record has the bytes as they are */
	CODEC_BAD_LATITUDE,
	CODEC_BAD_LONGITUDE,
	CODEC_NO_ROOM,       /* encode: the command does not fit; decode: no memory for this part now */
	CODEC_REFUSED,       /* the bridge does not admit this unit, or cannot store its record now */
	CODEC_FROM_PLATFORM, /* only a platform sends this: somebody sends the bridge's own answers back */
	/* must stay last */
	CODEC_STATUS_COUNT
};

/* "ok", "more", … "bad-latitude", for counters, logs and topics. */
extern const char *const codec_status_names[CODEC_STATUS_COUNT];
/* The same for people: "the check code is wrong". */
extern const char *const codec_status_meanings[CODEC_STATUS_COUNT];

#define CODEC_IDENT_MAX 20

/* What is remembered of one unit while it is connected. The bridge fills in ident and options before the codec sees it. */
struct codec_unit {
	char ident[CODEC_IDENT_MAX + 1]; /* as the unit reports it: digits or letters */
	const void *options; /* the struct that its codec's rows describe; may differ from unit to unit */
	uint8_t priv[32];    /* the codec's own; all zero at first */
};

#define CODEC_QUIET_SHORT_MS                                                                                   \
	300 /* after this silence a frame that has no end mark, but a plausible length, is whole */
#define CODEC_QUIET_LONG_MS 3000    /* after this one an incomplete frame is given up */
#define CODEC_QUIET_FINAL INT32_MAX /* the datagram or connection has ended: nothing follows */

/* What is remembered of one connection between frames. */
struct codec_link {
	int64_t now_ms;          /* Unix time in ms, set before each call */
	bool after_noise;        /* the bytes just before these were skipped as noise; set by codec_next */
	int32_t quiet_ms;        /* how long the peer has been silent after these bytes; set before each call */
	struct codec_unit *unit; /* the unit that was identified last on this connection, or NULL */
	const void *options;     /* those of a unit that is not known yet; NULL: the defaults */
	uint8_t priv
		[16]; /* the codec's own; all zero at first; room for an identity that later frames do not carry */
};

/* One part of a message that comes in several frames. */
struct codec_part {
	uint32_t kind;          /* message id: parts of one kind and total belong together */
	uint16_t total, number; /* of parts; of this one, from 1 */
	uint16_t serial;        /* of the part's frame: an answer names it */
	struct span body;
};

/* What is known of the message that a part belongs to. Which members are set depends on what `part` answered; they stay valid until
 * `decode` returns. */
struct codec_parts {
	struct span whole;       /* OK: the bodies of all parts, in order */
	const uint16_t *serials; /* OK: the serials of all parts, in order */
	uint16_t first_serial;   /* MORE: the serial of part 1; a guess while that part is missing */
	size_t missing_count;    /* MORE: how many parts are to be asked for now; mostly 0 */
	const uint16_t *missing; /* MORE: their numbers */
	enum codec_status ended; /* FRAGMENT: what became of the message before */
};

/* Is there room in the outbox for all records of a frame? */
enum codec_room { CODEC_ROOM_YES = 0, CODEC_ROOM_NOT_NOW, CODEC_ROOM_NEVER };

/* What `decode` tells the bridge, in this order for each frame: identify; part; batch; record; send; reply. */
struct codec_sink {
	void *ctx;
	/* Who speaks: 1 to CODEC_IDENT_MAX digits or letters. The answer is the unit's memory, which lives as long as the link names
	 * it as link->unit; the codec sets that. NULL: not admitted, and the frame is REFUSED. */
	struct codec_unit *(*identify)(void *ctx, struct span ident);
	/* One whole record. `record` may add parameters to `t` and raise its alarms; it may not reset it, take anything away, or use its
	 * scratch but through telemetry_scratch: the codec still reads what it has set. true: taken; it will be stored before anything
	 * given to `send` leaves. false: not now; the codec answers nothing, the frame is REFUSED, and the unit sends it again. */
	bool (*record)(void *ctx, struct telemetry *t);
	/* Asked once before the first record of a frame that gives several: is there room for all of them? NOT_NOW: nothing of the
	 * frame is recorded or answered, and the unit sends it again. NEVER: the frame is refused for good. NULL: there is always room. */
	enum codec_room (*batch)(void *ctx, size_t records);
	/* The unit answered a command, or may have: a frame that is no answer by its form, but that a command may bring about, is told
	 * with the word of that command and neither time nor serial number; whether such a command waits is not the codec's affair. The
	 * record of the same frame was given to `record` before. */
	void (*reply)(void *ctx, const struct command_reply *reply);
	/* Keeps a part of a message of link->unit. OK: all parts are there. MORE: kept; no part of the message may be acknowledged yet.
	 * FRAGMENT: the part was resent after its message had ended. NO_ROOM: not kept, for want of memory; the unit sends it again.
	 * Any other status: this part will never be kept, and why. After OK the parts stay while the frame is REFUSED, so that the message
	 * can be tried again; with any other status of the frame they are dropped. */
	enum codec_status (*part)(void *ctx, const struct codec_part *part, struct codec_parts *parts);
	/* A whole frame that acknowledges or answers this one. It leaves after the records are stored. */
	void (*send)(void *ctx, struct span frame);
	/* GBK to UTF-8; NULL: such text is given as it is. Writes nothing when it is no GBK. */
	void (*from_gbk)(struct span in, struct writer *out);
};

/* Is this answer, byte for byte, the frame that it answers? If a forged sender address makes two servers talk to each other, each would
 * answer such an answer again, without end; every other answer of a codec ends the talk. So where addresses can be forged, the bridge
 * limits answers of this kind. */
static inline bool codec_is_echo(struct span frame, struct span answer)
{
	return frame.len == answer.len && memcmp(frame.ptr, answer.ptr, frame.len) == 0;
}

struct frame {
	size_t skip; /* bytes of noise before the frame */
	size_t len;  /* bytes of the frame */
};

/* A whole frame that a user gave as the text of a command. */
struct codec_whole {
	struct span text; /* the text inside it, to be sent instead; empty: it has none */
	uint16_t
		message; /* its message id: the named commands with the same `message` do the same; 0: unknown */
};

struct codec {
	const char *name;   /* protocol.id, the name of its folder and of its section in the configuration */
	const char *label;  /* for people, in a sentence: "<label> units" */
	const char *title;  /* for people, in a list */
	size_t max_frame;   /* `frame` never asks to keep more bytes than these */
	size_t max_command; /* bytes of a text command */
	const struct command_spec *commands; /* ends with a NULL name */
	struct command_marks marks;          /* the characters that delimit; "" and "": none do */
	bool relayed; /* frames of its units go on to a platform as well, when one is configured */
	/* What can be set for its units (ends with a NULL key), and the size of the struct that holds the values. Each member is described by
	 * one row. NULL and 0: nothing. */
	const struct option_row *options;
	size_t options_size;
	/* Does a frame of this codec start at the first of these bytes (there is one at least)? OK, MORE (cannot tell yet), NOT_MINE, or
	 * BAD_FIELDS: perhaps, a damaged one; it counts unless another codec recognises what follows. */
	enum codec_status (*sniff)(struct span head);
	/* Finds the next frame in bytes, one at least, that follow those of the call before. OK: decode `len` bytes behind `skip`. MORE: drop
	 * `skip`, keep the rest (at most max_frame) and call again when more bytes have come or quiet_ms has grown. Else: these `len` bytes
	 * are no frame, and why; skip + len is at least 1. After OK and errors drop skip + len and call again. */
	enum codec_status (*frame)(struct codec_link *link, struct span in, struct frame *out);
	/* Decodes what `frame` found; any other bytes, one at least, must do no harm, for tracker2mqtt-decode explains broken frames. OK, FRAGMENT (no record yet), UNSUPPORTED (its record has the bytes) or why there is no record; of a
	 * frame that has several, why the first of those that are missing is.
	 * `scratch` is memory for the record; its content before does not matter, and nothing reads it after: its texts may stand in the
	 * codec's own stack. A codec where they do calls mark_settle before it returns. */
	enum codec_status (*decode)(struct codec_link *link, struct span frame, struct telemetry *scratch,
		const struct codec_sink *sink);
	/* Are these bytes, given as the text of a command, a whole frame to a unit, as manuals print them? `own`: the command is for a unit
	 * of this codec; then bytes without the delimiters count as a frame too. */
	bool (*is_whole)(struct span bytes, bool own, struct codec_whole *out);
	/* Writes the frame of a command for link->unit and sets `token`. The command was checked before: its values are in range and
	 * complete, its text is one that command_check_text allows. OK or NO_ROOM. */
	enum codec_status (*encode)(struct codec_link *link, const struct command *command, struct writer *out,
		struct command_token *token);
	/* Writes the frame that asks link->unit for parts->missing, one at least, of a message that it began. NULL: nothing asks for it. */
	void (*ask_parts)(struct codec_link *link, const struct codec_parts *parts, struct writer *out);
};

/* All protocols; ends with NULL. Bytes that several recognise belong to the first of them. */
extern const struct codec *const codecs[];

/* NULL when there is none of this name. */
const struct codec *codec_find(struct span name);

/* One connection or datagram as a stream of frames: recognise, frame, decode. */
struct codec_stream {
	const struct codec
		*codec; /* set by the first recognised frame: over TCP for good; see codec_begin_datagram */
	struct codec_link link;
};

/* To be called with the bytes of each datagram before codec_next. If another codec recognises them, the stream starts anew with that
 * codec: else one datagram with a forged sender address would choose the protocol of all that follow. */
void codec_begin_datagram(struct codec_stream *stream, struct span in);

/* Finds the next frame in the bytes at hand. OK: give out->len bytes behind out->skip to codec_decode. MORE:
 * drop out->skip and keep the rest. NOT_MINE: the stream has ended (CODEC_QUIET_FINAL) and no codec knows its bytes; drop them.
 * Else an error: the bytes are no frame, and why. After OK and errors drop skip + len and call again.
 * While stream->codec is NULL, out->skip is noise that no codec knows. */
enum codec_status codec_next(struct codec_stream *stream, struct span in, struct frame *out);

/* Decodes a frame that codec_next found; see struct codec. */
enum codec_status codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink);

/* What became of a frame, or of bytes that are none: they stand in the bytes given to codec_each. `ctx` is the sink's. */
typedef void codec_became(void *ctx, enum codec_status status, struct span frame);

/* Both steps for every frame in the bytes, for those who have nothing to decide in between. Returns how many bytes are used up; `end` is
 * MORE (keep the rest) or NOT_MINE (drop it), as codec_next says. */
size_t codec_each(struct codec_stream *stream, struct span in, struct telemetry *scratch,
	const struct codec_sink *sink, codec_became *became, enum codec_status *end);

/* --- place.c: what the codecs share --- */

/* Sets coordinates in 1e-7 degrees; CODEC_NOWHERE is one that the frame gives in an impossible way. `valid`: they are from a fix; then an
 * impossible one refuses the record: BAD_LATITUDE or BAD_LONGITUDE. Without a fix the answer is OK, impossible ones are marked as
 * rejected. Exactly 0/0 is no place, whatever the frame claims: position.valid is set to false, and there are no coordinates. */
enum codec_status codec_set_place(struct telemetry *t, bool valid, int64_t latitude, int64_t longitude);
#define CODEC_NOWHERE INT64_MAX

/* Sets the signal strength, 0 to 31 as in AT+CSQ (3GPP TS 27.007), as per cent; other values mean unknown and are dropped. */
void codec_set_csq(struct telemetry *t, int64_t csq);

#endif
