/* stats: see stats.h. */
#include "stats.h"

const char *const stat_names[STAT_COUNT] = {
	[STAT_UPTIME] = "uptime",
	[STAT_ACCEPTED] = "connections.accepted",
	[STAT_CONN_REFUSED] = "connections.refused",
	[STAT_CONNECTIONS] = "connections",
	[STAT_UNITS] = "units.online",
	[STAT_TAKEOVERS] = "units.takeovers",
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
