/* codec: the contract between the protocols and the bridge.
 * May use: bytes, telemetry, command, option.
 * May not: wait, store, talk, log, allocate or ask the time.
 *
 * A codec turns bytes into records and commands into bytes. The bridge keeps the memory (struct
 * codec_unit, struct codec_link), gives the time, and is called back through struct codec_sink. A new
 * protocol is one file that ends in a `const struct codec`, and one line in codecs.c.
 *
 * Lifetimes: every span given to a callback points into the frame, into the telemetry or into a
 * literal, and is valid until `decode` returns; whoever keeps it copies it. */
#ifndef T2M_CODEC_H
#define T2M_CODEC_H

#include "codecs/option.h"
#include "codecs/record/bytes.h"
#include "codecs/record/command.h"
#include "codecs/record/telemetry.h"

/* What became of some bytes. A value is also the index of its counter and of its name. */
enum codec_status {
	CODEC_OK = 0,
	CODEC_MORE,     /* not an error: the frame is not whole yet */
	CODEC_NOT_MINE, /* not a frame of this codec */
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
	CODEC_FRAGMENT,    /* not an error: a part was kept, the rest is to come */
	CODEC_UNSUPPORTED, /* nobody knows this message; its record has it as it is */
	CODEC_BAD_LATITUDE,
	CODEC_BAD_LONGITUDE,
	CODEC_NO_ROOM, /* encode: the command does not fit the writer; decode: no memory for this part now */
	CODEC_REFUSED, /* the bridge does not admit this unit, or cannot store its record now */
	CODEC_FROM_PLATFORM, /* only a platform sends this: somebody sends our own answers back */
	/* must stay last */
	CODEC_STATUS_COUNT
};

/* "ok", "more", … "bad-latitude", for counters, logs and topics. */
extern const char *const codec_status_names[CODEC_STATUS_COUNT];

#define CODEC_IDENT_MAX 20

/* What is remembered of one unit while it is connected. */
struct codec_unit {
	char ident[CODEC_IDENT_MAX + 1];
	const void *options; /* the struct that the rows of its codec describe; may differ from unit to unit */
	uint8_t priv[32];    /* the codec's own; all zero at first */
};

#define CODEC_QUIET_SHORT_MS 300    /* a frame that may be whole is whole */
#define CODEC_QUIET_LONG_MS 3000    /* what is torn stays torn */
#define CODEC_QUIET_FINAL INT32_MAX /* end of the datagram or connection */

/* What is remembered of one connection between frames. */
struct codec_link {
	int64_t now_ms;          /* Unix time in ms, set before each call */
	bool after_noise;        /* what stood before these bytes was recognised by nobody */
	int32_t quiet_ms;        /* for how long the peer has been silent behind these bytes */
	struct codec_unit *unit; /* the last one identified, or NULL */
	uint8_t priv[8];         /* the codec's own; all zero at first */
};

/* One part of a message that came in several frames. */
struct codec_part {
	uint32_t kind;          /* message id: parts of one kind and total belong together */
	uint16_t total, number; /* number from 1 */
	uint16_t serial;        /* of its frame: the answer names it */
	struct span body;
};

/* What is known of the message of a part. Valid until `decode` returns. */
struct codec_parts {
	struct span whole;       /* OK: the bodies in order */
	const uint16_t *serials; /* OK: of the frames of all parts, by number */
	uint16_t first_serial;   /* MORE: of the frame of part 1, as far as it is known */
	size_t missing_count;    /* MORE: so many parts are to be asked for now */
	const uint16_t *missing; /* their numbers */
	enum codec_status ended; /* FRAGMENT: what became of the message */
};

/* Is there room in the outbox? */
enum codec_room { CODEC_ROOM_YES = 0, CODEC_ROOM_NOT_NOW, CODEC_ROOM_NEVER };

struct codec_sink {
	void *ctx;
	/* The unit that speaks: 1 to CODEC_IDENT_MAX digits or letters. NULL: not admitted. */
	struct codec_unit *(*identify)(void *ctx, struct span ident);
	/* true: taken, will be stored before anything given to `send` leaves. */
	bool (*record)(void *ctx, struct telemetry *t);
	/* Asked once before the first record of a frame that gives several: is there room for all of them? NOT_NOW: nothing of
	 * it is recorded or answered, and it comes again. NEVER: it is refused for good. NULL: there is always room. */
	enum codec_room (*batch)(void *ctx, size_t records);
	/* The unit answered a command (the record of the same frame comes besides). */
	void (*reply)(void *ctx, const struct command_reply *reply);
	/* Keeps a part of the current unit's message. OK: all are there. MORE: kept, and nothing of it may be acknowledged.
	 * FRAGMENT: it came again after its message had ended. NO_ROOM: not kept, for want of memory now: it comes again.
	 * Else: it will never be taken. The parts stay until their message has been decoded with another status than REFUSED. */
	enum codec_status (*part)(void *ctx, const struct codec_part *part, struct codec_parts *parts);
	/* A protocol acknowledgement, to leave after the records are stored. */
	void (*send)(void *ctx, struct span frame);
	/* GBK to UTF-8; NULL: such text is given as it is. Writes nothing when it is no GBK. */
	void (*from_gbk)(struct span in, struct writer *out);
};

/* Is this answer, byte for byte, the frame that it answers? A server that gets such an answer, or this one when it comes back,
 * answers it in turn, without end. Every other answer of a codec ends such a talk. So the bridge sends these seldom where an
 * address can be forged. */
static inline bool codec_is_echo(struct span frame, struct span answer)
{
	return frame.len == answer.len && memcmp(frame.ptr, answer.ptr, frame.len) == 0;
}

struct frame {
	size_t skip; /* noise before the frame */
	size_t len;
};

/* A whole frame that somebody gave as the text of a command. */
struct codec_whole {
	struct span text; /* what of it may be published as a text; empty: nothing */
	uint16_t message; /* the named commands with this message say the same; 0: unknown */
};

struct codec {
	const char *name;  /* protocol.id, and the section of its options in the configuration */
	const char *label; /* for people, in a sentence: "<label> units" */
	const char *title; /* for people, in a list */
	size_t max_frame;  /* most bytes that `frame` ever asks to keep */
	size_t max_command;
	bool relayed; /* frames of its units go on to a platform as well, when one is configured */
	/* What can be set for its units, and the size of the struct that holds it, one for each unit that has its own. A member
	 * that no row describes has no value. NULL and 0: nothing. Ends with a NULL key. */
	const struct option_row *options;
	size_t options_size;
	const struct command_spec *commands; /* ends with a NULL name */
	/* Does a frame of this codec start at the head? OK, MORE (cannot tell yet) or NOT_MINE. */
	enum codec_status (*sniff)(struct span head);
	/* Finds the next frame. OK: drop skip, decode len. MORE: drop skip, keep the rest (at most
	 * max_frame) until more comes or quiet_ms grows. Else: drop skip + len, count, go on. */
	enum codec_status (*frame)(struct codec_link *link, struct span in, struct frame *out);
	/* OK, or why there is no record. Never fails for want of memory. `scratch` is for the record. */
	enum codec_status (*decode)(struct codec_link *link, struct span frame, struct telemetry *scratch,
		const struct codec_sink *sink);
	/* Are these bytes, given as a text, a whole frame to a unit, as manuals print them? `own`: for a unit of this codec;
	 * then one whose delimiters were left out is a frame as well. */
	bool (*is_whole)(struct span bytes, bool own, struct codec_whole *out);
	/* The bytes of a command for link->unit, checked by command_check; NO_ROOM when it does not fit. */
	enum codec_status (*encode)(struct codec_link *link, const struct command *command, struct writer *out,
		struct command_token *token);
};

/* All protocols; ends with NULL. */
extern const struct codec *const codecs[];

const struct codec *codec_find(const char *name);

/* One connection or datagram as a stream of frames: recognise, frame, decode. */
struct codec_stream {
	const struct codec *codec; /* pinned by the first recognised frame; over TCP for life */
	struct codec_link link;
};

/* The bytes begin a datagram: it stands for itself, so another codec that recognises it is pinned instead. Else a datagram with a
 * forged sender would choose the protocol of all that follow. */
void codec_begin_datagram(struct codec_stream *stream, struct span in);

/* Finds the next frame in the bytes at hand. OK: give out->len bytes behind out->skip to codec_decode. MORE:
 * drop out->skip and keep the rest. NOT_MINE: at the end of a stream that was never recognised; drop all.
 * Else an error: the bytes are no frame, and why. After OK and errors drop skip + len and call again.
 * While stream->codec is NULL, out->skip is noise that no codec knows. */
enum codec_status codec_next(struct codec_stream *stream, struct span in, struct frame *out);

/* OK, or why the frame gives no record. `scratch` holds the record meanwhile. */
enum codec_status codec_decode(struct codec_stream *stream, struct span frame, struct telemetry *scratch,
	const struct codec_sink *sink);

/* Coordinates in 1e-7 degrees. With a fix an impossible one (CODEC_NOWHERE, for example) refuses the record: BAD_LATITUDE
 * or BAD_LONGITUDE. Without one it is left out and named as rejected, and 0/0 is left out. */
enum codec_status codec_set_place(struct telemetry *t, bool valid, int64_t latitude, int64_t longitude);
#define CODEC_NOWHERE INT64_MAX

/* Signal strength 0 to 31 as per cent; other values are unknown and left out. */
void codec_set_csq(struct telemetry *t, int64_t csq);

#endif
