// SPDX-License-Identifier: MIT
/* address: see address.h. */
#include "bridge/base/address.h"

#include "codecs/record/bytes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

socklen_t address_length(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in4);
}

void address_bytes(const union address *a, uint8_t out[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (a->any.sa_family == AF_INET6) {
		memcpy(out, &a->in6.sin6_addr, 16);
		return;
	}
	memcpy(out, mapped, sizeof(mapped));
	memcpy(out + sizeof(mapped), &a->in4.sin_addr, 4);
}

bool address_is_loopback(const union address *a)
{
	uint8_t bytes[16];
	address_bytes(a, bytes);
	return a->any.sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) : bytes[12] == 127;
}

unsigned address_port(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in4.sin_port);
}

void address_text(const union address *a, char buf[ADDRESS_TEXT_MAX])
{
	bool six = a->any.sa_family == AF_INET6;
	buf[0] = '\0';
	inet_ntop(a->any.sa_family, six ? (const void *)&a->in6.sin6_addr : &a->in4.sin_addr, buf,
		ADDRESS_TEXT_MAX);
}

/* IPv4 without printf: it stands in each record. */
static void put_in4(const union address *a, char buf[ADDRESS_TEXT_MAX])
{
	const uint8_t *part = (const uint8_t *)&a->in4.sin_addr;
	struct writer w = writer_of(buf, ADDRESS_TEXT_MAX - 1);
	for (int i = 0; i < 4; i++) {
		writer_decimal(&w, part[i], 1);
		writer_u8(&w, i < 3 ? '.' : ':');
	}
	writer_decimal(&w, ntohs(a->in4.sin_port), 1);
	buf[w.len] = '\0';
}

void address_port_text(const union address *a, char buf[ADDRESS_TEXT_MAX])
{
	if (a->any.sa_family == AF_INET) {
		put_in4(a, buf);
		return;
	}
	char host[ADDRESS_TEXT_MAX];
	address_text(a, host);
	snprintf(buf, ADDRESS_TEXT_MAX, "[%.45s]:%u", host, ntohs(a->in6.sin6_port));
}

static char *trim(char *text)
{
	text += strspn(text, " \t");
	size_t n = strlen(text);
	while (n > 0 && byte_is_blank((uint8_t)text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

static bool parse_digits(const char *text, long most, long *out)
{
	size_t n = strlen(text);
	if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
		return false;
	*out = strtol(text, NULL, 10);
	return *out <= most;
}

bool address_parse(char *text, union address *out)
{
	char *host = trim(text), *colon = strrchr(host, ':');
	long port;
	if (colon == NULL || !parse_digits(colon + 1, 65535, &port))
		return false;
	*colon = '\0';
	memset(out, 0, sizeof(*out));
	size_t n = strlen(host);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host + 1, &out->in6.sin6_addr) == 1;
	}
	out->in4.sin_family = AF_INET;
	out->in4.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &out->in4.sin_addr) == 1;
}

bool network_parse(char *text, struct network *out)
{
	char *host = trim(text), *slash = strchr(host, '/');
	union address a;
	memset(&a, 0, sizeof(a));
	if (slash != NULL)
		*slash = '\0';
	bool six = strchr(host, ':') != NULL;
	a.any.sa_family = six ? AF_INET6 : AF_INET;
	if (inet_pton(a.any.sa_family, host, six ? (void *)&a.in6.sin6_addr : &a.in4.sin_addr) != 1)
		return false;
	long most = six ? 128 : 32, bits = most;
	if (slash != NULL && !parse_digits(slash + 1, most, &bits))
		return false;
	address_bytes(&a, out->bytes);
	out->bits = (unsigned)(128 - most + bits);
	return true;
}

bool network_has(const struct network *network, const union address *a)
{
	uint8_t bytes[16];
	address_bytes(a, bytes);
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	if (memcmp(bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}
