/* stats: see stats.h. */
#include "stats.h"

const char *const stat_names[STAT_COUNT] = {
	[STAT_UPTIME] = "uptime",
	[STAT_ACCEPTED] = "connections.accepted",
	[STAT_CONNECTIONS] = "connections",
	[STAT_UNITS] = "units.online",
	[STAT_TAKEOVERS] = "units.takeovers",
	[STAT_FLAPPING] = "units.flapping",
	[STAT_BYTES_IN] = "bytes.in",
	[STAT_BYTES_OUT] = "bytes.out",
	[STAT_NOISE] = "bytes.noise",
	[STAT_UNKNOWN] = "connections.unknown",
	[STAT_FRAMES] = "frames",
	[STAT_RECORDS] = "records",
	[STAT_ALARMS] = "alarms",
	[STAT_ACKS] = "acknowledgements",
	[STAT_COMMANDS] = "commands",
	[STAT_COMMANDS_SENT] = "commands.sent",
	[STAT_COMMANDS_OFFLINE] = "commands.offline",
	[STAT_COMMANDS_REJECTED] = "commands.rejected",
	[STAT_COMMANDS_ANSWERED] = "commands.answered",
	[STAT_COMMANDS_TIMEOUT] = "commands.timeout",
	[STAT_COMMANDS_EXPIRED] = "commands.expired",
	[STAT_PENDING] = "outbox.messages",
	[STAT_PENDING_BYTES] = "outbox.bytes",
	[STAT_STALLED] = "outbox.full",
	[STAT_PUBLISHED] = "messages.published",
	[STAT_MQTT_CONNECTS] = "mqtt.connects",
	[STAT_MQTT_INFLIGHT] = "mqtt.inflight",
	[STAT_REFUSED_CONNECTIONS] = "refused.max_connections",
	[STAT_REFUSED_PER_ADDRESS] = "refused.max_connections_per_address",
	[STAT_REFUSED_UNIDENTIFIED] = "refused.unidentified",
	[STAT_REFUSED_NO_FRAME] = "refused.no_frame_in_time",
	[STAT_REFUSED_UNKNOWN_PROTOCOL] = "refused.unknown_protocol",
	[STAT_REFUSED_PROXY_FROM] = "refused.proxy_from",
	[STAT_REFUSED_PROXY_HEADER] = "refused.proxy_header",
	[STAT_REFUSED_TLS] = "refused.tls",
	[STAT_REFUSED_UNITS_PER_CONNECTION] = "refused.units_per_connection",
	[STAT_REFUSED_UNITS] = "refused.units",
	[STAT_REFUSED_ARRIVALS_PER_ADDRESS] = "refused.arrivals_per_address",
	[STAT_REFUSED_FRAMES_PER_UNIT] = "refused.frames_per_unit",
	[STAT_REFUSED_FRAMES_PER_ADDRESS] = "refused.frames_per_address",
	[STAT_REFUSED_NOT_ADMITTED] = "refused.not_admitted",
	[STAT_REFUSED_TAKEOVER] = "refused.takeover",
	[STAT_REFUSED_UDP_ANSWER] = "refused.udp_answer",
	[STAT_REFUSED_OUTPUT] = "refused.output",
};

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
	emit_map(e, STAT_COUNT + reasons);
	for (size_t i = 0; i < STAT_COUNT; i++)
		emit_pair_integer(e, stat_names[i], (int64_t)stats->count[i]);
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
