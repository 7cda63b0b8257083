// SPDX-License-Identifier: MIT
/* mqtt_cure: why a connection failed, and what a user can do about it: one sentence, of what is certain.
 * Uses: bridge/base.
 * Not: change what happens. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/reason.h"
#include "bridge/broker/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>

#define NO_TLS_THERE                                                                                           \
	"does this port speak TLS? Then see the broker's log; else set [mqtt] port to the one for TLS "        \
	"(mostly 8883), or tls = no"
#define OLD_TLS "the broker's TLS is older than 1.2: let it speak TLS 1.2 or newer"
#define OUR_CERTIFICATE                                                                                        \
	"the broker does not accept the certificate of [mqtt] tls_cert_file: let it be of an authority that "  \
	"the broker trusts, and not expired"
#define AUTHORITY "set [mqtt] tls_ca_file to the certificate (PEM) of the authority that signed the broker's"
#define THAT_CERTIFICATE "set [mqtt] tls_ca_file to that certificate (PEM), or to the authority's in its chain"

static const struct {
	const char *part; /* of what the library or OpenSSL said */
	const char *cure;
} said_cures[] = {
	{"unable to get local issuer certificate", AUTHORITY},
	{"unable to get issuer certificate", AUTHORITY},
	{"unable to verify the first certificate", AUTHORITY},
	{"self-signed certificate", THAT_CERTIFICATE},
	{"self signed certificate", THAT_CERTIFICATE},
	{"ostname mismatch", "set [mqtt] host to a name that stands in the broker's certificate"},
	{"IP address mismatch", "set [mqtt] host to a name or address that stands in the broker's certificate"},
	{"certificate has expired", "the broker needs a new certificate; or is this machine's clock wrong?"},
	{"certificate is not yet valid", "is this machine's clock wrong?"},
	{"certificate required", "the broker wants a certificate: set [mqtt] tls_cert_file and tls_key_file"},
	{"alert handshake failure",
		"see the broker's log; if it wants a certificate, set [mqtt] tls_cert_file and tls_key_file"},
	{"alert unknown ca", OUR_CERTIFICATE},
	{"alert bad certificate", OUR_CERTIFICATE},
	{"alert certificate unknown", OUR_CERTIFICATE},
	{"alert certificate expired", OUR_CERTIFICATE},
	{"alert unsupported certificate", OUR_CERTIFICATE},
	{"alert protocol version", OLD_TLS},
	{"unsupported protocol", OLD_TLS},
	{"unexpected eof while reading", NO_TLS_THERE},
	{"wrong version number", NO_TLS_THERE},
	{"packet length too long", NO_TLS_THERE},
};

static const char *find_said(const char *said)
{
	for (size_t i = 0; i < sizeof(said_cures) / sizeof(said_cures[0]); i++)
		if (strstr(said, said_cures[i].part) != NULL)
			return said_cures[i].cure;
	return NULL;
}

const char *mqtt_words(int rc, int error)
{
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
	case MOSQ_ERR_CONN_LOST:
	case MOSQ_ERR_NO_CONN:
		return "the broker closed the connection";
	case MOSQ_ERR_PROTOCOL:
	case MOSQ_ERR_MALFORMED_PACKET:
	case MOSQ_ERR_MALFORMED_UTF8:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
	case MOSQ_ERR_INVAL:
		return "what the broker sent is not the MQTT that was expected";
	case MOSQ_ERR_KEEPALIVE:
		return "the broker does not answer";
	case MOSQ_ERR_EAI:
		return "the name cannot be looked up";
	case MOSQ_ERR_TLS:
		return "TLS does not come about";
	case MOSQ_ERR_ERRNO:
		if (error == ECONNRESET || error == EPIPE)
			return "the broker closed the connection";
		return error != 0 && error != EAGAIN ? strerror(error) : "the connection broke";
	default:
		return mosquitto_strerror(rc);
	}
}

/* --- what the broker says --- */

static void other_version(const struct mqtt *m, char *out, size_t size)
{
	if (mqtt_place(m)->dialect.both && m->config->mqtt.version == 5)
		snprintf(out, size, "it speaks neither MQTT 5 nor 3.1.1: is it a broker of MQTT?");
	else if (mqtt_version(m) == 5)
		snprintf(out, size, "it speaks MQTT 3.1.1 only: set [mqtt] version = 4 to save the attempt");
	else
		snprintf(out, size, "it does not speak MQTT 3.1.1: set [mqtt] version = 5");
}

static void login(const struct mqtt *m, char *out, size_t size)
{
	if (*m->config->mqtt.username == '\0')
		snprintf(out, size, "the broker wants a user: set [mqtt] username and password");
	else
		snprintf(out, size,
			"the broker does not know user %.80s with this password, or does not let it in: check "
			"[mqtt] username, password and password_file",
			m->config->mqtt.username);
}

void mqtt_refusal(const struct mqtt *m, int code, char *out, size_t size)
{
	char name[80], cure[300];
	reason_text(code, name, sizeof(name));
	reason_cure(reason_find(code)->connect_cure, mqtt_user(m), "", cure, sizeof(cure));
	if (code == REASON_OTHER_VERSION)
		other_version(m, cure, sizeof(cure));
	else if ((code == REASON_BAD_LOGIN || code == REASON_NOT_AUTHORIZED) && !m->connected)
		login(m, cure, sizeof(cure));
	snprintf(out, size, "%s%s%s", name, *cure ? "; " : "", cure);
}

/* What to set, so that two bridges do not have one id. */
static const char *own_id(const struct mqtt *m)
{
	return *m->config->mqtt.client_id ? "set [publish] instance, and another [mqtt] client_id"
					  : "set [publish] instance";
}

void mqtt_twin(const struct mqtt *m, char *out, size_t size)
{
	char id[CONFIG_CLIENT_ID_MAX];
	snprintf(out, size, "another client uses the id %.100s: a second bridge? %s",
		config_client_id(m->config, id), own_id(m));
}

/* --- what is seen --- */

/* There was a connection. */
static void ended(const struct mqtt *m, const struct mqtt_failure *f, char *out, size_t size)
{
	char id[CONFIG_CLIENT_ID_MAX];
	const char *words = mqtt_words(f->rc, f->error);
	if (m->patience.closed >= PATIENCE_TWIN)
		snprintf(out, size,
			"%s; another client may have the same client id (%.100s), and each throws the other "
			"out: a second bridge? %s",
			words, config_client_id(m->config, id), own_id(m));
	else
		snprintf(out, size, "%s", words);
}

static bool is_number(const char *host)
{
	struct in6_addr any;
	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static int seconds_to_connect(const struct mqtt *m)
{
	return (int)((m->config->mqtt.connect_timeout + 999) / 1000);
}

/* Nobody was reached. */
static void unreachable(const struct mqtt *m, const struct mqtt_failure *f, char *out, size_t size)
{
	bool number = is_number(mqtt_host(m)->name);
	int error = f->rc == MOSQ_ERR_ERRNO ? f->error : 0;
	const char *words = mqtt_words(f->rc, f->error), *cure = "";
	char late[60];
	if (f->late) {
		snprintf(late, sizeof(late), "no answer in time (%d s)", seconds_to_connect(m));
		words = late;
		cure = number ? "; nobody answers there: check [mqtt] host and port, and firewalls between "
				"here and there"
			      : "; nobody answers there: check [mqtt] host and port, this machine's DNS, and "
				"firewalls between here and there";
	} else if (f->rc == MOSQ_ERR_EAI) {
		cure = f->error == EAI_AGAIN ? "; no name server answers, or no machine has this name: check "
					       "[mqtt] host and this machine's DNS"
					     : "; no machine has this name: check [mqtt] host";
	} else if (error == ECONNREFUSED) {
		cure = "; nothing listens there: does the broker run, and are [mqtt] host and port right?";
	} else if (error == ENETUNREACH || error == EHOSTUNREACH) {
		cure = "; there is no way to it: check [mqtt] host and this machine's network";
	} else if (error == ETIMEDOUT) {
		cure = "; nobody answers there: check [mqtt] host and port, and firewalls between here and "
		       "there";
	}
	snprintf(out, size, "%s%s", words, cure);
}

/* What listens there is no broker of MQTT. */
static bool foreign(const struct mqtt *m, char *out, size_t size)
{
	struct span head = link_head(m->link);
	const struct port_kind *kind = port_kind(head);
	bool tls = m->link->tls != NULL;
	if (tls && (kind == port_of_tls() || kind == NULL))
		return false;
	if (kind != NULL)
		snprintf(out, size, "%s; %s", kind->what, kind->cure);
	else if (!port_may_be_mqtt(head) && !m->answered_connect)
		snprintf(out, size,
			"what listens there is no broker of MQTT: it says \"%s\"; check [mqtt] host and port",
			log_bytes(head).text);
	else
		return false;
	return true;
}

/* TLS did not come about. */
static bool no_tls(const struct mqtt *m, const struct mqtt_failure *f, char *out, size_t size)
{
	static const char openssl[] =
		"OpenSSL Error"; /* behind it a number, and the words behind the last colon */
	const struct link *l = m->link;
	const char *said = link_reason(l, mqtt_words(f->rc, f->error)), *cure = find_said(said);
	bool heard = port_kind(link_head(l)) == port_of_tls();
	if (l->tls == NULL || (cure == NULL && heard && f->rc != MOSQ_ERR_TLS))
		return false;
	if (cure == NULL)
		cure = heard ? "see the broker's log" : NO_TLS_THERE;
	const char *reason = strncmp(said, openssl, sizeof(openssl) - 1) == 0 ? strrchr(said, ':') : NULL;
	if (f->late)
		snprintf(out, size, "no answer in time (%d s); %s", seconds_to_connect(m), cure);
	else if (reason != NULL)
		snprintf(out, size, "TLS does not come about: %s; %s", reason + 1, cure);
	else
		snprintf(out, size, "%s; %s", said, cure);
	return true;
}

/* Somebody listens there, and does not answer the CONNECT. */
static void unanswered(const struct mqtt *m, const struct mqtt_failure *f, char *out, size_t size)
{
	const struct place *p = mqtt_place(m);
	const struct dialect *d = &p->dialect;
	static const char closed[] = "the broker closed the connection instead of answering";
	if (m->link->tls == NULL && p->port == PORT_SPEAKS_TLS)
		snprintf(out, size, "%s; %s", port_of_tls()->what, port_of_tls()->cure);
	else if (f->late)
		snprintf(out, size,
			"no answer in time (%d s): something listens there, and does not answer as a broker "
			"does; check [mqtt] port, and see the broker's log",
			seconds_to_connect(m));
	else if (link_speaks_3(m->link) && d->wanted == 5)
		snprintf(out, size, "it speaks MQTT 3.1.1 only: set [mqtt] version = 4 to save the attempt");
	else if (!f->closed)
		snprintf(out, size, "%s; see the broker's log", mqtt_words(f->rc, f->error));
	else if (d->wanted == 5 && d->both)
		snprintf(out, size, "%s, under MQTT 5 and under 3.1.1; see the broker's log", closed);
	else if (d->wanted == 5 && d->now == 4 && !d->sure)
		snprintf(out, size, "%s under MQTT 5; 3.1.1 is tried", closed);
	else
		snprintf(out, size, "%s; see the broker's log", closed);
}

void mqtt_cure(const struct mqtt *m, const struct mqtt_failure *f, char *out, size_t size)
{
	if (*m->why)
		snprintf(out, size, "%s", m->why);
	else if (m->connected)
		ended(m, f, out, size);
	else if (m->link == NULL || !m->link->reached)
		unreachable(m, f, out, size);
	else if (!foreign(m, out, size) && !no_tls(m, f, out, size))
		unanswered(m, f, out, size);
}
