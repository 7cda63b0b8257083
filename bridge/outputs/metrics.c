// SPDX-License-Identifier: MIT
/* metrics: see metrics.h. */
#include "bridge/outputs/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX (32 * 1024)

struct metrics {
	const struct stats *stats;
	struct metrics_ops ops;
	char body[BODY_MAX];
};

static void answer_metrics(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	(void)request;
	struct metrics *m = ctx;
	struct writer w = writer_of(m->body, sizeof(m->body));
	m->ops.refresh(m->ops.ctx);
	stats_write_metrics(m->stats, &w);
	answer->type = "text/plain; version=0.0.4; charset=utf-8";
	answer->body = writer_span(&w);
}

static void answer_healthz(void *ctx, const struct http_request *request, struct http_answer *answer)
{
	(void)request;
	struct metrics *m = ctx;
	const char *trouble = m->ops.trouble(m->ops.ctx);
	const char *remark = m->ops.remark(m->ops.ctx);
	snprintf(m->body, sizeof(m->body), "%s\n%s", trouble != NULL ? trouble : "ok", remark);
	answer->status = trouble != NULL ? 503 : 200;
	answer->body = span_text(m->body);
}

struct metrics *metrics_open(const struct stats *stats, const struct metrics_ops *ops)
{
	struct metrics *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->stats = stats;
	m->ops = *ops;
	return m;
}

bool metrics_route(void *ctx, struct http *http)
{
	struct metrics *m = ctx;
	return http_route(http, "/metrics", answer_metrics, m) &&
	       http_route(http, "/healthz", answer_healthz, m);
}

void metrics_free(struct metrics *m)
{
	free(m);
}
