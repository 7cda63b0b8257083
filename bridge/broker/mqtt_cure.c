// SPDX-License-Identifier: MIT
/* mqtt_cure: what a user can do about a connection that failed, in a part of a sentence.
 * Uses: nothing else.
 * Not: change what happens. */
#include "bridge/broker/mqtt_private.h"

#include <errno.h>
#include <stdlib.h>

#define NO_TLS_THERE                                                                                           \
	"does this port speak TLS? Then see the broker's log; else set [mqtt] port to the one for TLS "        \
	"(mostly 8883), or tls = no"
#define BRIEF_SECONDS 10.
#define BRIEF_TOLD 3 /* so many brief connections in a row are no accident */

static const struct {
	const char *part; /* of what the library or OpenSSL said */
	const char *cure;
} said_cures[] = {
	{"unable to get local issuer certificate",
		"set [mqtt] tls_ca_file to the certificate (PEM) of the authority that signed the broker's"},
	{"unable to get issuer certificate",
		"set [mqtt] tls_ca_file to the certificate (PEM) of the authority that signed the broker's"},
	{"self-signed certificate",
		"set [mqtt] tls_ca_file to that certificate (PEM), or to the authority's in its chain"},
	{"self signed certificate",
		"set [mqtt] tls_ca_file to that certificate (PEM), or to the authority's in its chain"},
	{"hostname mismatch", "set [mqtt] host to a name that stands in the broker's certificate"},
	{"IP address mismatch", "set [mqtt] host to a name or address that stands in the broker's certificate"},
	{"certificate has expired", "the broker needs a new certificate; or is this machine's clock wrong?"},
	{"certificate is not yet valid", "is this machine's clock wrong?"},
	{"certificate required", "the broker wants a certificate: set [mqtt] tls_cert_file and tls_key_file"},
	{"unexpected eof while reading", NO_TLS_THERE},
	{"wrong version number", NO_TLS_THERE},
	{"packet length too long", NO_TLS_THERE},
	{"Lookup error", "no machine has this name: check [mqtt] host"},
};

static const struct {
	int error;
	const char *cure;
} error_cures[] = {
	{ECONNREFUSED, "nothing listens there: does the broker run, and are [mqtt] host and port right?"},
	{ENETUNREACH, "there is no way to it: check [mqtt] host and this machine's network"},
	{EHOSTUNREACH, "there is no way to it: check [mqtt] host and this machine's network"},
	{ETIMEDOUT, "check [mqtt] host and port, and firewalls between here and there"},
};

static const char *find_said(const char *said)
{
	for (size_t i = 0; i < sizeof(said_cures) / sizeof(said_cures[0]); i++)
		if (strstr(said, said_cures[i].part) != NULL)
			return said_cures[i].cure;
	return NULL;
}

static const char *find_error(int error)
{
	for (size_t i = 0; i < sizeof(error_cures) / sizeof(error_cures[0]); i++)
		if (error_cures[i].error == error)
			return error_cures[i].cure;
	return NULL;
}

/* The connection stood, and the broker closed it before it answered the CONNECT. */
static const char *closed_unanswered(const struct mqtt *m)
{
	if (m->config->mqtt.tls)
		return NO_TLS_THERE;
	return "is this the port for TLS (mostly 8883)? Then set [mqtt] tls = yes; else see the broker's log";
}

const char *mqtt_cure(const struct mqtt *m, const struct mqtt_failure *f)
{
	const char *cure = find_said(f->said);
	if (cure == NULL && f->rc == MOSQ_ERR_ERRNO)
		cure = find_error(f->error);
	if (cure == NULL && (f->closed || f->rc == MOSQ_ERR_TLS) && !m->connected && !m->answered_connect)
		cure = closed_unanswered(m); /* newer libraries do not tell what OpenSSL said */
	if (cure == NULL && f->closed && m->brief >= BRIEF_TOLD)
		cure = "another client may have the same client id, and each throws the other out: a second "
		       "bridge? set [publish] instance";
	return cure != NULL ? cure : "";
}

void mqtt_note_brief(struct mqtt *m, const struct mqtt_failure *f)
{
	bool ours = m->suspects.open > 0 || m->stuck[STAGE_SUBSCRIBE] > 0 || m->stuck[STAGE_STATUS] > 0;
	double lived = ev_now(m->loop) - m->connected_at;
	if (!m->connected || ours)
		return;
	if (!f->closed || lived > BRIEF_SECONDS)
		m->brief = 0;
	else
		m->brief++;
}

const char *mqtt_login_cure(const struct mqtt *m, int code)
{
	bool refused = code == 0x86 || code == 0x87;
	if (refused && *m->config->mqtt.username == '\0')
		return "the broker wants a user: set [mqtt] username and password";
	if (refused)
		return "the broker does not know user {user} with this password, or does not let it in: check "
		       "[mqtt] username, password and password_file";
	return NULL;
}
