// SPDX-License-Identifier: MIT
/* fuzz_path: the bridge from its sockets to its outbox under operations of strangers, units, users and the broker.
 * May use: parts and what it opens. May not: reach into a room further than its header, but for fuzz_path_walk.c and
 * fuzz_path_retained.c, which read.
 *
 * An input is CONFIG_BYTES that choose the configuration, then operations: kind, length, so many bytes of arguments. What
 * an argument does not give is 0. fuzz_path.c runs it, fuzz_path_units.c is the units, fuzz_path_frames.c writes what they
 * send, fuzz_path_config.c the files; fuzz_path_wire.c, fuzz_path_broker.c, fuzz_path_parts.c,
 * fuzz_path_retained.c, fuzz_path_walk.c and fuzz_path_check.c watch; fuzz_path_mutate.c
 * changes whole operations. */
#ifndef T2M_FUZZ_PATH_H
#define T2M_FUZZ_PATH_H

#include "bridge/parts.h"

#define CONFIG_BYTES 16
#define CLIENTS 10
#define PEERS 64
#define FIRST_PORT 5000 /* of the UDP peers */

enum op {
	OP_TURN = 0,
	OP_CONNECT,
	OP_SEND,
	OP_REST,
	OP_SERIES,
	OP_DATAGRAM,
	OP_BURST,
	OP_READ,
	OP_CLOSE,
	OP_TIME,
	OP_COMMAND,
	OP_ANSWER,
	OP_BROKER,
	OP_RELOAD,
	OP_BIRTH,
	OP_DISK,
	/* must stay last */
	OP_COUNT
};

/* --- arguments --- */

/* The next byte, 0 behind the end. */
uint8_t next_byte(struct span *in);
/* One entry of a table of numbers. */
#define PICK(byte, ...)                                                                                        \
	(((const int64_t[]){__VA_ARGS__})[(byte) % (sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

/* --- frames: what a unit sends --- */

/* Number `n` of the idents: some well-known ones, then 1000 and up. */
void ident_text(unsigned n, char out[CODEC_IDENT_MAX + 1]);
/* A frame of any protocol, as the arguments say. */
void put_frame(struct writer *out, struct span *arguments);
/* The shortest frame that names a unit. `kind`: of which protocol. */
void put_hello(struct writer *out, unsigned kind, unsigned ident);
/* A batch of positions in parts, as long as they make it. */
void put_batch_parts(struct writer *out, unsigned ident, unsigned parts);
/* The unit's answer to a command, as the arguments say. */
void put_answer(struct writer *out, struct span command, struct span *arguments);
/* A PROXY header. */
void put_proxy_header(struct writer *out, uint8_t kind);

/* --- units --- */

void units_begin(void);
void units_end(void);
/* One of the operations of units. */
void units_do(enum op op, struct span *arguments);
/* The client takes what was sent to it, unless it never reads. */
void units_read(unsigned who);

/* --- files --- */

void files_open(void);
/* Writes configuration and units file; `units`: which of the units files. The path of the configuration. */
const char *files_write(const uint8_t choice[CONFIG_BYTES], unsigned units);
/* A directory for the outbox, empty. */
const char *files_outbox(void);
bool files_on_disk(const uint8_t choice[CONFIG_BYTES]);

/* --- time: both clocks as the bridge and libev see them --- */

void clocks_reset(void);
void clocks_pass(int64_t ms, int64_t wall_jump_ms);
int64_t clocks_steady_ms(void);

/* --- wire: what leaves for units --- */

struct answer;
struct order;

/* What one peer has been given and is owed. */
struct line {
	struct answer *answers; /* owed, the oldest first */
	struct order *orders;   /* commands */
	bool half_answer, half_command, deaf;
	int64_t sent_ms, command_ms; /* steady; -1: nothing yet */
	uint64_t number;             /* UDP: of the bridge's peer */
	size_t in, out, whole;       /* UDP: bytes that came, that were answered, that came in whole frames */
	int64_t echo_ms;             /* UDP: an answer was what came; steady, 0: none was */
	uint8_t command[1024];       /* the last one that left */
	size_t command_len;
};

void wire_reset(void);
void wire_free(void);
struct line *wire_of_fd(int fd);
struct line *wire_of_peer(unsigned peer);
/* A new connection has this descriptor. */
void wire_connect(int fd, bool deaf);
bool wire_owes(const struct line *line);
/* --- check: what must hold --- */

/* Ends the process, unless FUZZ_PATH_SKIP in the environment names it: name,name@clock (in runs in which the wall clock
 * jumps), name@deaf (in runs with a unit that does not read), all. */
void must(const char *name, bool holds, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct world {
	struct bridge bridge;
	int clients[CLIENTS], servers[CLIENTS]; /* descriptors: ours and the bridge's; -1: none */
	uint8_t *rest[CLIENTS];                 /* cut off a frame, not yet sent */
	size_t rest_len[CLIENTS];
	bool disk, disk_refuses, disk_refused, deaf_datagrams;
	bool jumped, deaf;                     /* the wall clock has; there is a unit that does not read */
	uint64_t requests, put_before_refusal; /* the last message put before the disk refused */
	int64_t most_connections, most_units, most_unidentified, most_input, most_output, least_gap;
	size_t strangers_left, places_left; /* by the last reload */
	size_t heap_before;
};
extern struct world world;

void check_reset(void);
/* Of the whole process; 0 without the sanitizer. */
size_t heap_bytes(void);
/* The limits in force; after each reload. */
void check_limits(void);
/* A request goes in: before, and after. */
void check_request(const char *key, uint64_t counted_before);
/* Where the log goes: each line is looked at. */
FILE *check_log(void);
/* Time has passed, units read, and the broker has taken all. */
void check_settled(void);
/* After the stop. */
void check_stopped(void);

/* The bridge puts a message; also when it finds no room. */
void check_put(const struct outbox_message *message, bool taken);

/* --- walk: what is counted is what is there --- */

void walk_reset(void);
/* `turned`: a turn has passed since the last one. */
void walk(bool turned);
void walk_reloaded(void);
void walk_settled(void);

/* --- retained: what the broker holds of units, and who is trusted --- */

void retained_reset(void);
void check_unit(const struct session *session);
void check_retained(const struct outbox_message *message, bool taken);
/* What is retained is the truth. `stopped`: as far as there was room. */
void check_statuses(bool stopped);

/* --- parts: acknowledged when their message is put --- */

void parts_reset(void);
/* A record of the frame at hand was put, or found no room. */
void parts_record(bool taken);
/* An answer is given to the frame at hand. */
void parts_answer(struct span frame);

/* --- broker: what was put comes, until it is acknowledged --- */

void broker_reset(void);
/* The last message put, and the last of which the outbox said that it is stored. */
uint64_t outbox_put_last(void);
uint64_t outbox_stored_last(void);
/* The broker takes up to `count` messages and acknowledges those that the mode says. */
void broker_take(unsigned count, unsigned mode);
void broker_rewind(void);
/* So many messages are put and not acknowledged. */
size_t broker_undone(void);

#endif
