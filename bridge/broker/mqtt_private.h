// SPDX-License-Identifier: MIT
/* mqtt_private: what the files mqtt*.c share; nobody else includes it.
 * Uses: bridge/base.
 *
 * Each file calls those below it alone:
 *   mqtt          connects, reads and writes, drops the connection
 *   mqtt_lost     why a connection ended, which host is next and when, what the log says of it
 *   mqtt_session  the steps of a new connection; the callbacks of the library
 *   mqtt_cure     what a user can do about a connection that failed
 *   mqtt_tell     what the broker refuses, for people
 *   mqtt_resume   the session that the broker keeps: its subscriptions, what it delivers again
 *   mqtt_routes   filters, handlers, subscriptions
 *   mqtt_publish  messages of the outbox, and their acknowledgements
 *   mqtt_state    what all of them ask of a connection, and giving it up
 *   mqtt_link     one client of the library, and the attempt to connect it */
#ifndef T2M_MQTT_PRIVATE_H
#define T2M_MQTT_PRIVATE_H

#include "bridge/base/hash.h"
#include "bridge/base/hosts.h"
#include "bridge/base/log.h"
#include "bridge/broker/mqtt.h"
#include "bridge/broker/dialect.h"
#include "bridge/broker/mqtt_link.h"
#include "bridge/broker/patience.h"
#include "bridge/broker/suspect.h"
#include "bridge/broker/window.h"

#define MQTT_STATUS UINT64_MAX /* in the place of a message's number: our own `online` */
#define MQTT_STAGE_TRIES 3

/* What is left out of the will, because the broker does not accept it. */
enum { WILL_NO_RETAIN = 1, WILL_NO_QOS = 2 };

/* The steps of a new connection, in this order. When the broker closes it, the step says why. */
enum stage { STAGE_SUBSCRIBE = 0, STAGE_STATUS, STAGE_MESSAGES, STAGE_COUNT };

/* A message that is sent and not acknowledged, by its packet identifier. */
struct flight {
	uint64_t seqnum, order; /* seqnum 0: none */
};

enum route_state {
	ROUTE_DUE = 0, /* to be subscribed on this connection, or on the next one */
	ROUTE_ASKED,   /* subscribed, not answered */
	ROUTE_GRANTED,
	ROUTE_REFUSED, /* or not answered in time; subscribed again after a while */
};

struct mqtt_route {
	char *filter;
	bool wild;              /* it has wildcards */
	route_handler *handler; /* NULL: removed while a message is being handled */
	void *ctx;
	const char *without;
	uint64_t number; /* in the order of adding */
	enum route_state state;
	int mid;                        /* of the SUBSCRIBE that is not answered; 0: none */
	bool humble;                    /* it was refused at QoS 1: QoS 0 is asked for, or granted */
	int told;                       /* the code of the refusal that the log has told */
	int refused;                    /* the code of the last refusal; 0: granted since, or never refused */
	ev_tstamp asked_at, again;      /* again: when a refused one is subscribed again */
	struct mqtt_route *prev, *next; /* of those in the same state, but for ROUTE_GRANTED */
	struct mqtt_route *before, *behind; /* of those with wildcards */
	UT_hash_handle by_filter, by_mid;
};

struct routes {
	struct mqtt_route *by_filter, *by_mid;    /* all; those with a mid */
	struct mqtt_route *wild;                  /* those with wildcards: each message is compared with them */
	struct mqtt_route *due, *asked, *refused; /* the one whose time comes first stands first */
	struct mqtt_route *removed;               /* while a message is being handled; to be freed after it */
	size_t asked_count, refused_count;        /* refused_count: of those whose `refused` is not 0 */
	uint64_t number;
	bool delivering;
	struct log_limit told;
};

/* A filter that the broker's session has, and no route. */
struct stale {
	struct stale *next;
	int mid; /* of its UNSUBSCRIBE on this connection; 0: none */
	char filter[];
};

/* A message of QoS 1 that may come again. */
struct delivery {
	uint16_t mid;        /* 0: none */
	bool open;           /* its acknowledgement may not have arrived */
	uint64_t sum;        /* of all that it says */
	uint64_t connection; /* on which it came last; 0: of an earlier run */
	uint64_t number;     /* in the order of coming */
	ev_tstamp at;        /* when it came first */
};

#define RESUME_DELIVERIES 1024 /* a broker has a few dozen on their way at most, unless it is set to more */

#define REPEAT_SECONDS 30. /* a broker may deliver again so long after it has resumed a session */

struct resume {
	bool known;   /* the filters of the session at the broker */
	bool shared;  /* other processes of a fleet have the session at other times */
	bool present; /* this connection has resumed a session */
	/* hosts, as bits: those that had a connection, and those of them that may still keep a session from before the one that is known. The nodes
	 * of a cluster have one session; brokers that stand in for each other have one each */
	unsigned seen, apart;
	uint64_t noted; /* the number of the last route when the filters were noted */
	struct stale *stale;
	struct delivery delivery[RESUME_DELIVERIES];
	unsigned next;           /* slot */
	uint64_t connection;     /* counts connections from 1 */
	unsigned open;           /* deliveries that are `open` */
	uint64_t received;       /* counts deliveries */
	int barrier;             /* packet identifier of a message behind acknowledgements; 0: none */
	uint64_t barrier_covers; /* deliveries up to this number */
};

enum port_state { PORT_UNKNOWN = 0, PORT_IS_ASKED, PORT_SPEAKS_TLS, PORT_SPEAKS_NO_TLS };

#define TOLD_LINES 8

/* What is known of one host of the list. */
struct place {
	struct dialect dialect;
	ev_tstamp dialect_until; /* then MQTT 5 is tried again */
	enum port_state port;    /* asked because it does not answer */
	ev_tstamp port_until;    /* then it may be asked again */
	ev_tstamp
		swallowed_until; /* it did not even answer the attempt to connect: others come first until then */
	uint64_t told[TOLD_LINES]; /* sums of the lines that the log has had since the last good connection */
	unsigned told_next;
};

/* How a connection ended, or a try, until the log has told it. */
struct loss {
	unsigned at; /* the host */
	bool quiet, lived, error, asks;
	union address peer; /* that is asked what it speaks */
	char text[700];
};

/* What the log says once a minute about refused messages. */
struct complaint {
	uint64_t refused, aside; /* since the last line */
	int refused_code, aside_code;
	char refused_topic[200], aside_topic[200];
	ev_tstamp refused_from, aside_from; /* not before */
	bool waiting;                       /* the log says that messages wait, and not yet that they go on */
};

struct mqtt {
	struct ev_loop *loop;
	const struct config *config;
	struct outbox *outbox;
	struct stats *stats;
	struct routes routes;
	struct resume resume;
	bool stirred;  /* see mqtt_stirs */
	bool received; /* a message came since the outbox stored last: its acknowledgement waits */
	char *status_topic;
	struct link *link;        /* NULL: none, or an attempt has it */
	struct mosquitto *client; /* the link's */
	struct attempt *attempt;
	ev_io io;
	ev_timer retry, timeout, misc, more;
	double wait; /* seconds until the next try */
	bool hurry;  /* the next try is made in another way: it need not wait */
	ev_tstamp away_since, connected_at, subscribed_at; /* subscribed_at 0: not all is answered */
	mqtt_pause *pause;
	mqtt_gate *gate; /* NULL: all pass */
	void *gate_ctx;
	bool mute; /* the connection is closed without a word */
	bool connected, broken, stopping, silent, answered_connect;
	bool begun;      /* lost_begin was called */
	bool busy;       /* the CONNECT was refused because the broker cannot serve now */
	bool taken_over; /* the broker has given the session to another client */
	bool quiet; /* the connection ends because it has shown what it was made for: the log need not know */
	char why[500]; /* why `broken` */
	bool unread; /* there is more for the library to read, for which the socket does not become readable */
	size_t unparsed; /* bytes received since the library's last callback */

	/* the hosts */
	struct hosts hosts;
	struct place places[HOSTS_MAX];
	bool told_dialect; /* that one of them speaks 3.1.1 only */
	unsigned at;       /* the one in use, or next */
	unsigned tried;    /* hosts that failed since the last connection or round through the list, */
	bool tried_away;   /* one of them because nobody answers */
	struct patience patience;
	struct loss loss;         /* the last one */
	struct asked *asked;      /* what the port speaks is being asked; NULL: it is not */
	bool tells, told_current; /* the next connection is told; the one that stands is */
	char host[HOST_TEXT_MAX]; /* the one in use */

	/* what the broker can */
	bool retain, qos1;
	uint32_t packet_most;      /* 0: no limit */
	unsigned will, will_works; /* what is left out of it; what worked once, but is not sure */
	unsigned cannot;           /* WILL_NO_...: what the broker closed a connection for */
	bool will_sure;
	unsigned unanswered;  /* connections in a row that the broker closed instead of answering the CONNECT */
	ev_tstamp will_until; /* then the full will is tried again */
	bool told_retain, told_size;

	/* connecting: one step after the other when the broker closes */
	unsigned stuck[STAGE_COUNT];
	ev_tstamp humble_until;               /* until then, subscriptions are made at QoS 0 */
	ev_tstamp without_until[STAGE_COUNT]; /* the step is left out until then */
	bool status_sent, status_answered;

	/* publishing */
	struct window window;
	bool window_given; /* by the broker */
	unsigned inflight; /* sent and not acknowledged */
	struct flight flights[65536];
	uint16_t last_mid,
		oldest; /* the packet identifier that the library used last; the one of the oldest flight */
	ev_tstamp oldest_since, sent_at;
	uint64_t answered, answered_before; /* on this connection; when `oldest` became the oldest */
	uint64_t taken; /* messages of the outbox that the broker accepted on this connection */
	bool draining;  /* a suspect is next, as soon as nothing is in flight */
	uint64_t alone; /* the number of a suspect that is in flight; 0: none is */
	struct suspects suspects;
	struct complaint complaint;
	mosquitto_property *content[2];
	char topic[65536];
	char trouble[700], remark[700];
};

/* mqtt_state.c */
/* The connection is of no use: it ends when the library returns, with this as the reason. */
__attribute__((format(printf, 2, 3))) void mqtt_give_up(struct mqtt *m, const char *format, ...);
/* For the log: the user name, or "the bridge". */
const char *mqtt_user(const struct mqtt *m);
/* The host in use, or next. */
const struct host *mqtt_host(const struct mqtt *m);
const struct place *mqtt_place(const struct mqtt *m);
/* Is QoS 0 asked for in subscriptions? */
bool mqtt_is_humble(const struct mqtt *m);
/* Is this step left out for a while? */
bool mqtt_left_out(const struct mqtt *m, enum stage stage);
/* The packet identifier that the library will use next. */
uint16_t mqtt_next_mid(const struct mqtt *m);
/* Does the library still wait for the acknowledgement of an older message with that identifier? */
bool mqtt_mid_is_taken(const struct mqtt *m);

/* mqtt_publish.c */
bool mqtt_publish_open(struct mqtt *m);
void mqtt_publish_close(struct mqtt *m);
/* A new connection: nothing is in flight. */
void mqtt_publish_begin(struct mqtt *m);
/* Publishes messages of the outbox into the window. `settled`: all steps of the connection are answered. What the library returned. */
int mqtt_publish_waiting(struct mqtt *m, bool settled);
/* Writes the packets that the library has for the broker. What the library returned. */
int mqtt_write(struct mqtt *m);
/* At QoS 0, on a good connection. What the library returned; MOSQ_ERR_SUCCESS also when the message can never be sent. */
int mqtt_publish_at_once(struct mqtt *m, const char *topic, struct span payload, bool retain);
/* Our own `online` or `offline`; false: it is not sent. */
bool mqtt_publish_status(struct mqtt *m, const char *text);
/* The broker has answered the message with this packet identifier. */
void mqtt_publish_answered(struct mqtt *m, int mid, int reason);
/* Once a second: gives the connection up when an acknowledgement is overdue. */
void mqtt_publish_tick(struct mqtt *m);
/* The connection broke: is one of the messages in flight the reason? True: it was found and set aside. */
bool mqtt_publish_broke(struct mqtt *m);

/* mqtt_resume.c */
void resume_open(struct mqtt *m);
void resume_close(struct mqtt *m);
/* Before a connection: is the broker's session to be resumed? */
bool resume_wanted(struct mqtt *m);
/* The broker has answered the CONNECT; `present`: the session is resumed. */
void resume_connected(struct mqtt *m, bool present);
/* A message has come. Has it come before, on an earlier connection? mid 0: QoS 0. */
bool resume_again(struct mqtt *m, int mid, const struct route_message *message);
/* A message of ours was sent, or answered, under this packet identifier. */
void resume_sent(struct mqtt *m, int mid);
void resume_answered(struct mqtt *m, int mid);
/* Has a route been added since the filters were noted? Then they are noted now, to be stored before the SUBSCRIBE leaves. */
bool resume_filters_changed(struct mqtt *m);
/* The broker has answered the UNSUBSCRIBE with this packet identifier. */
void resume_unsubscribed(struct mqtt *m, int mid);

/* mqtt_routes.c */
bool routes_have(const struct mqtt *m, const char *filter);
/* A filter that the broker's session may have is wanted no more, and cannot be unsubscribed now. */
void routes_add_stale(struct mqtt *m, struct span filter);
/* The packet identifier of the UNSUBSCRIBE; 0: not sent. */
int routes_unsubscribe(struct mqtt *m, const char *filter);
/* A connection has ended: all routes are due. */
void routes_reset(struct mqtt *m);
/* Subscribes those that are due, unless STAGE_SUBSCRIBE is left out. */
void routes_subscribe(struct mqtt *m);
/* The broker has answered the SUBSCRIBE with this packet identifier. */
void routes_answered(struct mqtt *m, int mid, int code);
/* Gives a message to each route that matches; `topic` is the message's, with a NUL. */
void routes_deliver(struct mqtt *m, const char *topic, const struct route_message *message);
/* Once a second: what is not answered counts as refused; what was refused is subscribed again. */
void routes_tick(struct mqtt *m);
/* Has the broker answered each subscription? */
bool routes_settled(const struct mqtt *m);
void routes_free(struct mqtt *m);

/* mqtt_cure.c */
/* How a connection, or the try to make one, ended. */
struct mqtt_failure {
	int rc, error; /* what the library returned, and errno */
	bool closed;   /* the broker closed it */
	bool late;     /* nothing came in time */
};
/* What happened, and what the user can do about it, as one sentence. Before the connection is dropped. */
void mqtt_cure(const struct mqtt *m, const struct mqtt_failure *failure, char *out, size_t size);
/* The same of a CONNACK or DISCONNECT with this code: its name and the cure. */
void mqtt_refusal(const struct mqtt *m, int code, char *out, size_t size);

#define MQTT_IT_SAYS ": it says \"" /* in such a sentence, before bytes of the peer */
/* That another client uses the id, and what to set. */
void mqtt_twin(const struct mqtt *m, char *out, size_t size);
/* What the library returned, and errno, in words. */
const char *mqtt_words(int rc, int error);

/* mqtt_lost.c */
bool lost_open(struct mqtt *m);
/* The connection, or the try, has ended: says why and sets what is tried next, and in how many seconds. The connection is dropped
 * behind it, and then lost_tell tells it. */
void lost_note(struct mqtt *m, const struct mqtt_failure *failure);
/* Tells what lost_note has found, as soon as it is known; then `next` is called, perhaps before this returns. */
void lost_tell(struct mqtt *m, void (*next)(struct mqtt *m));
/* Nothing is asked or told any more. */
void lost_stop(struct mqtt *m);
/* The broker has accepted the connection. */
void lost_begin(struct mqtt *m);
/* Once a second: has the connection proved to be a good one? */
void lost_tick(struct mqtt *m);

/* mqtt_tell.c: once a second */
void tell_tick(struct mqtt *m);

/* mqtt_session.c */
/* Sets a new client's will and callbacks. `owner`: struct mqtt. */
void session_prepare(void *owner, struct mosquitto *client);
/* Before a new connection: with what is it to be made? */
void session_choose(struct mqtt *m);
/* Are all steps of this connection answered, or left out? */
bool session_answered(const struct mqtt *m);
/* Once a second. */
void session_tick(struct mqtt *m);
/* The connection broke: at which step? `closed`: by the broker. */
void session_broke(struct mqtt *m, bool closed);
/* The broker has not answered the CONNECT. `closed`: it closed the connection. */
void session_unanswered(struct mqtt *m, bool closed);

#endif
