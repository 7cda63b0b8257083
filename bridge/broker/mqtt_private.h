/* mqtt_private: what the files mqtt*.c share; nobody else includes it. */
#ifndef T2M_MQTT_PRIVATE_H
#define T2M_MQTT_PRIVATE_H

#include "bridge/broker/mqtt.h"
#include "bridge/broker/suspect.h"
#include "bridge/base/tls.h"
#include "bridge/broker/window.h"

#include <mosquitto.h>

#define MQTT_SUBSCRIBE_MOST 4
#define MQTT_STATUS UINT64_MAX /* in the place of a message's number: our own `online` */
#define MQTT_STAGE_TRIES 3
#define MQTT_PACKET_MOST (1 << 20) /* what a broker may send in one packet */

/* One client of the library, for one connection, and what is told of it. The callbacks' context. */
struct link {
	struct mqtt *mqtt;
	struct mosquitto *client;
	struct tls_client *tls; /* NULL: plain */
	char said[200];         /* the last error that the library logged */
};

/* What is left out of the will, because the broker did not like it. */
enum { WILL_NO_RETAIN = 1, WILL_NO_QOS = 2 };

/* What a new connection does, one after the other. When the broker closes it, this says at what. */
enum stage { STAGE_SUBSCRIBE = 0, STAGE_STATUS, STAGE_MESSAGES, STAGE_COUNT };

/* A message on its way, by its packet identifier. */
struct flight {
	uint64_t seqnum, order; /* seqnum 0: none */
};

struct subscription {
	char *topic;
	int mid; /* 0: not asked */
	bool answered;
	int refused;               /* the code; 0: not */
	ev_tstamp asked_at, again; /* again: when a refused one is asked again */
};

/* What is told once a minute of what the broker does not take. */
struct complaint {
	uint64_t refused, aside; /* since the last line */
	int refused_code, aside_code;
	char refused_topic[200], aside_topic[200];
	ev_tstamp refused_from, aside_from; /* not before */
	bool waiting;                       /* told that messages wait, and not yet that they go on */
};

struct mqtt {
	struct ev_loop *loop;
	const struct config *config;
	struct mqtt_ops ops;
	struct outbox *outbox;
	struct stats *stats;
	struct subscription subscription[MQTT_SUBSCRIBE_MOST];
	size_t subscriptions;
	char *status_topic;
	struct link *link;        /* NULL: none, or an attempt has it */
	struct mosquitto *client; /* the link's */
	struct attempt *attempt;
	ev_async attempt_ended;
	ev_io io;
	ev_timer retry, timeout, misc, more;
	double backoff, wait;
	bool hurry; /* the next try is another one: it need not wait */
	ev_tstamp away_since, connected_at;
	bool connected, broken, stopping, silent, answered_connect;
	char why[300], told_why[300]; /* why `broken`; what was told last */
	size_t unparsed;              /* bytes that came since the last packet that was seen */

	/* what the broker can */
	bool retain, qos1;
	uint32_t packet_most;      /* 0: no limit */
	unsigned will, will_works; /* what is left out of it; what worked once, but is not sure */
	unsigned cannot;           /* WILL_NO_...: what the broker closed a connection for */
	bool will_sure;
	unsigned unanswered;  /* connections in a row that the broker closed instead of answering the CONNECT */
	ev_tstamp will_until; /* then all of it is tried again */
	bool told_retain, told_size;

	/* connecting: one thing after the other when the broker closes */
	unsigned stuck[STAGE_COUNT];
	ev_tstamp without_until[STAGE_COUNT]; /* it is left out until then */
	bool status_sent, status_answered;

	/* publishing */
	struct window window;
	unsigned inflight;
	struct flight flights[65536];
	uint16_t last_mid, oldest; /* given by the library last; of the oldest that is on its way */
	ev_tstamp oldest_since, sent_at;
	uint64_t answered, answered_before; /* on this connection; when `oldest` became the oldest */
	uint64_t taken;                     /* messages of the outbox, on this connection */
	bool draining;                      /* a suspect goes next, when nothing is on its way */
	uint64_t alone;                     /* the number of a suspect that is on its way; 0: none is */
	struct suspects suspects;
	struct complaint complaint;
	mosquitto_property *content[2];
	char topic[65536];
	char trouble[700];
};

void link_free(struct link *link); /* may be NULL */
/* What is wrong with the broker's certificate or ours, if that is why; else `why`. */
const char *link_reason(const struct link *link, const char *why);

/* One try to connect, in a thread of its own: while it runs, the client is the thread's alone. */
struct attempt;

/* Sends `ended` when the thread is through. NULL: it cannot begin, and the log says why. */
struct attempt *attempt_start(struct mqtt *mqtt, ev_async *ended);
/* NULL: it still runs. Else the link is the caller's, and the attempt is gone: what the library returned, and errno. */
struct link *attempt_result(struct attempt *attempt, int *rc, int *error);
/* May be NULL. The thread cleans up, whenever it ends. */
void attempt_abandon(struct attempt *attempt);

/* mqtt.c */
/* After each call of the library: what it returned. */
/* Reads what has come, without waiting for more. */
void mqtt_take(struct mqtt *m);
void mqtt_after(struct mqtt *m, int rc);
/* The connection is of no use: it ends when the library is through, with this as the reason. */
__attribute__((format(printf, 2, 3))) void mqtt_give_up(struct mqtt *m, const char *format, ...);

/* mqtt_session.c */
void mqtt_set_callbacks(struct mosquitto *client);
/* The next stage of a new connection, when the one before is answered. */
void session_next_stage(struct mqtt *m);
bool session_answered(const struct mqtt *m);
/* Once a second: what was refused is asked again. */
void session_tick(struct mqtt *m);
/* The connection broke: at what? */
void session_broke(struct mqtt *m);
/* The broker closed the connection instead of answering the CONNECT. */
void session_unanswered(struct mqtt *m);
const char *mqtt_user(const struct mqtt *m);
unsigned session_refused(const struct mqtt *m);

/* mqtt_publish.c */
/* Our own `online` or `offline`; false: it did not go. */
bool publish_status(struct mqtt *m, const char *text);
void publish_answered(struct mqtt *m, int mid, int reason);
/* Once a second: is one without an answer for too long? What is to be told? */
void publish_tick(struct mqtt *m);
/* The connection broke: is one of those on their way the reason? */
void publish_broke(struct mqtt *m);
void publish_begin(struct mqtt *m);

/* mqtt_tell.c: once a second */
void tell_tick(struct mqtt *m);

#endif
