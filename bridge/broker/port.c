// SPDX-License-Identifier: MIT
/* port: see port.h. */
#include "bridge/broker/port.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TO_THE_BROKER "set [mqtt] port to the broker's, mostly 1883, or 8883 with tls = yes"

/* Each begins with bytes that no packet of a broker begins with. */
static const struct {
	const char *head;
	struct port_kind kind;
} known[] = {
	{"HTTP/", {"a web server (HTTP) listens there", TO_THE_BROKER "; MQTT over WebSocket is not spoken"}},
	{"SSH-", {"an SSH server listens there", TO_THE_BROKER}},
	{"220 ", {"a mail or FTP server listens there", TO_THE_BROKER}},
	{"220-", {"a mail or FTP server listens there", TO_THE_BROKER}},
	{"554 ", {"a mail server (SMTP) listens there", TO_THE_BROKER}},
	{"+OK ", {"a mail server (POP3) listens there", TO_THE_BROKER}},
	{"* OK", {"a mail server (IMAP) listens there", TO_THE_BROKER}},
	{"AMQP", {"a broker's port for AMQP answers", "set [mqtt] port to its port for MQTT, mostly 1883"}},
	{"INFO ", {"a NATS server's own port answers", "set [mqtt] port to its port for MQTT, mostly 1883"}},
	{"-ERR ", {"a Redis server listens there", TO_THE_BROKER}},
	{"RFB ", {"a VNC server listens there", TO_THE_BROKER}},
};

static const struct port_kind tls = {"the port speaks TLS", "set [mqtt] tls = yes"};

const struct port_kind *port_of_tls(void)
{
	return &tls;
}

/* A record of TLS: an alert or a message of the handshake. */
static bool is_tls(struct span head)
{
	return head.len >= 3 && (head.ptr[0] == 0x15 || head.ptr[0] == 0x16) && head.ptr[1] == 3 &&
	       head.ptr[2] <= 4;
}

const struct port_kind *port_kind(struct span head)
{
	if (is_tls(head))
		return &tls;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].head);
		if (head.len >= n && memcmp(head.ptr, known[i].head, n) == 0)
			return &known[i].kind;
	}
	return NULL;
}

bool port_may_be_mqtt(struct span head)
{
	if (head.len == 0)
		return true;
	return head.ptr[0] == 0x20 || head.ptr[0] == 0xe0 ||
	       head.ptr[0] == 0xf0; /* CONNACK, DISCONNECT, AUTH */
}

/* --- asking --- */

/* A ClientHello of TLS 1.2 with the usual ciphers: who speaks TLS answers, with an alert at least. */
static const uint8_t hello[] = {
	0x16, 3, 1, 0, 81, /* record: handshake */
	1, 0, 0, 77, 3, 3, /* ClientHello, TLS 1.2 */
	't', 'r', 'a', 'c', 'k', 'e', 'r', '2', 'm', 'q', 't', 't', ' ', 'a', 's', 'k', 's', ' ', 'w', 'h', 'a',
	't', ' ', 's', 'p', 'e', 'a', 'k', 's', ' ', 'h',
	'e', /* 32 bytes that should be random, and need not be */
	0,   /* no session */
	0, 16, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0, 0x9c, 0, 0x9d, 0, 0x2f, 0, 0x35, /* ciphers */
	1, 0,                                /* no compression */
	0, 20,                               /* extensions: */
	0, 10, 0, 6, 0, 4, 0, 0x17, 0, 0x1d, /* groups: P-256, X25519 */
	0, 13, 0, 6, 0, 4, 4, 3, 4, 1,       /* signatures: ECDSA and RSA with SHA-256 */
};

bool port_speaks_tls(const union address *address, double seconds)
{
	const struct timeval patience = {
		(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
	uint8_t head[3];
	ssize_t n = 0;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* for connect, too */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, &address->any, address_length(address)) == 0 &&
		send(fd, hello, sizeof(hello), MSG_NOSIGNAL) == (ssize_t)sizeof(hello))
		n = recv(fd, head, sizeof(head), MSG_WAITALL);
	close(fd);
	return is_tls(span_of(head, n > 0 ? (size_t)n : 0));
}
