// SPDX-License-Identifier: MIT
/* waiting: see waiting.h. */
#include "bridge/commands/waiting.h"

#include <stdlib.h>
#include <utlist.h>

#define FORM 2        /* of what is kept: a later one may differ */
#define FORM_TICKET 3 /* the same, and behind it a ticket */
#define TIME_MOST (INT64_C(1) << 50)
#define NEVER INT64_MAX

/* --- one request --- */

struct waiting *waiting_new(struct span ident, struct span name)
{
	struct waiting *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	span_copy(ident, w->ident, sizeof(w->ident));
	span_copy(name, w->topic, sizeof(w->topic));
	w->token.serial = -1;
	w->until_ms = NEVER;
	return w;
}

static void free_span(struct span s)
{
	free((void *)(uintptr_t)s.ptr);
}

void waiting_free(struct waiting *w)
{
	request_free(&w->request);
	free_span(w->payload);
	free_span(w->frame);
	free_span(w->response_topic);
	free_span(w->correlation);
	free_span(w->receipt);
	free_span(w->receipt_result);
	free(w->settling);
	free(w);
}

bool waiting_own(struct waiting *w, struct span *to, struct span from)
{
	uint8_t *copy = from.len > 0 ? malloc(from.len) : NULL;
	if (copy != NULL)
		memcpy(copy, from.ptr, from.len);
	*to = span_of(copy, copy != NULL ? from.len : 0);
	w->bytes += to->len;
	return to->len == from.len;
}

/* --- all of them --- */

const struct addressee *waiting_addressee(const struct waiting_list *list, const char *ident)
{
	struct addressee *a = NULL;
	HASH_FIND_STR(list->addressees, ident, a);
	return a;
}

struct waiting *waiting_for(const struct waiting_list *list, const char *ident)
{
	const struct addressee *a = waiting_addressee(list, ident);
	return a != NULL ? a->waiting : NULL;
}

struct waiting *waiting_numbered(const struct waiting_list *list, uint64_t number)
{
	struct waiting *w = NULL;
	HASH_FIND(hh, list->all, &number, sizeof(number), w);
	return w;
}

struct waiting *waiting_ticket(const struct waiting_list *list, const char *ticket)
{
	struct waiting *w = NULL;
	if (ticket[0] != '\0')
		HASH_FIND(by_ticket, list->tickets, ticket, (unsigned)strlen(ticket), w);
	return w;
}

bool waiting_join(struct waiting_list *list, struct waiting *w)
{
	struct addressee *a = NULL;
	HASH_FIND_STR(list->addressees, w->ident, a);
	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return false;
		memcpy(a->ident, w->ident, sizeof(a->ident));
		HASH_ADD_STR(list->addressees, ident, a);
	}
	w->addressee = a;
	w->number = ++list->number;
	list->bytes += w->bytes;
	a->count++;
	DL_APPEND(a->waiting, w);
	HASH_ADD(hh, list->all, number, sizeof(w->number), w);
	if (w->ticket[0] != '\0')
		HASH_ADD(by_ticket, list->tickets, ticket, (unsigned)strlen(w->ticket), w);
	return true;
}

void waiting_leave(struct waiting_list *list, struct waiting *w)
{
	struct addressee *a = w->addressee;
	w->addressee = NULL;
	DL_DELETE(a->waiting, w);
	HASH_DEL(list->all, w);
	if (w->ticket[0] != '\0')
		HASH_DELETE(by_ticket, list->tickets, w);
	list->bytes -= w->bytes;
	if (--a->count > 0)
		return;
	HASH_DEL(list->addressees, a);
	free(a);
}

/* --- kept --- */

void waiting_key(const struct waiting *w, uint8_t out[WAITING_KEY])
{
	struct writer to = writer_of(out, WAITING_KEY);
	writer_u8(&to, 'r');
	writer_u64(&to, w->number);
}

void waiting_pack(const struct waiting *w, struct moment now, struct writer *out)
{
	int64_t left = w->until_ms - now.steady_ms;
	writer_u8(out, w->ticket[0] != '\0' ? FORM_TICKET : FORM);
	writer_u8(out, (uint8_t)w->stage);
	writer_u64(out, (uint64_t)(now.unix_ms + left));
	writer_u64(out, (uint64_t)left);
	writer_u64(out, (uint64_t)(now.unix_ms - (now.steady_ms - w->sent_ms)));
	writer_u64(out, (uint64_t)w->timeout_ms);
	writer_u32(out, (uint32_t)w->token.serial);
	writer_u8(out, w->token.report);
	writer_counted(out, span_text(w->token.word));
	writer_counted(out, span_text(w->token.time));
	writer_counted(out, span_text(w->ident));
	writer_counted(out, span_text(w->topic));
	writer_counted(out, w->payload);
	writer_counted(out, w->frame);
	writer_counted(out, w->response_topic);
	writer_counted(out, w->correlation);
	writer_counted(out, w->receipt);
	writer_counted(out, w->receipt_result);
	writer_u64(out, (uint64_t)(w->receipt_ms - w->sent_ms));
	if (w->ticket[0] != '\0')
		writer_counted(out, span_text(w->ticket));
}

/* Reads what waiting_pack wrote. False: it is none, or there is no memory. */
/* Can this be a time of a request, or a span of time? What is damaged on disk must not overflow. */
static bool is_time(int64_t ms)
{
	return ms > -TIME_MOST && ms < TIME_MOST;
}

static bool unpack(struct waiting *w, struct reader *r, struct span word, struct span time)
{
	char why[1200];
	span_copy(word, w->token.word, sizeof(w->token.word));
	span_copy(time, w->token.time, sizeof(w->token.time));
	struct span payload = reader_counted(r), frame = reader_counted(r), response = reader_counted(r),
		    correlation = reader_counted(r), receipt = reader_counted(r), result = reader_counted(r);
	int64_t receipt_after = (int64_t)reader_u64(r);
	w->receipt_ms = w->sent_ms + (is_time(receipt_after) ? receipt_after : 0);
	if (r->bad || request_parse(&w->request, payload, why, sizeof(why)) != NULL)
		return false;
	w->bytes = sizeof(*w) + w->request.bytes;
	return waiting_own(w, &w->payload, payload) && waiting_own(w, &w->frame, frame) &&
	       waiting_own(w, &w->response_topic, response) && waiting_own(w, &w->correlation, correlation) &&
	       waiting_own(w, &w->receipt, receipt) && waiting_own(w, &w->receipt_result, result);
}

struct waiting *waiting_unpack(struct span key, struct span value, struct moment now, uint64_t *number)
{
	struct reader k = reader_of(key), r = reader_of(value);
	uint8_t form = reader_u8(&r);
	if (key.len != WAITING_KEY || reader_u8(&k) != 'r' || (form != FORM && form != FORM_TICKET))
		return NULL;
	*number = reader_u64(&k);
	uint8_t stage = reader_u8(&r);
	int64_t until = (int64_t)reader_u64(&r), most = (int64_t)reader_u64(&r);
	int64_t sent = (int64_t)reader_u64(&r), timeout = (int64_t)reader_u64(&r);
	int32_t serial = (int32_t)reader_u32(&r);
	bool report = reader_u8(&r) != 0;
	struct span word = reader_counted(&r), time = reader_counted(&r), ident = reader_counted(&r),
		    topic = reader_counted(&r);
	if (!is_time(until) || !is_time(most) || !is_time(sent) || !is_time(timeout))
		return NULL;
	if (r.bad || ident.len == 0 || topic.len == 0 || stage <= STAGE_NEW || stage > STAGE_SENT ||
		ident.len > CODEC_IDENT_MAX || topic.len > 60)
		return NULL;
	struct waiting *w = waiting_new(ident, topic);
	if (w == NULL)
		return NULL;
	int64_t left = until - now.unix_ms;
	w->stage = stage == STAGE_HELD ? STAGE_HELD : STAGE_SENT;
	w->restored = stage != STAGE_HELD;
	w->kept = true;
	w->timeout_ms = timeout;
	w->until_ms = now.steady_ms + (left < 0 ? 0 : left > most ? most : left);
	w->sent_ms = now.steady_ms - (now.unix_ms - sent);
	w->token.serial = serial;
	w->token.report = report;
	bool ok = unpack(w, &r, word, time);
	struct span ticket = form == FORM_TICKET ? reader_counted(&r) : span_of(NULL, 0);
	if (ok && !r.bad && ticket.len <= TICKET_MAX) {
		span_copy(ticket, w->ticket, sizeof(w->ticket));
		return w;
	}
	waiting_free(w);
	return NULL;
}
