// SPDX-License-Identifier: MIT
/* tls: TLS towards units (server) and towards the broker (client).
 * Uses: codecs/record; <openssl/err.h>, <openssl/pem.h>, <openssl/ssl.h>, <openssl/x509v3.h>.
 * Not: know connections, units or MQTT.
 *
 * TLS 1.2 and newer, the library's own choice of ciphers. */
#ifndef T2M_TLS_H
#define T2M_TLS_H

#include "codecs/record/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_server;
struct tls_link;

#define TLS_WHY_MAX 500

/* Both files are read during the call. NULL: `why` says which file and what is wrong. */
struct tls_server *tls_server_open(const char *cert_file, const char *key_file, char why[TLS_WHY_MAX]);
/* Connections that were accepted with it go on. */
void tls_server_free(struct tls_server *server);

/* The server's side of an accepted, non-blocking connection; NULL: no memory. The descriptor stays the caller's. */
struct tls_link *tls_accept(struct tls_server *server, int fd);
/* Ends TLS, with a close notification when that needs no waiting. */
void tls_link_free(struct tls_link *link);
/* Like recv and send on a non-blocking socket; errno is EAGAIN when it would wait, EPROTO when the peer breaks TLS. After
 * EAGAIN from tls_write the next tls_write must begin with the same bytes. Both do the handshake first. */
ssize_t tls_read(struct tls_link *link, void *to, size_t size);
ssize_t tls_write(struct tls_link *link, const void *from, size_t len);
/* Are there bytes that were read from the socket already? The socket will not become readable for them. */
bool tls_pending(const struct tls_link *link);
/* Does the last EAGAIN wait for the socket to become writable? */
bool tls_wants_write(const struct tls_link *link);

/* How the broker's certificate is checked: by which authorities (a PEM file; "": those of the system), and for which name or
 * address. Our own certificate and key ("": none). All are used during tls_client_open only. */
struct tls_client_options {
	const char *ca_file, *cert_file, *key_file, *host;
};
struct tls_client;
struct tls_client *tls_client_open(const struct tls_client_options *options, char why[TLS_WHY_MAX]);
void tls_client_free(struct tls_client *client);
/* The client's side of a connection that is made or being made, non-blocking; NULL: no memory. The descriptor stays the caller's. */
struct tls_link *tls_connect(struct tls_client *client, int fd);
/* Its connections read as much from the socket as there is, instead of one record in two pieces: fewer system calls. Before the first
 * connection. Then bytes may be left that the socket does not become readable for. */
void tls_client_read_ahead(struct tls_client *client);
/* Are there bytes left, or an error or the end, that SSL_read gives without waiting for the socket? `ssl`: the SSL of a connection of
 * tls_client_context; NULL: false. */
bool tls_ssl_has_unread(void *ssl);
/* An SSL_CTX, for libmosquitto; it lives as long as the client. */
void *tls_client_context(const struct tls_client *client);
/* Why the last certificate was refused, and for which names it is; "": none was. Printable ASCII. Valid until the next connection. */
const char *tls_client_reason(const struct tls_client *client);
/* The first bytes that came over the client's first connection, TLS_HEAD_MAX at most. Valid as long as the client. */
#define TLS_HEAD_MAX 5
struct span tls_client_head(const struct tls_client *client);

#endif
