// SPDX-License-Identifier: MIT
/* stats: see stats.h. */
#include "bridge/base/stats.h"

const struct stat_info stat_table[STAT_COUNT] = {
	[STAT_UPTIME] = {"uptime", "uptime_seconds", STAT_IS_GAUGE, "Time since the start."},
	[STAT_ACCEPTED] = {"connections.accepted", "connections_accepted", STAT_IS_COUNTER,
		"Connections and UDP peers that came."},
	[STAT_CONNECTIONS] = {"connections", "connections", STAT_IS_GAUGE, "Connections and UDP peers now."},
	[STAT_UNITS] = {"units.online", "units_online", STAT_IS_GAUGE, "Units on line."},
	[STAT_TAKEOVERS] = {"units.takeovers", "unit_takeovers", STAT_IS_COUNTER,
		"Units that came on a new connection while the old one was open."},
	[STAT_FLAPPING] = {"units.flapping", "unit_flapping", STAT_IS_COUNTER,
		"Takeovers by another address soon after one before."},
	[STAT_BYTES_IN] = {"bytes.in", "received_bytes", STAT_IS_COUNTER, "Bytes from units."},
	[STAT_BYTES_OUT] = {"bytes.out", "sent_bytes", STAT_IS_COUNTER, "Bytes to units."},
	[STAT_NOISE] = {"bytes.noise", "noise_bytes", STAT_IS_COUNTER, "Bytes between frames."},
	[STAT_UNKNOWN] = {"connections.unknown", "connections_unknown", STAT_IS_COUNTER,
		"Connections that no protocol recognised."},
	[STAT_FRAMES] = {"frames", "frames", STAT_IS_COUNTER, "Frames, good and rejected."},
	[STAT_RECORDS] = {"records", "records", STAT_IS_COUNTER, "Records published as position or telemetry."},
	[STAT_MISDATED] = {"records.misdated", "records_misdated", STAT_IS_COUNTER,
		"Live records whose date is more than a day behind, and records dated more than a day ahead."},
	[STAT_ALARMS] = {"alarms", "alarms", STAT_IS_COUNTER, "Records published as alarm, too."},
	[STAT_ACKS] = {"acknowledgements", "acknowledgements", STAT_IS_COUNTER, "Answers to units."},
	[STAT_COMMANDS] = {"commands", "commands", STAT_IS_COUNTER, "Requests on command topics."},
	[STAT_COMMANDS_SENT] = {"commands.sent", "commands_sent", STAT_IS_COUNTER, "Commands sent to units."},
	[STAT_COMMANDS_OFFLINE] = {"commands.offline", "commands_offline", STAT_IS_COUNTER,
		"Commands that ended because the unit was not there."},
	[STAT_COMMANDS_REJECTED] = {"commands.rejected", "commands_rejected", STAT_IS_COUNTER,
		"Requests that were rejected."},
	[STAT_COMMANDS_ANSWERED] = {"commands.answered", "commands_answered", STAT_IS_COUNTER,
		"Commands that units answered."},
	[STAT_COMMANDS_TIMEOUT] = {"commands.timeout", "commands_timeout", STAT_IS_COUNTER,
		"Commands without an answer in time."},
	[STAT_COMMANDS_EXPIRED] = {"commands.expired", "commands_expired", STAT_IS_COUNTER,
		"Commands held in vain."},
	[STAT_COMMANDS_UNTOLD] = {"commands.untold", "commands_untold", STAT_IS_COUNTER,
		"Requests that got no reply, for there were too many."},
	[STAT_PENDING] = {"outbox.messages", "outbox_messages", STAT_IS_GAUGE,
		"Messages that wait for the broker."},
	[STAT_PENDING_BYTES] = {"outbox.bytes", "outbox_bytes", STAT_IS_GAUGE, "Their bytes."},
	[STAT_STALLED] = {"outbox.full", "outbox_full", STAT_IS_GAUGE, "1 while reading from units pauses."},
	[STAT_PUBLISHED] = {"messages.published", "messages_published", STAT_IS_COUNTER,
		"Messages that the broker has taken."},
	[STAT_NOT_TAKEN] = {"messages.refused", "messages_refused", STAT_IS_COUNTER,
		"Answers of the broker that refuse a message; it is kept or set aside."},
	[STAT_WAITING] = {"messages.waiting", "messages_waiting", STAT_IS_GAUGE,
		"Messages that wait because the broker refuses them, or one before them."},
	[STAT_ASIDE] = {"messages.set_aside", "messages_set_aside", STAT_IS_COUNTER,
		"Messages that the broker can never take; --outbox-status shows them."},
	[STAT_NOT_SUBSCRIBED] = {"subscriptions.refused", "subscriptions_refused", STAT_IS_COUNTER,
		"Subscriptions that the broker refused."},
	[STAT_MQTT_CONNECTS] = {"mqtt.connects", "mqtt_connects", STAT_IS_COUNTER,
		"Connections to the broker."},
	[STAT_MQTT_INFLIGHT] = {"mqtt.inflight", "mqtt_inflight", STAT_IS_GAUGE,
		"Messages on their way to the broker."},
	[STAT_RELAYED] = {"relay.frames", "relay_frames", STAT_IS_COUNTER,
		"Frames sent to the maker's platform."},
	[STAT_RELAY_DROPPED] = {"relay.dropped", "relay_dropped_frames", STAT_IS_COUNTER,
		"Frames left out there, for want of room."},
	[STAT_VIEWERS] = {"web.viewers", "web_viewers", STAT_IS_GAUGE,
		"Browsers that reach the broker through the bridge."},
	[STAT_REFUSED_CONNECTIONS] = {"refused.max_connections", NULL, STAT_IS_COUNTER,
		"All places of [listen] max_connections are taken: raise it, or name your units in the units "
		"file, which always have a place."},
	[STAT_REFUSED_PER_ADDRESS] = {"refused.max_connections_per_address", NULL, STAT_IS_COUNTER,
		"The address has as many connections open as [listen] max_connections_per_address allows: "
		"units behind one carrier's address need more, 0 is no limit."},
	[STAT_REFUSED_UNIDENTIFIED] = {"refused.unidentified", NULL, STAT_IS_COUNTER,
		"More connections than [limits] unidentified have not named a unit yet; the oldest of the "
		"address with most was closed."},
	[STAT_REFUSED_NO_FRAME] = {"refused.no_frame_in_time", NULL, STAT_IS_COUNTER,
		"A connection sent no whole frame within [listen] first_frame_timeout and was closed: a "
		"tracker without APN or GPRS mode, another protocol, or a scan."},
	[STAT_REFUSED_UNKNOWN_PROTOCOL] = {"refused.unknown_protocol", NULL, STAT_IS_COUNTER,
		"What came is no protocol of this bridge; the bridge's unknown topic shows the first bytes."},
	[STAT_REFUSED_PROXY_FROM] = {"refused.proxy_from", NULL, STAT_IS_COUNTER,
		"This address is no proxy of [listen] proxy_from, which alone may connect to a port of "
		"[listen] proxy_protocol."},
	[STAT_REFUSED_PROXY_HEADER] = {"refused.proxy_header", NULL, STAT_IS_COUNTER,
		"A port of [listen] proxy_protocol expects a PROXY header first, and none came, or a wrong "
		"one: let the proxy send it, or take the port out of that option."},
	[STAT_REFUSED_TLS] = {"refused.tls", NULL, STAT_IS_COUNTER,
		"A port of [listen] tls expects TLS: the peer spoke plainly, broke off, or does not accept the "
		"certificate."},
	[STAT_REFUSED_UNITS_PER_CONNECTION] = {"refused.units_per_connection", NULL, STAT_IS_COUNTER,
		"More units than [limits] units_per_connection spoke on one connection."},
	[STAT_REFUSED_UNITS] = {"refused.units", NULL, STAT_IS_COUNTER,
		"More units than [limits] units are on line that are not in the units file: raise it, or name "
		"your units there."},
	[STAT_REFUSED_ARRIVALS_PER_ADDRESS] = {"refused.arrivals_per_address", NULL, STAT_IS_COUNTER,
		"More new units than [limits] arrivals_per_address came from one address in a second; the rest "
		"is taken later."},
	[STAT_REFUSED_UDP_ARRIVALS] = {"refused.udp_arrivals", NULL, STAT_IS_COUNTER,
		"More new units than [limits] udp_arrivals came over UDP in a second; the rest is taken when "
		"it comes again."},
	[STAT_REFUSED_FRAMES_PER_UNIT] = {"refused.frames_per_unit", NULL, STAT_IS_COUNTER,
		"A unit sent more records in a second than [limits] frames_per_unit allows; it is read more "
		"slowly."},
	[STAT_REFUSED_FRAMES_PER_ADDRESS] = {"refused.frames_per_address", NULL, STAT_IS_COUNTER,
		"An address sent more records in a second than [limits] frames_per_address allows; it is read "
		"more slowly."},
	[STAT_REFUSED_NOT_ADMITTED] = {"refused.not_admitted", NULL, STAT_IS_COUNTER,
		"A unit is not admitted: [units] unknown = reject and the units file does not name it, or its "
		"number is the name of another unit."},
	[STAT_REFUSED_TAKEOVER] = {"refused.takeover", NULL, STAT_IS_COUNTER,
		"Two peers claim the same unit; the one that came first keeps it for now, and the records of "
		"both are taken."},
	[STAT_REFUSED_UDP_ANSWER] = {"refused.udp_answer", NULL, STAT_IS_COUNTER,
		"Over UDP no more is answered than three times what came, for the address may be forged."},
	[STAT_REFUSED_OUTPUT] = {"refused.output", NULL, STAT_IS_COUNTER,
		"A unit does not read what it is sent, and [limits] output of bytes wait for it; the rest was "
		"left out."},
	[STAT_REFUSED_OUTBOX_SHARE] = {"refused.outbox_share", NULL, STAT_IS_COUNTER,
		"The outbox is filling up, and this address has filled its share; it is read again when others "
		"have had theirs."},
};

uint64_t stats_arrived(const struct stats *s)
{
	uint64_t n = s->count[STAT_ACCEPTED] + s->count[STAT_FRAMES];
	for (size_t i = STAT_REFUSED_CONNECTIONS; i < STAT_COUNT; i++)
		n += s->count[i];
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		n += s->rejected[i];
	return n;
}

const char *stat_reason(enum counter counter)
{
	return stat_table[counter].name + strlen("refused.");
}

/* Statuses that are no reason of a rejected frame. */
static bool is_reason(size_t status)
{
	return status != CODEC_OK && status != CODEC_MORE && status != CODEC_NO_ROOM;
}

void stats_emit(const struct stats *stats, struct emitter *e)
{
	unsigned reasons = 0;
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		reasons += is_reason(i);
	emit_map(e, STAT_COUNT + reasons + (stats->broker != NULL));
	if (stats->broker != NULL)
		emit_pair_text(e, "mqtt.broker", span_text(stats->broker));
	for (size_t i = 0; i < STAT_COUNT; i++)
		emit_pair_integer(e, stat_table[i].name, (int64_t)stats->count[i]);
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++) {
		char key[64];
		struct writer w = writer_of(key, sizeof(key) - 1);
		if (!is_reason(i))
			continue;
		writer_text(&w, "frames.rejected.");
		writer_text(&w, codec_status_names[i]);
		key[w.len] = '\0';
		emit_pair_integer(e, key, (int64_t)stats->rejected[i]);
	}
	emit_end(e);
}

/* Why a frame gave no record. */
static const char *const rejected_help[CODEC_STATUS_COUNT] = {
	[CODEC_NOT_MINE] = "The frame is of no protocol of this bridge.",
	[CODEC_OVERSIZE] = "The frame is longer than its protocol allows.",
	[CODEC_NO_TERMINATOR] = "The next frame began before this one ended.",
	[CODEC_TRUNCATED] = "The connection or datagram ended within the frame.",
	[CODEC_BAD_ID] = "The ident of the unit has characters that no ident may have, or too many.",
	[CODEC_NO_IDENT] = "The frame names no unit, and none is known on this connection.",
	[CODEC_NO_TYPE] = "The frame does not say what it is.",
	[CODEC_BAD_FIELDS] = "A field is missing, or does not have the form that it must have.",
	[CODEC_BAD_BCD] = "A byte that must hold two decimal digits holds something else.",
	[CODEC_BAD_ESCAPE] = "An escape sequence is wrong.",
	[CODEC_BAD_CHECKSUM] = "The check code is wrong: the frame was damaged on its way.",
	[CODEC_BAD_LENGTH] = "The length in the frame is not its length.",
	[CODEC_ENCRYPTED] = "The body is encrypted, and the bridge has no key.",
	[CODEC_FRAGMENT] =
		"No error: one part of a message in several frames; the record comes with the last part.",
	[CODEC_UNSUPPORTED] =
		"The bridge does not know this kind of frame; its record carries the bytes as they are.",
	[CODEC_BAD_LATITUDE] = "A valid fix is claimed at an impossible latitude.",
	[CODEC_BAD_LONGITUDE] = "A valid fix is claimed at an impossible longitude.",
	[CODEC_REFUSED] = "The unit is not admitted, or its record cannot be stored now.",
	[CODEC_FROM_PLATFORM] = "Only a platform sends this frame, never a unit.",
};

void stats_print(FILE *out)
{
	for (size_t i = 0; i < STAT_COUNT; i++)
		fprintf(out, "%-36s %-8s %s\n", stat_table[i].name,
			stat_table[i].kind == STAT_IS_GAUGE ? "gauge" : "counter", stat_table[i].help);
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		if (is_reason(i))
			fprintf(out, "frames.rejected.%-20s counter  %s\n", codec_status_names[i],
				rejected_help[i]);
}

/* --- Prometheus --- */

static void put_metric_head(struct writer *w, const char *metric, bool counter, const char *help)
{
	const char *const parts[] = {"# HELP tracker2mqtt_", metric, counter ? "_total " : " ", help,
		"\n# TYPE tracker2mqtt_", metric, counter ? "_total counter\n" : " gauge\n"};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		writer_text(w, parts[i]);
}

/* `reason` NULL: the metric has no label. */
static void put_value(struct writer *w, const char *metric, bool counter, const char *reason, uint64_t value)
{
	writer_text(w, "tracker2mqtt_");
	writer_text(w, metric);
	writer_text(w, counter ? "_total" : "");
	if (reason != NULL) {
		writer_text(w, "{reason=\"");
		writer_text(w, reason);
		writer_text(w, "\"}");
	}
	writer_u8(w, ' ');
	writer_decimal(w, value, 1);
	writer_u8(w, '\n');
}

void stats_write_metrics(const struct stats *stats, struct writer *w)
{
	for (size_t i = 0; i < STAT_COUNT; i++) {
		const struct stat_info *s = &stat_table[i];
		if (s->metric == NULL)
			continue;
		put_metric_head(w, s->metric, s->kind == STAT_IS_COUNTER, s->help);
		put_value(w, s->metric, s->kind == STAT_IS_COUNTER, NULL, stats->count[i]);
	}
	put_metric_head(w, "refused", true, "What was refused to addresses, by reason.");
	for (size_t i = 0; i < STAT_COUNT; i++)
		if (stat_table[i].metric == NULL)
			put_value(w, "refused", true, stat_reason((enum counter)i), stats->count[i]);
	put_metric_head(w, "frames_rejected", true, "Frames without a record, by reason.");
	for (size_t i = 0; i < CODEC_STATUS_COUNT; i++)
		if (is_reason(i))
			put_value(w, "frames_rejected", true, codec_status_names[i], stats->rejected[i]);
}
