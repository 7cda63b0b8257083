// SPDX-License-Identifier: MIT
/* request: see request.h. */
#include "bridge/commands/request.h"

#include "bridge/settings/option_types.h"

#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SECONDS_MAX (30.0 * 86400)
#define ITEM_BYTES 128 /* memory that cJSON takes for a key and its value, beside their texts */

/* NULL, or why not: too many keys, or one of them twice. `word`: what they are called. */
static const char *check_keys(struct request *r, const cJSON *object, const char *word, char *why, size_t size)
{
	int count = cJSON_GetArraySize(object);
	r->bytes += (size_t)count * ITEM_BYTES;
	snprintf(why, size, "too many %ss: %d; at most %d are allowed", word, count, REQUEST_KEYS_MAX);
	if (count > REQUEST_KEYS_MAX)
		return why;
	for (const cJSON *a = object->child; a != NULL; a = a->next) {
		for (const cJSON *b = a->next; b != NULL; b = b->next) {
			if (strcmp(a->string, b->string) != 0)
				continue;
			r->quotes = true;
			snprintf(why, size, "the %s %.60s is there twice", word, a->string);
			return why;
		}
	}
	return NULL;
}

static const char *take_args(struct request *r, const cJSON *args, char *why, size_t size)
{
	if (!cJSON_IsObject(args))
		return "args must be an object";
	const char *fault = check_keys(r, args, "argument", why, size);
	for (const cJSON *item = args->child; fault == NULL && item != NULL; item = item->next) {
		if (cJSON_IsString(item) || cJSON_IsNumber(item))
			continue;
		r->quotes = true;
		snprintf(why, size, "argument %.60s is of the wrong type; allowed: a string or a number",
			item->string);
		fault = why;
	}
	return fault;
}

static const char *text_fault(
	struct request *r, struct span text, const struct codec *codec, char *why, size_t size)
{
	const char *fault = request_text_fault(text, codec, why, size);
	r->quotes |= fault != NULL; /* it may repeat a part of the text */
	return fault;
}

/* Reads one key of the document. NULL, or why the request is rejected. */
static const char *take_key(struct request *r, const cJSON *item, char *why, size_t size)
{
	const char *key = item->string, *text = cJSON_IsString(item) ? item->valuestring : NULL;
	int64_t *time = strcmp(key, "timeout") == 0 ? &r->timeout_ms
			: strcmp(key, "hold") == 0  ? &r->hold_ms
						    : NULL;
	if (time != NULL) {
		double least = time == &r->timeout_ms ? 0.1 : 0, seconds = -1;
		int64_t ms;
		if (cJSON_IsNumber(item))
			seconds = item->valuedouble;
		else if (text != NULL && option_duration(text, &ms))
			seconds = (double)ms / 1000.0;
		bool ok = seconds >= least && seconds <= SECONDS_MAX;
		snprintf(why, size,
			"%s must be a number of seconds from %g to %g, or a duration with a unit (ms s m h d): "
			"\"1h\"",
			key, least, SECONDS_MAX);
		*time = ok ? llround(seconds * 1000) : -1;
		return ok ? NULL : why;
	}
	if (strcmp(key, "payload") == 0) {
		r->command.text = text ? span_text(text) : span_of(NULL, 0);
		return text ? text_fault(r, r->command.text, NULL, why, size) : "payload must be a string";
	}
	if (strcmp(key, "id") == 0)
		return NULL; /* see take_id */
	if (strcmp(key, "command") == 0) {
		snprintf(why, size, "command must be a string of 1 to %zu bytes", sizeof(r->name) - 1);
		if (text == NULL || *text == '\0' || strlen(text) >= sizeof(r->name))
			return why;
		strcpy(r->name, text);
		return NULL;
	}
	if (strcmp(key, "args") == 0)
		return take_args(r, item, why, size);
	r->quotes = true;
	snprintf(why, size, "unknown key %.60s; allowed: payload, command, args, id, timeout, hold", key);
	return why;
}

/* Before all else: whatever is wrong with the request, its reply carries its id. */
static const char *take_id(struct request *r, const cJSON *doc, char *why, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, "id");
	const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
	snprintf(why, size, "id must be a string of 1 to %zu bytes", sizeof(r->id) - 1);
	if (item == NULL)
		return NULL;
	if (text == NULL || *text == '\0' || strlen(text) >= sizeof(r->id))
		return why;
	strcpy(r->id, text);
	return NULL;
}

static const char *take_document(struct request *r, const cJSON *doc, char *why, size_t size)
{
	if (!cJSON_IsObject(doc))
		return "the JSON must be an object, for example {\"command\":\"position.request\"}";
	const char *fault = take_id(r, doc, why, size);
	if (fault == NULL)
		fault = check_keys(r, doc, "key", why, size);
	if (fault != NULL)
		return fault;
	for (const cJSON *item = doc->child; item != NULL; item = item->next) {
		fault = take_key(r, item, why, size);
		if (fault != NULL)
			return fault;
	}
	bool payload = cJSON_GetObjectItemCaseSensitive(doc, "payload") != NULL;
	if (payload == (r->name[0] != '\0'))
		return "exactly one of payload and command must be given";
	if (payload && cJSON_GetObjectItemCaseSensitive(doc, "args") != NULL)
		return "args go with command, not with payload";
	return NULL;
}

const char *request_parse(struct request *r, struct span payload, char *why, size_t size)
{
	*r = (struct request){.timeout_ms = -1, .hold_ms = -1, .bytes = payload.len + ITEM_BYTES};
	if (payload.len > REQUEST_MAX) {
		snprintf(why, size, "the request is longer than %d bytes", REQUEST_MAX);
		return why;
	}
	/* a text is kept in a JSON string, so that request_free has one kind of document */
	if (payload.len == 0 || payload.ptr[0] != '{') {
		char buf[REQUEST_MAX + 1];
		const char *fault = text_fault(r, payload, NULL, why, size);
		if (fault == NULL)
			fault = command_check_text(payload, REQUEST_MAX, NULL, why, size);
		if (fault != NULL)
			return fault;
		memcpy(buf, payload.ptr, payload.len);
		buf[payload.len] = '\0';
		cJSON *item = cJSON_CreateString(buf);
		if (item == NULL)
			return "no memory";
		r->document = item;
		r->command.text = span_text(item->valuestring);
		return NULL;
	}
	if (!emit_is_utf8(payload))
		return "the JSON is not valid UTF-8";
	if (memchr(payload.ptr, 0, payload.len) != NULL)
		return "the JSON holds a NUL byte";
	char text[REQUEST_MAX + 1];
	const char *end = NULL;
	memcpy(text, payload.ptr, payload.len);
	text[payload.len] = '\0';
	cJSON *doc = cJSON_ParseWithOpts(text, &end, true);
	if (doc == NULL) {
		snprintf(why, size, "broken JSON at byte %td", end ? end - text : 0);
		return why;
	}
	const char *fault = take_document(r, doc, why, size);
	r->document = doc;
	if (fault != NULL)
		request_free(r);
	return fault;
}

void request_free(struct request *r)
{
	cJSON_Delete(r->document);
	r->document = NULL;
}

static const char *take_argument(
	struct request *r, const cJSON *item, const struct command_marks *marks, char *why, size_t size)
{
	char detail[200];
	const struct command_spec *spec = r->command.spec;
	size_t i = 0, n = 0;
	while (i < COMMAND_ARGS_MAX && spec->args[i].param.key != NULL &&
		strcmp(spec->args[i].param.key, item->string))
		i++;
	if (i == COMMAND_ARGS_MAX || spec->args[i].param.key == NULL) {
		r->quotes = true;
		n = (size_t)snprintf(why, size, "%s has no argument %.60s; allowed:", spec->name, item->string);
		for (size_t k = 0; k < COMMAND_ARGS_MAX && spec->args[k].param.key != NULL && n < size; k++)
			n += (size_t)snprintf(why + n, size - n, " %s", spec->args[k].param.key);
		if (spec->args[0].param.key == NULL && n < size)
			snprintf(why + n, size - n, " none");
		return why;
	}
	const struct command_arg *arg = &spec->args[i];
	struct command_value *value = &r->command.values[i];
	const struct param *p = &arg->param;
	bool number = p->type == PARAM_INTEGER;
	bool right = number ? cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble &&
				      fabs(item->valuedouble) < 1e15
			    : cJSON_IsString(item);
	if (right && number)
		value->number = (int64_t)item->valuedouble;
	if (right && !number)
		value->text = span_text(item->valuestring);
	value->given = true;
	const char *fault =
		right ? command_check_value(arg, value, marks, detail, sizeof(detail)) : "of the wrong type";
	if (fault == NULL)
		return NULL;
	snprintf(why, size, "argument %s is %s; allowed: %s from %lld to %lld%s%s", p->key, fault,
		number ? "a whole number" : "a string with a length", (long long)p->min, (long long)p->max,
		*p->unit ? " " : "", p->unit);
	return why;
}

const char *request_resolve(struct request *r, const struct codec *codec, char *why, size_t size)
{
	if (r->name[0] == '\0') {
		const char *fault = text_fault(r, r->command.text, codec, why, size);
		return fault != NULL ? fault
				     : command_check_text(
					       r->command.text, codec->max_command, &codec->marks, why, size);
	}
	r->command.spec = command_find(codec->commands, span_text(r->name));
	if (r->command.spec == NULL) {
		r->quotes = true;
		size_t n =
			(size_t)snprintf(why, size, "%s has no command %.60s; allowed:", codec->name, r->name);
		for (const struct command_spec *s = codec->commands; s->name != NULL && n < size; s++)
			n += (size_t)snprintf(why + n, size - n, " %s", s->name);
		return why;
	}
	memset(r->command.values, 0, sizeof(r->command.values));
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(r->document, "args");
	for (const cJSON *item = args ? args->child : NULL; item != NULL; item = item->next) {
		const char *fault = take_argument(r, item, &codec->marks, why, size);
		if (fault != NULL)
			return fault;
	}
	const char *missing = command_complete(&r->command);
	snprintf(why, size, "%s needs the argument %s", r->name, missing ? missing : "");
	return missing ? why : NULL;
}
