// SPDX-License-Identifier: MIT
/* tls: see tls.h. */
#include "bridge/base/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
	uint8_t head[TLS_HEAD_MAX]; /* the first bytes of the peer */
	size_t head_len;
};

/* The first error that OpenSSL noted. */
static void explain(char why[TLS_WHY_MAX], const char *what, const char *file)
{
	unsigned long error = ERR_peek_error();
	int lib = ERR_GET_LIB(error), number = ERR_GET_REASON(error);
	const char *reason = lib == ERR_LIB_SYS ? strerror(number)
			     : error != 0       ? ERR_reason_error_string(error)
						: NULL;
	if ((lib == ERR_LIB_PEM && number == PEM_R_NO_START_LINE) ||
		(lib == ERR_LIB_OSSL_DECODER && number == ERR_R_UNSUPPORTED))
		reason = "it holds none in PEM form (-----BEGIN …)";
	else if (lib == ERR_LIB_X509 && number == X509_R_KEY_VALUES_MISMATCH)
		reason = "it does not belong to the certificate";
	snprintf(why, TLS_WHY_MAX, "%s %s: %s", what, file, reason != NULL ? reason : "not usable");
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

/* False: `why` says what is wrong. */
static bool use_certificate(SSL_CTX *ctx, const char *cert_file, const char *key_file, char why[TLS_WHY_MAX])
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		explain(why, "certificate", cert_file);
		return false;
	}
	bool asked = false;
	SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
	bool read = SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1;
	bool fits = read && SSL_CTX_check_private_key(ctx) == 1;
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	SSL_CTX_set_default_passwd_cb(ctx, NULL);
	if (fits)
		return true;
	explain(why, "private key", key_file);
	if (asked)
		snprintf(why, TLS_WHY_MAX,
			"private key %s: a pass phrase protects it, which the bridge cannot ask for; openssl "
			"pkey "
			"removes it",
			key_file);
	else if (read) /* of another kind */
		snprintf(why, TLS_WHY_MAX, "private key %s: it does not belong to the certificate", key_file);
	return false;
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

/* One line of printable ASCII, cut when `out` is too small. */
static void put_plain(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	for (char *c = out; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

/* Adds a host name or an address; other kinds of names are left out. */
static void add_name(char *names, size_t size, const GENERAL_NAME *name)
{
	char text[256] = "";
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	int len = type == GEN_DNS || type == GEN_IPADD ? ASN1_STRING_length(value) : 0;
	const unsigned char *bytes = len > 0 ? ASN1_STRING_get0_data(value) : NULL;
	if (type == GEN_DNS && len > 0)
		snprintf(text, sizeof(text), "%.*s", len, (const char *)bytes);
	else if (len == 4 || len == 16)
		inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
	size_t n = strlen(names);
	if (*text != '\0' && n + strlen(text) + 3 < size)
		snprintf(names + n, size - n, "%s%s", n > 0 ? ", " : "", text);
}

/* The names and addresses for which a certificate is valid. */
static void list_names(X509 *cert, char *out, size_t size)
{
	char names[160] = "";
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
		add_name(names, sizeof(names), sk_GENERAL_NAME_value(all, i));
	GENERAL_NAMES_free(all);
	put_plain(out, size, *names != '\0' ? names : "no name");
}

/* " on 2026-11-25" of a certificate that has expired, " before 2026-11-27" of one that is not valid yet. */
static void put_date(const X509 *cert, int error, char out[24])
{
	struct tm tm;
	bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED;
	const ASN1_TIME *time = expired ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert);
	out[0] = '\0';
	if ((expired || error == X509_V_ERR_CERT_NOT_YET_VALID) && ASN1_TIME_to_tm(time, &tm) == 1)
		strftime(out, 24, expired ? " on %Y-%m-%d" : " before %Y-%m-%d", &tm);
}

/* Keeps the reason for which a certificate is refused: libmosquitto does not tell it. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	char line[160] = "", subject[160] = "", names[160] = "no name", date[24] = "";
	if (ok)
		return ok;
	int error = X509_STORE_CTX_get_error(store);
	X509 *cert = X509_STORE_CTX_get_current_cert(store), *own = X509_STORE_CTX_get0_cert(store);
	if (cert != NULL) {
		X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
		put_date(cert, error, date);
	}
	put_plain(subject, sizeof(subject), line);
	if (own != NULL)
		list_names(own, names, sizeof(names));
	snprintf(client->reason, sizeof(client->reason), "certificate %s: %s%s; the broker's is for %s",
		subject, X509_verify_cert_error_string(error), date, names);
	return ok;
}

/* Keeps the first bytes of the peer: the head of a record, or whatever stands in its place. */
static void on_bytes(int sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	(void)version;
	(void)ssl;
	struct tls_client *client = arg;
	if (sent || type != SSL3_RT_HEADER || client->head_len > 0)
		return;
	client->head_len = len < sizeof(client->head) ? len : sizeof(client->head);
	memcpy(client->head, bytes, client->head_len);
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
			explain(why, "authorities", o->ca_file);
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
	SSL_CTX_set_msg_callback(client->ctx, on_bytes);
	SSL_CTX_set_msg_callback_arg(client->ctx, client);
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

void tls_client_read_ahead(struct tls_client *client)
{
	SSL_CTX_set_read_ahead(client->ctx, 1);
}

/* SSL_has_pending alone would also be true of a part of a record. */
bool tls_ssl_has_unread(void *ssl)
{
	char byte;
	if (ssl == NULL || !SSL_is_init_finished(ssl) || SSL_has_pending(ssl) != 1)
		return false;
	ERR_clear_error();
	int n = SSL_peek(ssl, &byte, 1);
	int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
	ERR_clear_error();
	return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

void *tls_client_context(const struct tls_client *client)
{
	return client->ctx;
}

const char *tls_client_reason(const struct tls_client *client)
{
	return client->reason;
}

struct span tls_client_head(const struct tls_client *client)
{
	return span_of(client->head, client->head_len);
}
