// SPDX-License-Identifier: MIT
/* tunnel_broker: a viewer's connection to the broker: all addresses of its name are tried.
 * Uses: bridge/base. */
#include "bridge/web/tunnel_private.h"

#include "bridge/base/descriptors.h"

#include <errno.h>
#include <unistd.h>

bool viewer_leave_address(struct viewer *v)
{
	ev_io_stop(v->tunnel->loop, &v->broker_io);
	if (v->tls != NULL)
		tls_link_free(v->tls);
	if (v->fd >= 0)
		close(v->fd);
	v->tls = NULL;
	v->fd = -1;
	lookup_failed(v->broker->lookup, &v->to);
	return ++v->tried < lookup_count(v->broker->lookup);
}

const char *viewer_connect(struct viewer *v)
{
	struct tunnel *t = v->tunnel;
	if (v->broker == NULL)
		v->broker = &t->brokers[t->broker];
	do {
		if (!lookup_address(v->broker->lookup, &v->to))
			return "the broker's name is not known yet";
		if (!descriptors_room())
			return "the bridge has no descriptors left";
		v->fd = socket(v->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		bool begun = v->fd >= 0 &&
			     (connect(v->fd, &v->to.any, address_length(&v->to)) == 0 || errno == EINPROGRESS);
		if (begun && v->broker->tls != NULL && (v->tls = tls_connect(v->broker->tls, v->fd)) == NULL)
			return "the bridge has no memory left";
		if (begun)
			return NULL;
	} while (viewer_leave_address(v));
	return "the broker is not there";
}
