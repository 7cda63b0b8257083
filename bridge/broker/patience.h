// SPDX-License-Identifier: MIT
/* patience: how long the bridge waits before it tries to connect again, by how the last connection lived.
 * Uses: nothing else.
 * Not: keep time, know MQTT, add jitter.
 *
 * Where nobody answers, tries are cheap: they come so often for five minutes that a broker that is back has the bridge within two seconds.
 * Connections that live only briefly cost the broker more, so the wait grows from one to the next, whatever was published meanwhile. It
 * is short again after a connection that was subscribed and lived for some seconds.
 *
 * Two clients with one id throw each other out, and each lives as long as the other one waits. So, when another client seems to use the
 * id, only a connection that lives longer than the longest wait is a good one. */
#ifndef T2M_PATIENCE_H
#define T2M_PATIENCE_H

#include <stdbool.h>

#define PATIENCE_FIRST 0.5
#define PATIENCE_AWAY 1.5      /* most, while nobody answers; with its jitter below two seconds */
#define PATIENCE_AWAY_LONG 10. /* the same after PATIENCE_LONG seconds of it */
#define PATIENCE_LONG 300.
#define PATIENCE_MOST 30.  /* most of all */
#define PATIENCE_SEARCH 2. /* most, while a message is tried of which the broker may close the connection */
#define PATIENCE_HURRY 0.1
#define PATIENCE_GOOD 10.        /* seconds of a good connection */
#define PATIENCE_UNDISTURBED 75. /* the same, while another client seems to use the id */
#define PATIENCE_TWIN 3          /* so many brief connections in a row are no accident */

enum ending {
	ENDING_NOBODY = 0, /* nobody listens, or nobody answers as a broker */
	ENDING_REFUSED,    /* the broker answers, and refuses */
	ENDING_LIVED,      /* there was a connection */
};

struct life {
	enum ending ending;
	bool subscribed; /* ENDING_LIVED: the broker had answered the subscriptions */
	double seconds;  /* that the connection lived; else: for which there has been none */
	bool search;     /* it ended with a message on its way that is suspect */
	bool closed;     /* the broker closed it, and nothing of the bridge seems to be the reason */
	bool twin;       /* the broker says that another client uses the id */
	bool hurry;      /* the next try is made in another way */
};

/* All zero at first. */
struct patience {
	unsigned failed; /* tries in a row that made no connection */
	unsigned brief;  /* connections in a row that lived only briefly, without such a try between them */
	unsigned closed; /* those of them, in a row, that the broker closed for no reason of the bridge */
	bool twin;       /* another client seems to use the id */
};

/* Is a connection that has lived so long a good one? */
bool patience_is_good(const struct patience *p, bool subscribed, double seconds);
/* Notes how a connection, or a try, ended. Seconds to wait. */
double patience_after(struct patience *p, const struct life *life);

#endif
