// SPDX-License-Identifier: MIT
/* tls: see tls.h. */
#include "bridge/base/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct tls_server {
	SSL_CTX *ctx;
};

struct tls_link {
	SSL *ssl;
	bool wants_write;
};

struct tls_client {
	SSL_CTX *ctx;
	char name[256]; /* of the server; "": it is an address */
	char reason[TLS_WHY_MAX];
};

/* The first error that OpenSSL noted; `more`: what that means, for people. */
static void explain(char why[TLS_WHY_MAX], const char *what, const char *file, const char *more)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_GET_LIB(error) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(error))
			     : error != 0                      ? ERR_reason_error_string(error)
							       : NULL;
	snprintf(why, TLS_WHY_MAX, "%s %s: %s%s%s", what, file, reason != NULL ? reason : "not usable",
		*more ? ": " : "", more);
	ERR_clear_error();
}

/* Nobody is asked for a pass phrase: it would stop the loop. */
static int no_pass_phrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool use_chain(SSL_CTX *ctx, const char *cert_file, char why[TLS_WHY_MAX])
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) == 1)
		return true;
	explain(why, "certificate", cert_file,
		"the file must hold a certificate as PEM (-----BEGIN CERTIFICATE-----)");
	return false;
}

static bool use_key(SSL_CTX *ctx, const char *cert_file, const char *key_file, char why[TLS_WHY_MAX])
{
	bool asked = false, fits;
	char pair[TLS_WHY_MAX];
	SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
	fits = SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1 &&
	       SSL_CTX_check_private_key(ctx) == 1;
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	SSL_CTX_set_default_passwd_cb(ctx, NULL);
	if (fits)
		return true;
	bool read =
		ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509 || ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL;
	snprintf(pair, sizeof(pair), "the key does not belong to certificate %s; both must be of one pair",
		cert_file);
	explain(why, "private key", key_file,
		asked  ? "a pass phrase protects it, which the bridge cannot ask for; openssl pkey removes it"
		: read ? pair
		       : "the file must hold a private key as PEM (-----BEGIN PRIVATE KEY-----)");
	return false;
}

/* False: `why` says what is wrong. */
static bool use_certificate(SSL_CTX *ctx, const char *cert_file, const char *key_file, char why[TLS_WHY_MAX])
{
	return use_chain(ctx, cert_file, why) && use_key(ctx, cert_file, key_file, why);
}

bool tls_pair_check(const char *cert_file, const char *key_file, bool *key_is_wrong, char why[TLS_WHY_MAX])
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	snprintf(why, TLS_WHY_MAX, "no memory for TLS");
	bool ok = ctx != NULL && use_chain(ctx, cert_file, why);
	*key_is_wrong = ok;
	ok = ok && use_key(ctx, cert_file, key_file, why);
	SSL_CTX_free(ctx);
	return ok;
}

/* --- units --- */

struct tls_server *tls_server_open(const char *cert_file, const char *key_file, char why[TLS_WHY_MAX])
{
	struct tls_server *server = calloc(1, sizeof(*server));
	snprintf(why, TLS_WHY_MAX, "no memory for TLS");
	ERR_clear_error();
	if (server == NULL)
		return NULL;
	server->ctx = SSL_CTX_new(TLS_server_method());
	if (server->ctx == NULL || !use_certificate(server->ctx, cert_file, key_file, why)) {
		tls_server_free(server);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(server->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(server->ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(server->ctx,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return server;
}

void tls_server_free(struct tls_server *server)
{
	SSL_CTX_free(server->ctx);
	free(server);
}

static struct tls_link *new_link(SSL_CTX *ctx, int fd)
{
	struct tls_link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return NULL;
	link->ssl = SSL_new(ctx);
	if (link->ssl == NULL || SSL_set_fd(link->ssl, fd) != 1) {
		tls_link_free(link);
		return NULL;
	}
	return link;
}

struct tls_link *tls_accept(struct tls_server *server, int fd)
{
	struct tls_link *link = new_link(server->ctx, fd);
	if (link != NULL)
		SSL_set_accept_state(link->ssl);
	return link;
}

void tls_link_free(struct tls_link *link)
{
	if (link->ssl != NULL && SSL_is_init_finished(link->ssl))
		SSL_shutdown(link->ssl);
	ERR_clear_error();
	SSL_free(link->ssl);
	free(link);
}

/* Translates the result `rc` of an OpenSSL call to that of a socket call. */
static ssize_t outcome(struct tls_link *link, int rc)
{
	link->wants_write = false;
	if (rc > 0)
		return rc;
	int error = SSL_get_error(link->ssl, rc);
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_WRITE:
		link->wants_write = true;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t tls_read(struct tls_link *link, void *to, size_t size)
{
	ERR_clear_error();
	return outcome(link, SSL_read(link->ssl, to, (int)size));
}

ssize_t tls_write(struct tls_link *link, const void *from, size_t len)
{
	ERR_clear_error();
	return outcome(link, SSL_write(link->ssl, from, (int)len));
}

bool tls_pending(const struct tls_link *link)
{
	return SSL_has_pending(link->ssl) == 1;
}

bool tls_wants_write(const struct tls_link *link)
{
	return link->wants_write;
}

/* --- the broker --- */

/* Keeps the reason for which a certificate is refused: libmosquitto does not tell it. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	char subject[200] = "";
	if (ok)
		return ok;
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	if (cert != NULL)
		X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
	for (char *c = subject; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	snprintf(client->reason, sizeof(client->reason), "certificate %s: %s", subject,
		X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	return ok;
}

static bool use_host(SSL_CTX *ctx, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	struct in6_addr any;
	if (inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

struct tls_client *tls_client_open(const struct tls_client_options *o, char why[TLS_WHY_MAX])
{
	struct tls_client *client = calloc(1, sizeof(*client));
	snprintf(why, TLS_WHY_MAX, "no memory for TLS");
	ERR_clear_error();
	if (client == NULL)
		return NULL;
	client->ctx = SSL_CTX_new(TLS_client_method());
	bool ok = client->ctx != NULL && use_host(client->ctx, o->host);
	if (ok && *o->ca_file != '\0') {
		ok = SSL_CTX_load_verify_locations(client->ctx, o->ca_file, NULL) == 1;
		if (!ok)
			explain(why, "authorities", o->ca_file,
				"the file must hold certificates as PEM (-----BEGIN CERTIFICATE-----)");
	} else if (ok) {
		ok = SSL_CTX_set_default_verify_paths(client->ctx) == 1;
	}
	if (ok && *o->cert_file != '\0')
		ok = use_certificate(client->ctx, o->cert_file, o->key_file, why);
	if (!ok) {
		tls_client_free(client);
		return NULL;
	}
	struct in6_addr any;
	if (inet_pton(AF_INET, o->host, &any) != 1 && inet_pton(AF_INET6, o->host, &any) != 1)
		snprintf(client->name, sizeof(client->name), "%s", o->host);
	SSL_CTX_set_min_proto_version(client->ctx, TLS1_2_VERSION);
	SSL_CTX_set_app_data(client->ctx, client);
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, on_verify);
	return client;
}

void tls_client_free(struct tls_client *client)
{
	SSL_CTX_free(client->ctx);
	free(client);
}

struct tls_link *tls_connect(struct tls_client *client, int fd)
{
	struct tls_link *link = new_link(client->ctx, fd);
	if (link == NULL)
		return NULL;
	SSL_set_mode(link->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (*client->name != '\0')
		SSL_set_tlsext_host_name(link->ssl, client->name);
	SSL_set_connect_state(link->ssl);
	return link;
}

void *tls_client_context(const struct tls_client *client)
{
	return client->ctx;
}

const char *tls_client_reason(const struct tls_client *client)
{
	return client->reason;
}
