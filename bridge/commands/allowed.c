// SPDX-License-Identifier: MIT
/* allowed: see allowed.h. */
#include "bridge/commands/allowed.h"

#include "bridge/base/near.h"
#include "bridge/base/topic.h"

/* Takes the next item of a comma-separated list, without the blanks around it. False: there are no more. */
static bool next_item(const char **list, struct span *item)
{
	if (**list == '\0')
		return false;
	size_t n = strcspn(*list, ",");
	*item = span_of(*list, n);
	*list += n + ((*list)[n] == ',');
	while (item->len > 0 && item->ptr[0] == ' ')
		*item = span_after(*item, 1);
	while (item->len > 0 && item->ptr[item->len - 1] == ' ')
		item->len--;
	return true;
}

static bool span_begins(struct span s, struct span with)
{
	return with.len > 0 && s.len >= with.len && memcmp(s.ptr, with.ptr, with.len) == 0;
}

static struct span name_of(const struct request *r)
{
	if (r->name[0] != '\0')
		return span_text(r->name);
	struct span text = r->command.text;
	const uint8_t *end = text.len > 0 ? memchr(text.ptr, '#', text.len) : NULL;
	if (end != NULL && end + 1 == text.ptr + text.len) /* makers end a text with it: WHERE# */
		text.len--;
	else if (end != NULL) /* behind it may stand another command, which nobody has allowed */
		return text;
	const uint8_t *comma = text.len > 0 ? memchr(text.ptr, ',', text.len) : NULL;
	return span_of(text.ptr, comma ? (size_t)(comma - text.ptr) : text.len);
}

bool allowed_command(const struct config *config, const struct request *request)
{
	const char *list = config->commands.allow;
	struct span name = name_of(request), item;
	if (*list == '\0')
		return true;
	while (next_item(&list, &item))
		if (item.len == name.len && span_begins(name, item))
			return true;
	return false;
}

/* --- checking the list --- */

/* Words of text commands are capitals and digits; a name has a dot, or small letters only. */
static bool is_meant_as_name(struct span item)
{
	bool small = item.len > 0;
	for (size_t i = 0; i < item.len; i++) {
		if (item.ptr[i] == '.')
			return true;
		small &= item.ptr[i] >= 'a' && item.ptr[i] <= 'z';
	}
	return small;
}

unsigned allowed_check(const struct config *config, FILE *errors)
{
	const char *list = config->commands.allow;
	struct span item;
	unsigned faults = 0;
	while (next_item(&list, &item)) {
		struct near near = near_to(item);
		bool known = !is_meant_as_name(item);
		for (const struct codec *const *c = codecs; *c != NULL; c++)
			for (const struct command_spec *s = (*c)->commands; s->name != NULL; s++) {
				near_try(&near, s->name);
				known |= span_is(item, s->name);
			}
		if (known)
			continue;
		faults += config_fault(config, errors, "commands", "allow",
			"[commands] allow: no protocol has a command %.*s%s%s%s tracker2mqtt --print-commands "
			"shows all",
			(int)item.len, (const char *)item.ptr, near.name != NULL ? "; did you mean " : ";",
			near.name != NULL ? near.name : "", near.name != NULL ? "?" : "");
	}
	return faults;
}

/* --- response topics --- */

static bool is_own(const struct config *config, struct span topic, const char *name)
{
	struct topic own = topic_unit(config->publish.prefix, name, "cmd/reply");
	return span_is(topic, own.text);
}

/* Is the topic `levels`, or below it? */
static bool is_below(struct span topic, const char *levels)
{
	size_t n = strlen(levels);
	return span_begins(topic, span_text(levels)) && (topic.len == n || topic.ptr[n] == '/');
}

static bool is_listed(const struct config *config, struct span topic)
{
	const char *list = config->commands.response_topics;
	struct span item;
	while (next_item(&list, &item))
		if (span_begins(topic, item))
			return true;
	return false;
}

const char *allowed_response(const struct config *config, struct span topic, struct span correlation,
	const char *name, const char *ident, char *why, size_t size)
{
	if (correlation.len > ALLOWED_CORRELATION_MAX) {
		snprintf(why, size, "the correlation data is longer than %d bytes", ALLOWED_CORRELATION_MAX);
		return why;
	}
	if (topic.ptr == NULL || is_own(config, topic, name) || is_own(config, topic, ident))
		return NULL;
	const char *fault = topic_fault(topic);
	if (fault == NULL && is_below(topic, config->publish.prefix))
		fault = "it is below [publish] prefix";
	else if (fault == NULL && is_below(topic, config->homeassistant.prefix))
		fault = "it is below [homeassistant] prefix";
	else if (fault == NULL && !is_listed(config, topic))
		fault = "it begins with none of them";
	if (fault == NULL)
		return NULL;
	snprintf(why, size,
		"the response topic is not allowed: %s; allowed: the unit's own cmd/reply, and what begins as "
		"[commands] response_topics says: %s",
		fault, *config->commands.response_topics ? config->commands.response_topics : "nothing");
	return why;
}
