// SPDX-License-Identifier: MIT
/* cluster_private: what the files of this room share; nobody else includes it.
 * Uses: bridge/base.
 *
 * Each file calls those below it alone:
 *   cluster          the lease of this instance, and what follows when it begins or ends
 *   cluster_router   takes commands from the broker, ends what gone instances had
 *   cluster_inbox    what others tell this instance
 *   cluster_ends     ends of commands until they are safe, and of those that others left
 *   cluster_carry    commands on their way to the bridge that has the unit
 *   cluster_commands commands that are this bridge's
 *   cluster_tickets  the ends of commands
 *   cluster_answers  answers that units give through another bridge
 *   cluster_claims   who has a unit
 *   cluster_notes    what is known of a unit moves with it
 *   cluster_gate     what may be told of a unit, and given to the broker
 *   cluster_call     one call of a script */
#ifndef T2M_CLUSTER_PRIVATE_H
#define T2M_CLUSTER_PRIVATE_H

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "bridge/base/log.h"
#include "bridge/cluster/cluster.h"
#include "bridge/cluster/registry.h"
#include "bridge/cluster/scripts.h"
#include "bridge/cluster/sentinel.h"
#include "bridge/cluster/todo.h"

#define CLUSTER_AWAY_MS 3000 /* a registry that is not reached for so long counts as away */
#define TOLD_MOST 200
#define CLUSTER_NOTE_MOST (32 << 10)
#define TABLES_MOST 32
#define DATES_MOST 65536
#define HAD_MOST 4096u
#define CLUSTER_KEPT 11 /* elements of what a script says of a command: see kept() in scripts.c */

/* What a bridge knows of a unit's claim; in each session. */
enum claim_state {
	CLAIM_NONE = 0, /* nothing is known */
	CLAIM_ASKED,    /* it came on line, and the registry has not answered */
	CLAIM_MINE,
	CLAIM_RELEASING, /* it went off line, and the registry has not answered */
	CLAIM_RELEASED,  /* it was this bridge's last */
	CLAIM_LOST       /* another bridge has it */
};

struct unit_claim {
	int64_t number;   /* 0: none */
	int64_t past;     /* the highest of its earlier ones that is known */
	int64_t since_ms; /* its connection, steady time */
	int64_t asked_ms; /* steady time; 0: never */
	int64_t moved;    /* another bridge has this claim, which came before the answer to this bridge's own */
	uint64_t session; /* that the claim is for; 0: off line */
	uint8_t state;
	bool alone;                /* it was told without the registry that the unit is on line */
	bool told_trusted, untold; /* untold: its status was held back */
	bool unsettled;            /* what another bridge knows of it is still to come */
	bool fresh;                /* and was asked for just now */
	bool late;                 /* the last note of the bridge before has come already */
	uint8_t notes;             /* so many were written since it came; few are counted */
	uint32_t records;          /* since the last one */
	bool dated;                /* its newest date is to be written */
	bool lost;                 /* what is known here is from before another bridge had it */
	bool knows;                /* the registry need not say what it knows */
	int64_t came_ms;           /* from another bridge; steady time, 0: never */
	int64_t noted_ms;          /* its note was written; steady time, 0: never */
};

/* An end, or a hold, that the registry has not answered. */
struct ticket {
	uint64_t number; /* downlink's */
	char id[TICKET_MAX + 1];
	char own_id[201];
	int64_t hold_ms; /* -1: an end */
	bool asked;
	int64_t asked_ms; /* steady time */
	UT_hash_handle hh;
};

/* A command that waits for the registry to say where it goes. */
struct carried {
	char id[TICKET_MAX + 1];
	char ident[CODEC_IDENT_MAX + 1];
	struct route_message message;
	int64_t since_ms, due_ms;  /* steady time; due: asked again not before */
	char mark[TICKET_MAX + 1]; /* of the connection on which it came */
	bool from_broker;          /* not from another bridge */
	bool waits;                /* its acknowledgement waits for it */
	bool comes_again;          /* it came on a connection that is no more, unacknowledged */
	bool asked;
	bool maybe;  /* the registry may have it: a call was not answered, or it has come before */
	bool late;   /* too late to be sent: the registry is only asked whether it has it */
	char *bytes; /* what the message points to */
	UT_hash_handle hh;
};

/* An end that was given to the outbox, and that the registry still keeps. */
struct told {
	char id[TICKET_MAX + 1];
	uint64_t first, last; /* its messages; last 0: none */
	bool asked;
	UT_hash_handle hh;
};

/* An earlier run stored the end of a command. */
struct mark {
	char key[32];
	bool used; /* its command is left here */
	UT_hash_handle hh;
};

struct router {
	bool mine; /* this instance takes commands */
	struct config config;
	char client_id[200];
	struct outbox *outbox; /* in memory, always empty */
	struct stats *stats;
	struct mqtt *mqtt; /* NULL: not the router */
	bool step_down;
	char mark[TICKET_MAX + 1]; /* of the connection at hand */
	uint64_t connects;         /* so many there were */
	int64_t swept_ms;
	unsigned waiting;                          /* commands whose acknowledgement waits */
	char buried[64];                           /* the instance whose status was told last */
	char told[TOLD_MOST][CODEC_IDENT_MAX + 1]; /* units that were told to be off line */
	unsigned told_count;
	double told_at; /* seconds of the connection to the broker */
};

struct reason_text {
	struct reason_text *next;
	char text[];
};

struct inbox {
	struct registry *registry;
	char last[64]; /* id of the entry that was read last */
	char key[120];
	bool asked;
	bool outdated; /* what is being read is from behind `last` */
};

struct cluster {
	struct cluster_parts parts;
	const char *me;                    /* the instance */
	struct sentinel *sentinel;         /* NULL: none is asked */
	char master[REGISTRY_SERVER_MOST]; /* its name there */
	struct registry *registry;
	char run[33], boot[17];
	uint64_t next_id;
	bool joined;    /* the registry has granted the lease on this connection */
	bool unchecked; /* the Sentinels have not answered since it was reached */
	bool refused;   /* the registry answers that it cannot grant it */
	bool usurped, left, stopping, answered, leaving, gone;
	bool swept;                                /* units of an earlier run are dealt with */
	bool marked;                               /* the answer that ends `unsure` is on its way */
	bool unsure;                               /* it may have missed that units went elsewhere */
	int64_t unsure_ms;                         /* since then; steady time */
	int64_t away_since_ms, woken_ms, began_ms; /* steady time */
	int64_t still_ms, still_until_ms;          /* this process stood still last; steady time, 0: never */
	bool away_told;
	bool untold; /* there was no room to tell an end: the registry keeps it */
	size_t place;
	struct unit_listener listener;
	struct todo *todo;  /* units of which the registry is to be asked, or their status told once more */
	struct todo *notes; /* units whose notes are to be written */
	uint8_t note[CLUSTER_NOTE_MOST];    /* the one at hand */
	struct todo *late;                  /* units of which a note is to come, until then */
	char (*dates)[CODEC_IDENT_MAX + 1]; /* units whose newest dates are to be written */
	size_t dated;
	int64_t dates_ms;     /* when they were; steady time */
	unsigned alarm_notes; /* in this tick */
	unsigned answers;     /* the same */
	unsigned fresh;       /* units that are `fresh` */
	int64_t fresh_ms;     /* since then there are some; steady time */
	int64_t tables;       /* so many the registry had */
	bool tables_asked;
	uint64_t had[HAD_MOST]; /* the sums of the ids of commands that were taken last; 0: none */
	unsigned had_next;
	struct ticket *tickets;
	struct carried *carried;
	struct told *told;
	struct mark *marks;
	struct router router;
	struct inbox inbox;
	struct reason_text *reasons;
	struct mqtt *mqtt;
	ev_timer tick, renew;
	ev_check wake;
};

static inline struct unit_claim *claim_of(const struct cluster *c, struct session *session)
{
	return session_memory(session, c->place);
}

/* --- cluster_call.c --- */

/* `what`: for the log. */
struct registry_options cluster_registry(const struct cluster *c, const char *what, double patience);

/* Runs a script. False: no connection; `answer` is not called. `answer` is told NULL when nobody knows whether it ran. */
bool cluster_call(struct cluster *c, enum script script, unsigned argc, const struct span *argv,
	registry_answer *answer, int64_t number, const char *subject);
struct moment cluster_now(const struct cluster *c);
/* Has the registry been away for so long that nobody waits for it? */
bool cluster_is_away(const struct cluster *c);
/* A number as a text, in `buf`. */
struct span cluster_number(int64_t n, char buf[24]);
/* The command in an answer: its message points into the answer. False: it is none. */
bool cluster_read_kept(const struct redisReply *reply, struct route_message *out,
	char ident[CODEC_IDENT_MAX + 1], char id[TICKET_MAX + 1]);

/* --- cluster_commands.c --- */

/* A command is this bridge's: it is sent, or it ends. One that this run has had is not taken again. */
void command_take(struct cluster *c, const struct route_message *message, const char *id);
/* Has this run had it, and ended it? Then the registry forgets it: it may not know that, where a copy has taken over its last moments late. */
bool command_was_had(struct cluster *c, const char *id);
/* It is held, and may come back. */
void command_let_go(struct cluster *c, const char *id);

/* --- cluster_tickets.c --- */

void tickets_open(struct cluster *c);
/* Asks again what was not answered. */
void tickets_ask(struct cluster *c);
void tickets_free(struct cluster *c);

/* --- cluster_answers.c --- */

void answers_open(struct cluster *c);
/* What another bridge has put into the inbox. */
void answers_read(struct cluster *c, const struct redisReply *words);
void answers_tick(struct cluster *c);

/* --- cluster_claims.c --- */

void claims_open(struct cluster *c);
/* All units on line, and all that go off line: once more. */
void claims_make_up(struct cluster *c);
/* What is due. */
void claims_tick(struct cluster *c);
/* Another instance has claimed the unit. */
void claims_moved(struct cluster *c, struct span ident, int64_t claim, struct span to);
void claims_free(struct cluster *c);
void claims_add(struct cluster *c, const char *ident, int64_t due_ms, bool again);

/* --- cluster_notes.c --- */

bool notes_open(struct cluster *c);
/* What is known of the unit goes into the registry, soon. */
void notes_write(struct cluster *c, struct session *session);
void notes_tick(struct cluster *c);
/* The registry is asked for the unit's claim; and has answered, or will not. */
void notes_ask(struct cluster *c, struct unit_claim *u);
void notes_asked(struct cluster *c, struct unit_claim *u);
/* Is an answer due at once? Then what was put is published behind it. A mqtt_pause. */
bool notes_pause(void *cluster);
/* What another bridge knows of the unit: `note`; empty: nothing. `stale`: what is known here counts for nothing beside it. */
void notes_learn(struct cluster *c, struct session *session, bool stale, struct span note, int64_t newest_ms);
/* Nothing more is to come; or one more note, for which it waits. */
void notes_settle(struct cluster *c, struct session *session);
void notes_wait(struct cluster *c, struct session *session);
/* Another bridge has the unit: a last note goes after it. */
void notes_send(struct cluster *c, struct session *session);
/* Without an answer: for all. */
void notes_settle_alone(struct cluster *c);
/* The bridge before has sent a note after the unit. */
void notes_late(struct cluster *c, struct span ident, int64_t newest_ms, struct span note);
/* So many tables the registry has. */
void notes_use_tables(struct cluster *c, int64_t count);
void notes_free(struct cluster *c);

/* --- cluster_gate.c --- */

void gate_open(struct cluster *c);
/* What was held back is told now. */
void gate_release(struct cluster *c);
/* The status of a unit may have changed, or may be told now. */
void gate_tell(struct cluster *c, struct session *session);
enum mqtt_pass gate_message(void *cluster, const struct outbox_message *message);

/* --- cluster_router.c --- */

bool router_open(struct cluster *c);
/* The registry has said whether this instance is the router. */
void router_use(struct cluster *c, bool mine);
void router_tick(struct cluster *c);
void router_turn(struct cluster *c);
void router_free(struct cluster *c);

/* --- cluster_carry.c --- */

/* A command is to go where its unit is. False: no memory. */
bool carry_message(struct cluster *c, const struct route_message *message, const char *ident, const char *id,
	bool from_broker);
/* The registry has it, and it waits there until claims are complete. */
void carry_on(struct cluster *c, const struct route_message *message, const char *ident, const char *id);
/* The broker delivers again what was not acknowledged: those of the broker are this connection's no more. */
void carry_drop(struct cluster *c);
void carry_tick(struct cluster *c);
void carry_free(struct cluster *c);

/* Is it on its way? */
bool carry_has(const struct cluster *c, const char *id);

/* --- cluster_ends.c --- */

#define OUTCOME_MOST (64 << 10)
/* At the start: what is kept beside the outbox. */
void ends_read_mark(struct cluster *c, struct span key);
/* All that was left is known: marks of other commands go. */
void ends_drop_marks(struct cluster *c);
/* The end of this command was given to the outbox, from message `first` on. */
void ends_told(struct cluster *c, const char *id, uint64_t first);
/* Once in a turn of the loop. */
void ends_turn(struct cluster *c);
/* Ends commands that an instance had which is gone, or an earlier run of this one: `gone` is the reason where nothing better is known. `again`: it is
 * this very run, whose connection to the registry broke. */
void ends_left(struct cluster *c, const struct redisReply *list, const char *gone, bool again);
void ends_free(struct cluster *c);

/* --- cluster_inbox.c --- */

bool inbox_open(struct cluster *c);
void inbox_rewind(struct cluster *c);
void inbox_tick(struct cluster *c);
/* To the server where the claims are. */
void inbox_follow(struct cluster *c);
void inbox_free(struct cluster *c);

#endif
