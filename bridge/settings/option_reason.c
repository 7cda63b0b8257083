// SPDX-License-Identifier: MIT
/* option_reason: see option_reason.h. */
#include "bridge/settings/option_reason.h"

#include "bridge/base/address.h"
#include "bridge/base/hostname.h"
#include "codecs/record/emit.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DIGITS "0123456789"
#define BLANKS " \t"

/* --- what may be shown --- */

/* Where the secret begins behind a word like password and = or :, as when two options share a line. NULL: there is none. */
static const char *find_secret(const char *text)
{
	static const char *const words[] = {"pass", "pwd", "secret", "token"};
	for (const char *c = text; *c != '\0'; c++) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (strncasecmp(c, words[i], strlen(words[i])) != 0)
				continue;
			const char *end = c;
			while (byte_is_alnum((uint8_t)*end) || *end == '_')
				end++;
			end += strspn(end, BLANKS);
			if (*end == '=' || *end == ':')
				return end + 1;
		}
	}
	return NULL;
}

bool option_hides(const struct option_row *row, const char *text)
{
	return (row->flags & OPTION_SECRET) || strchr(text, '@') != NULL || find_secret(text) != NULL;
}

struct option_shown option_shown(const struct option_row *row, const char *text)
{
	struct option_shown out;
	const char *secret = find_secret(text), *at = strrchr(text, '@'), *scheme = strstr(text, "://");
	if ((row->flags & OPTION_SECRET) || (secret != NULL && at != NULL))
		snprintf(out.text, sizeof(out.text), "(hidden)");
	else if (secret != NULL)
		snprintf(out.text, sizeof(out.text), "%.*s(hidden)",
			(int)(secret - text < 100 ? secret - text : 100), text);
	else if (at != NULL)
		snprintf(out.text, sizeof(out.text), "%.*s(hidden)@%.100s",
			scheme != NULL && scheme - text < 20 ? (int)(scheme - text) + 3 : 0, text, at + 1);
	else
		snprintf(out.text, sizeof(out.text), "%.100s%s", text, strlen(text) > 100 ? "..." : "");
	return out;
}

/* --- numbers --- */

static bool is_unit(const struct option_row *row, const char *text)
{
	static const char *const durations[] = {"ms", "s", "m", "h", "d", NULL}, *const sizes[] = {
											 "K", "M", "G", NULL};
	const char *const *units = row->type == OPTION_DURATION ? durations : sizes;
	while (*units != NULL && strcmp(*units, text) != 0)
		units++;
	return *units != NULL;
}

/* Of what stands behind the digits. "": nothing is wrong, but the number is beyond the limits, which are told anyhow. */
static const char *unit_reason(const struct option_row *row, const char *rest, char *buf)
{
	if (*rest == '\0')
		return row->type == OPTION_DURATION ? "its unit is missing" : "";
	if ((*rest == '.' || *rest == ',') && byte_is_digit((uint8_t)rest[1]))
		return "only whole numbers are read";
	if (row->type == OPTION_INTEGER)
		return "it must be a number alone";
	if (strspn(rest, BLANKS) > 0)
		return "no blank may stand between number and unit";
	size_t letters = 0;
	while (byte_is_alnum((uint8_t)rest[letters]) && !byte_is_digit((uint8_t)rest[letters]))
		letters++;
	if (rest[letters] != '\0')
		return "it must be one number with one unit";
	if (is_unit(row, rest))
		return "";
	snprintf(buf, OPTION_REASON_MAX, "there is no unit %.20s", rest);
	return buf;
}

static const char *number_reason(const struct option_row *row, const char *text, char *buf)
{
	if (*text == '\0')
		return "nothing stands behind =";
	if (text[0] == '-' && byte_is_digit((uint8_t)text[1]))
		return "it must not be negative";
	if (!byte_is_digit((uint8_t)*text))
		return "it must begin with a digit";
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return "only decimal numbers are read";
	return unit_reason(row, text + strspn(text, DIGITS), buf);
}

/* --- addresses --- */

/* An IPv6 address without brackets, perhaps with a port behind it. */
static void tell_brackets(const char *part, char *buf)
{
	struct host_port found;
	const char *colon = strrchr(part, ':');
	bool port = strspn(colon + 1, DIGITS) == strlen(colon + 1) && strlen(colon + 1) > 0 &&
		    host_port_fault(span_of(part, (size_t)(colon - part)), &found) == NULL;
	int n = port ? (int)(colon - part) : (int)strlen(part);
	snprintf(buf, OPTION_REASON_MAX, "%s has no brackets: [%.*s]:%s", part, n, part,
		port ? colon + 1 : "PORT");
}

static const char *endpoint_reason(const char *part, char *buf)
{
	struct host_port found;
	const char *fault = host_port_fault(span_text(part), &found), *port = strchr(part, ':');
	bool six = found.host.len > 0 && memchr(found.host.ptr, ':', found.host.len) != NULL;
	bool number = six || strspn(part, DIGITS ".") == found.host.len;
	if (strstr(part, "://") != NULL)
		snprintf(buf, OPTION_REASON_MAX, "%s has a scheme, and only an address and a port are meant",
			part);
	else if (strspn(part, DIGITS) == strlen(part))
		snprintf(buf, OPTION_REASON_MAX,
			"%s has no address: 0.0.0.0:%s is every address of this machine", part, part);
	else if ((*part == ':' && part[1] != ':') || *part == '*')
		snprintf(buf, OPTION_REASON_MAX,
			"%s has no address: 0.0.0.0%s is every address of this machine", part,
			port != NULL ? port : ":PORT");
	else if (six && *part != '[')
		tell_brackets(part, buf);
	else if (fault != NULL)
		snprintf(buf, OPTION_REASON_MAX, "%s %s", part, fault);
	else if (!number)
		snprintf(buf, OPTION_REASON_MAX, "%s is a name, where a numeric address must stand", part);
	else
		snprintf(buf, OPTION_REASON_MAX, "%s has no port: %s:PORT", part, part);
	return buf;
}

/* Of the first part of the list that is not allowed. */
static const char *list_reason(const char *text, char *buf)
{
	union address any;
	for (const char *c = text; *c != '\0';) {
		char part[100], copy[100];
		size_t n = strcspn(c, ",");
		struct span item = span_of(c, n);
		c += n + (c[n] == ',');
		while (item.len > 0 && byte_is_blank(item.ptr[0]))
			item = span_after(item, 1);
		while (item.len > 0 && byte_is_blank(item.ptr[item.len - 1]))
			item.len--;
		span_copy(item, part, sizeof(part));
		span_copy(item, copy, sizeof(copy));
		if (item.len == 0 || (address_parse(copy, &any) && address_port(&any) != 0))
			continue;
		if (strchr(part, '@') != NULL || find_secret(part) != NULL) /* it is not shown */
			return "more than an address and a port stands there";
		return strpbrk(part, BLANKS) != NULL ? "a comma must stand between two addresses"
						     : endpoint_reason(part, buf);
	}
	return "the list is too long";
}

/* --- texts --- */

static const char *text_reason(const struct option_row *row, const char *text)
{
	if (!(row->flags & OPTION_SECRET) && !emit_is_utf8(span_text(text)))
		return "it is not UTF-8; save the file as UTF-8";
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return "it has a control character";
	return "";
}

const char *option_reason(const struct option_row *row, const char *text, char *buf)
{
	switch (row->type) {
	case OPTION_INTEGER:
	case OPTION_DURATION:
	case OPTION_SIZE:
		return number_reason(row, text, buf);
	case OPTION_ENDPOINTS:
	case OPTION_SOME_ENDPOINTS:
		return list_reason(text, buf);
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_TOPIC:
	case OPTION_PREFIXES:
	case OPTION_LABEL:
	case OPTION_LEVEL:
		return text_reason(row, text);
	case OPTION_BOOLEAN:
	case OPTION_CHOICE:
	case OPTION_TIMEZONE:
	case OPTION_NETWORKS:
	case OPTION_MOVED:
		return "";
	}
	return "";
}
