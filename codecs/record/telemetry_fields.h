// SPDX-License-Identifier: MIT
/* telemetry_fields: the rows of the parameter table, in the order in which a record shows them.
 * Read by telemetry.h (the enum) and telemetry.c (the table); has no include guard on purpose.
 * Uses: nothing else.
 *
 * FIELD(name, key, type, decimals, min, max, unit, help)
 * min and max count in units of the last decimal. Names without `custom.` follow flespi's. */
#define U32_MAX 4294967295LL
#define MS_MAX 4102444800000LL /* the year 2100 */

FIELD(IDENT, "ident", TEXT, 0, 1, 20, "", "the unit's id as it reports it")
FIELD(PROTOCOL_ID, "protocol.id", TEXT, 0, 1, 16, "", "name of the codec")
FIELD(MESSAGE_TYPE, "message.type", TEXT, 0, 1, 1024, "", "message type: V1, NBR, $, X, 0x0200, 0x22")
FIELD(CHANNEL_ID, "channel.id", INTEGER, 0, 0, U32_MAX, "", "number of this bridge, from the configuration")
FIELD(PEER, "peer", TEXT, 0, 1, 64, "", "address and port of the sender")
FIELD(DEVICE_ID, "device.id", INTEGER, 0, 0, U32_MAX, "", "id of the unit in the units file")
FIELD(DEVICE_NAME, "device.name", TEXT, 0, 1, 200, "", "name of the unit in the units file")
FIELD(DEVICE_TYPE_ID, "device.type.id", TEXT, 0, 1, 200, "", "type of the unit in the units file")
FIELD(TIMESTAMP, "timestamp", INTEGER, 3, 0, MS_MAX, "s",
	"time of the report, UTC; of the reception when the frame has none")
FIELD(TIMESTAMP_VALID, "timestamp.valid", BOOLEAN, 0, 0, 1, "", "false: the frame had no usable date")
FIELD(SERVER_TIMESTAMP, "server.timestamp", INTEGER, 3, 0, MS_MAX, "s", "time of the reception, UTC")
FIELD(SERVER_SEQNUM, "server.seqnum", INTEGER, 0, 0, INT64_MAX, "",
	"number of the record in the outbox; a repeat has the same")
FIELD(SERVER_INSTANCE, "server.instance", TEXT, 0, 1, 60, "",
	"only in a cluster: the bridge that had the report; with server.seqnum it names a record")
FIELD(STATUS, "status", TEXT, 0, 1, 16, "", "only in the state topic: online or offline")
FIELD(STATUS_SINCE, "status.since", INTEGER, 3, 0, MS_MAX, "s", "only in the state topic: since when, UTC")
FIELD(POSITION_TIMESTAMP, "position.timestamp", INTEGER, 3, 0, MS_MAX, "s",
	"only in the state topic: time of the fix that the place is from, UTC")
FIELD(POSITION_VALID, "position.valid", BOOLEAN, 0, 0, 1, "",
	"the coordinates are from a fix, not the last known ones")
FIELD(LATITUDE, "position.latitude", INTEGER, 7, -900000000, 900000000, "deg",
	"latitude, WGS 84, north positive")
FIELD(LONGITUDE, "position.longitude", INTEGER, 7, -1800000000, 1800000000, "deg",
	"longitude, WGS 84, east positive")
FIELD(ALTITUDE, "position.altitude", INTEGER, 0, -32768, 65535, "m", "altitude")
FIELD(SPEED, "position.speed", INTEGER, 3, 0, 10000000, "km/h", "speed")
FIELD(DIRECTION, "position.direction", INTEGER, 4, 0, 3600000, "deg", "course, clockwise from north")
FIELD(SATELLITES, "position.satellites", INTEGER, 0, 0, 255, "", "satellites in use")
FIELD(EVENT_SEQNUM, "event.seqnum", INTEGER, 0, 0, U32_MAX, "", "record number counted by the unit")
FIELD(EVENT_ENUM, "event.enum", INTEGER, 0, 0, 65535, "", "code of the alarm or event, as the maker counts them")
FIELD(GEOFENCE_ID, "geofence.id", INTEGER, 0, 0, 255, "", "number of the geofence that was entered or left")
FIELD(BUFFERED, "message.buffered.status", BOOLEAN, 0, 0, 1, "", "stored report, sent later")
FIELD(IGNITION, "engine.ignition.status", BOOLEAN, 0, 0, 1, "", "ignition (ACC) is on")
FIELD(ENGINE_BLOCKED, "engine.blocked.status", BOOLEAN, 0, 0, 1, "", "fuel or power of the vehicle is cut off")
FIELD(DOOR_OPEN, "door.open.status", BOOLEAN, 0, 0, 1, "", "a door is open")
FIELD(DEFENSE_ACTIVE, "defense.active.status", BOOLEAN, 0, 0, 1, "", "armed")
FIELD(SOS_ALARM, "sos.alarm", ALARM, 0, 0, 1, "", "SOS button")
FIELD(POWER_CUT_ALARM, "power.cut.alarm", ALARM, 0, 0, 1, "", "external power is cut")
FIELD(VIBRATION_ALARM, "vibration.alarm", ALARM, 0, 0, 1, "", "vibration")
FIELD(DISPLACEMENT_ALARM, "displacement.alarm", ALARM, 0, 0, 1, "", "towed or displaced")
FIELD(GEOFENCE_IN_ALARM, "geofence.in.alarm", ALARM, 0, 0, 1, "", "entered a geofence")
FIELD(GEOFENCE_OUT_ALARM, "geofence.out.alarm", ALARM, 0, 0, 1, "", "left a geofence")
FIELD(OVERSPEEDING_EVENT, "overspeeding.event", ALARM, 0, 0, 1, "", "overspeed")
FIELD(BATTERY_LOW_ALARM, "battery.low.alarm", ALARM, 0, 0, 1, "", "battery or supply voltage is low")
FIELD(FATIGUE_STATUS, "fatigue.driving.status", BOOLEAN, 0, 0, 1, "", "fatigue driving")
FIELD(CRASH_EVENT, "crash.event", ALARM, 0, 0, 1, "", "collision")
FIELD(ROLLOVER_EVENT, "rollover.event", ALARM, 0, 0, 1, "", "rollover")
FIELD(GNSS_FAILURE_ALARM, "gnss.failure.alarm", ALARM, 0, 0, 1, "", "GNSS module fault")
FIELD(GNSS_ANTENNA_OPEN_ALARM, "gnss.antenna.disconnected.alarm", ALARM, 0, 0, 1, "",
	"GNSS antenna not connected")
FIELD(GNSS_ANTENNA_SHORT_ALARM, "gnss.antenna.short.circuit.alarm", ALARM, 0, 0, 1, "",
	"GNSS antenna short circuit")
FIELD(GPS_USED, "gps.satellites.status", BOOLEAN, 0, 0, 1, "", "GPS is used")
FIELD(BEIDOU_USED, "beidou.satellites.status", BOOLEAN, 0, 0, 1, "", "BeiDou is used")
FIELD(GLONASS_USED, "glonass.satellites.status", BOOLEAN, 0, 0, 1, "", "GLONASS is used")
FIELD(GALILEO_USED, "galileo.satellites.status", BOOLEAN, 0, 0, 1, "", "Galileo is used")
FIELD(BATTERY_LEVEL, "battery.level", INTEGER, 0, 0, 100, "%", "charge of the unit's battery")
FIELD(CHARGING, "battery.charging.status", BOOLEAN, 0, 0, 1, "", "the unit's battery is charging")
FIELD(BATTERY_VOLTAGE, "battery.voltage", INTEGER, 3, 0, 1000000, "V", "voltage of the unit's battery")
FIELD(EXTERNAL_VOLTAGE, "external.powersource.voltage", INTEGER, 3, 0, 1000000, "V",
	"voltage of the vehicle's supply")
FIELD(MILEAGE, "vehicle.mileage", INTEGER, 3, 0, 100000000000LL, "km", "odometer")
FIELD(FUEL_VOLUME, "fuel.volume", INTEGER, 1, 0, 65535, "l", "fuel in the tank")
FIELD(FUEL_LEVEL, "fuel.level", INTEGER, 0, 0, 100, "%", "fuel in the tank")
FIELD(STEPS, "steps.count", INTEGER, 0, 0, U32_MAX, "", "steps")
FIELD(GSM_MCC, "gsm.mcc", INTEGER, 0, 200, 799, "", "mobile country code")
FIELD(GSM_MNC, "gsm.mnc", INTEGER, 0, 0, 999, "", "mobile network code")
FIELD(GSM_LAC, "gsm.lac", INTEGER, 0, 1, U32_MAX, "",
	"location or tracking area code of the serving cell; neighbours as gsm.lac.1 and so on")
FIELD(GSM_CELLID, "gsm.cellid", INTEGER, 0, 1, U32_MAX, "",
	"serving cell; neighbours as gsm.cellid.1 and so on")
FIELD(GSM_DBM, "gsm.signal.dbm", INTEGER, 0, -200, 0, "dBm",
	"level of the serving cell; neighbours as gsm.signal.dbm.1 and so on")
FIELD(GSM_LEVEL, "gsm.signal.level", INTEGER, 0, 0, 100, "%", "signal strength")
FIELD(ICCID, "gsm.sim.iccid", TEXT, 0, 1, 24, "", "number of the SIM")
FIELD(PROVINCE_ID, "province.id", INTEGER, 0, 0, 65535, "", "province of the registration, GB/T 2260")
FIELD(CITY_ID, "city.id", INTEGER, 0, 0, 65535, "", "city of the registration, GB/T 2260")
FIELD(MANUFACTURER_CODE, "manufacturer.code", TEXT, 0, 1, 64, "", "maker id")
FIELD(MANUFACTURER_DEVICE_CODE, "manufacturer.device.code", TEXT, 0, 1, 64, "",
	"terminal id given by the maker")
FIELD(REGISTRATION_NUMBER, "vehicle.registration.number", TEXT, 0, 1, 256, "", "plate")
FIELD(DEVICE_IMEI, "device.imei", TEXT, 0, 1, 15, "", "IMEI of the unit")
FIELD(FIRMWARE_VERSION, "device.firmware.version", TEXT, 0, 1, 256, "", "firmware version")
FIELD(HARDWARE_VERSION, "device.hardware.version", TEXT, 0, 1, 256, "", "hardware version")
FIELD(VEHICLE_STATE, "vehicle.state", TEXT, 0, 8, 8, "", "H02 status word, 8 hex digits; a 0 bit is active")
FIELD(VEHICLE_STATE_BITMASK, "vehicle.state.bitmask", INTEGER, 0, 0, U32_MAX, "", "the same as a number")
FIELD(VENDOR_CODE, "vendor.code", TEXT, 0, 2, 2, "", "maker code of H02 text frames")

FIELD(COMMAND_CODE, "custom.command.code", TEXT, 0, 1, 1024, "", "H02 V4: the command that the unit confirms")
FIELD(COMMAND_REPLY, "custom.command.reply", TEXT, 0, 1, 4096, "", "what the unit answered to a command")
FIELD(COMMAND_TIME, "custom.command.time", TEXT, 0, 1, 14, "", "H02 V4: the time that the command carried")
FIELD(PAYLOAD, "custom.payload", TEXT, 0, 1, 65536, "",
	"content of a message type that has no decoder; hex for binary protocols")
FIELD(TAIL, "custom.tail", TEXT, 0, 1, 2048, "",
	"end of a frame that follows no known layout; hex for binary protocols")
FIELD(TURNOVERS, "custom.turnover.count", INTEGER, 0, 0, U32_MAX, "", "H02 LINK: times the wearer turned over")
FIELD(TIMING_ADVANCE, "custom.timing.advance", INTEGER, 0, 0, U32_MAX, "", "H02 NBR: timing advance")
FIELD(TEMPERATURE, "custom.temperature", INTEGER, 3, -1000000, 1000000, "C",
	"H02: temperature of the odometer tail")
FIELD(FUEL, "custom.fuel", INTEGER, 3, 0, 100000000, "", "H02: fuel of the odometer tail, unit unknown")
FIELD(BATTERY_RAW, "custom.battery.raw", TEXT, 0, 1, 16, "", "H02 V3: battery word, unit unknown")
FIELD(REBOOT_INFO, "custom.reboot.info", TEXT, 0, 1, 1024, "", "H02 V3: reboot information")
FIELD(SIM_INFO, "custom.sim.info", TEXT, 0, 1, 1024, "", "H02 V19: phone number or server address")
FIELD(WIFI_1_BSSID, "custom.wifi.bssid.1", TEXT, 0, 1, 1024, "", "H02 V8: first access point")
FIELD(WIFI_1_DBM, "custom.wifi.signal.dbm.1", INTEGER, 0, -200, 200, "dBm", "level of the first access point")
FIELD(WIFI_2_BSSID, "custom.wifi.bssid.2", TEXT, 0, 1, 1024, "", "H02 V8: second access point")
FIELD(WIFI_2_DBM, "custom.wifi.signal.dbm.2", INTEGER, 0, -200, 200, "dBm", "level of the second access point")
FIELD(WIFI_3_BSSID, "custom.wifi.bssid.3", TEXT, 0, 1, 1024, "", "H02 V8: third access point")
FIELD(WIFI_3_DBM, "custom.wifi.signal.dbm.3", INTEGER, 0, -200, 200, "dBm", "level of the third access point")
FIELD(LOW_SENSOR_1, "custom.low.level.sensor.1.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 31: low-level sensor 1 active")
FIELD(HIGH_SENSOR_2, "custom.high.level.sensor.2.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 30: high-level sensor 2 active")
FIELD(HIGH_SENSOR_1, "custom.high.level.sensor.1.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 29: high-level sensor 1 active")
FIELD(BATTERY_DISCONNECTED, "custom.battery.disconnected.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 28: vehicle battery disconnected")
FIELD(TEMPERATURE_ALARM, "custom.temperature.alarm", ALARM, 0, 0, 1, "", "H02 status bit 24: temperature alarm")
FIELD(LOW_SENSOR_2, "custom.low.level.sensor.2.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 23: low-level sensor 2 active")
FIELD(GPS_ANTENNA_SHORT, "custom.gps.antenna.short.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 22: GPS antenna short circuit")
FIELD(GPS_ANTENNA_OPEN, "custom.gps.antenna.open.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 21: GPS antenna open circuit")
FIELD(POWER_REMOVED, "custom.external.power.removed.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 20: external supply removed")
FIELD(BACKUP_BATTERY, "custom.backup.battery.active.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 19: running on the backup battery")
FIELD(STATE_BIT_18, "custom.state.bit.18", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 18, reserved: true when the bit is 0")
FIELD(GPS_FAULT, "custom.gps.receiver.fault.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 16: GPS receiver fault")
FIELD(OVERSPEEDING_STATUS, "custom.overspeeding.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 15: driving too fast now")
FIELD(USER_STATUS, "custom.user.alarm.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 14: user-defined; constantly true on many units")
FIELD(ENGINE_RUNNING, "custom.engine.running.status", BOOLEAN, 0, 0, 1, "", "H02 status bit 13: engine running")
FIELD(VEHICLE_BATTERY_BAD, "custom.vehicle.battery.bad.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 12: vehicle battery bad")
FIELD(SUPPLY_LOW, "custom.supply.voltage.low.status", BOOLEAN, 0, 0, 1, "",
	"H02 status bit 11: supply voltage low")
FIELD(ANTENNA_SHORT_ALARM, "custom.antenna.short.alarm", ALARM, 0, 0, 1, "",
	"H02 status bit 6, but for V6 and V8")
FIELD(ANTENNA_OPEN_ALARM, "custom.antenna.open.alarm", ALARM, 0, 0, 1, "",
	"H02 status bit 5, but for V6 and V8")
FIELD(ILLEGAL_IGNITION_ALARM, "custom.illegal.ignition.alarm", ALARM, 0, 0, 1, "", "illegal ignition")
FIELD(THEFT_ALARM, "custom.theft.alarm", ALARM, 0, 0, 1, "", "stolen; H02: illegal door opening")
FIELD(USER_ALARM_BYTE, "custom.user.alarm.byte", INTEGER, 0, 0, 255, "",
	"H02 binary: user alarm byte; 255 is none")

FIELD(DEVICE_MODEL, "custom.device.model", TEXT, 0, 1, 64, "", "JT/T 808: terminal model")
FIELD(REPLY_SEQNUM, "custom.reply.seqnum", INTEGER, 0, 0, U32_MAX, "",
	"JT/T 808, GT06: serial number of the command that is answered")
FIELD(REPLY_MESSAGE_TYPE, "custom.reply.message.type", TEXT, 0, 6, 6, "",
	"JT/T 808: message id of the command that is answered")
FIELD(REPLY_RESULT, "custom.reply.result", INTEGER, 0, 0, 255, "",
	"JT/T 808: 0 ok, 1 failure, 2 wrong, 3 unsupported")
FIELD(GNSS_BITS, "custom.gnss.bitmask", INTEGER, 0, 0, 255, "",
	"JT/T 808 0x0107: 1 GPS, 2 BeiDou, 4 GLONASS, 8 Galileo")
FIELD(NETWORK_BITS, "custom.network.bitmask", INTEGER, 0, 0, 255, "",
	"JT/T 808 0x0107: communication module bits")
FIELD(ALARM_BITMASK, "custom.alarm.bitmask", INTEGER, 0, 0, U32_MAX, "", "JT/T 808: the alarm word")
FIELD(STATUS_BITMASK, "custom.status.bitmask", INTEGER, 0, 0, U32_MAX, "", "JT/T 808: the status word")
FIELD(DANGER_ALARM, "custom.danger.warning.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 3: danger warning; 2019: dangerous driving")
FIELD(DISPLAY_FAULT, "custom.display.fault.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 alarm bit 9: display fault")
FIELD(TTS_FAULT, "custom.tts.fault.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 alarm bit 10: speech module fault")
FIELD(CAMERA_FAULT, "custom.camera.fault.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 alarm bit 11: camera fault")
FIELD(IC_CARD_FAULT, "custom.ic.card.fault.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 alarm bit 12: IC card module fault")
FIELD(OVERSPEED_WARNING, "custom.overspeeding.warning.event", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 13: overspeed pre-warning")
FIELD(FATIGUE_WARNING, "custom.fatigue.warning.event", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 14: fatigue pre-warning")
FIELD(ALARM_BIT_15, "custom.alarm.bit.15", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 alarm bit 15: reserved; 2019: rule violation; some units: vibration")
FIELD(ALARM_BIT_16, "custom.alarm.bit.16", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 alarm bit 16: reserved; 2019: tyre pressure; some units: tampering")
FIELD(ALARM_BIT_17, "custom.alarm.bit.17", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 alarm bit 17: reserved; 2019: right-turn blind spot; some units: tampering")
FIELD(DRIVING_TIME_ALARM, "custom.driving.time.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 18: driving too long today")
FIELD(PARKING_TIME_ALARM, "custom.parking.time.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 19: parked too long")
FIELD(AREA_EVENT, "custom.area.event", ALARM, 0, 0, 1, "", "JT/T 808 alarm bit 20: entered or left an area")
FIELD(ROUTE_EVENT, "custom.route.event", ALARM, 0, 0, 1, "", "JT/T 808 alarm bit 21: entered or left a route")
FIELD(ROUTE_TIME_ALARM, "custom.route.time.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 22: time on a route section too short or long")
FIELD(ROUTE_DEVIATION_ALARM, "custom.route.deviation.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 23: off the route")
FIELD(VSS_FAULT, "custom.vss.fault.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 alarm bit 24: speed sensor fault")
FIELD(FUEL_ALARM, "custom.fuel.abnormal.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 25: fuel level abnormal")
FIELD(ILLEGAL_DOOR_ALARM, "custom.illegal.door.alarm", ALARM, 0, 0, 1, "",
	"JT/T 808 alarm bit 31: illegal door opening; 2019: reserved")
FIELD(OUT_OF_SERVICE, "custom.out.of.service.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 4: out of service")
FIELD(COORDINATES_ENCRYPTED, "custom.coordinates.encrypted.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 5: coordinates are scrambled")
FIELD(FORWARD_COLLISION, "custom.forward.collision.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 6: 2019: forward collision warning")
FIELD(LANE_DEPARTURE, "custom.lane.departure.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 7: 2019: lane departure warning")
FIELD(FUEL_LINE_CUT, "custom.fuel.line.cut.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 10: fuel line cut")
FIELD(CIRCUIT_CUT, "custom.circuit.cut.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 11: electric circuit cut")
FIELD(DOOR_LOCKED, "custom.door.locked.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 status bit 12: door locked")
FIELD(DOOR_1_OPEN, "custom.door.1.open.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 status bit 13: front door open")
FIELD(DOOR_2_OPEN, "custom.door.2.open.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 14: middle door open")
FIELD(DOOR_3_OPEN, "custom.door.3.open.status", BOOLEAN, 0, 0, 1, "", "JT/T 808 status bit 15: rear door open")
FIELD(DOOR_4_OPEN, "custom.door.4.open.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 16: driver's door open")
FIELD(DOOR_5_OPEN, "custom.door.5.open.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 17: custom door open")
FIELD(MOVING, "custom.vehicle.moving.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 status bit 22: 2019: vehicle moving")
FIELD(LOAD, "custom.load.status", INTEGER, 0, 0, 3, "", "JT/T 808 status bits 8 and 9: 0 empty, 1 half, 3 full")
FIELD(RECORDER_SPEED, "custom.recorder.speed", INTEGER, 1, 0, 65535, "km/h",
	"JT/T 808 item 03: speed of the driving recorder")
FIELD(ALARM_EVENT_ID, "custom.alarm.event.id", INTEGER, 0, 0, 65535, "",
	"JT/T 808 item 04: alarm event to be confirmed")
FIELD(CARGO_TEMPERATURE, "custom.cargo.temperature", INTEGER, 0, -32768, 32767, "C",
	"JT/T 808 item 06: cargo temperature")
FIELD(OVERSPEED_AREA_TYPE, "custom.overspeeding.area.type", INTEGER, 0, 0, 255, "",
	"JT/T 808 item 11: kind of area")
FIELD(OVERSPEED_AREA_ID, "custom.overspeeding.area.id", INTEGER, 0, 0, U32_MAX, "",
	"JT/T 808 item 11: area or route section")
FIELD(AREA_TYPE, "custom.area.type", INTEGER, 0, 0, 255, "", "JT/T 808 item 12: kind of area")
FIELD(AREA_ID, "custom.area.id", INTEGER, 0, 0, U32_MAX, "", "JT/T 808 item 12: area or route")
FIELD(AREA_DIRECTION, "custom.area.direction", INTEGER, 0, 0, 255, "", "JT/T 808 item 12: 0 entered, 1 left")
FIELD(ROUTE_ID, "custom.route.section.id", INTEGER, 0, 0, U32_MAX, "", "JT/T 808 item 13: route section")
FIELD(ROUTE_SECONDS, "custom.route.section.time", INTEGER, 0, 0, 65535, "s", "JT/T 808 item 13: time on it")
FIELD(ROUTE_RESULT, "custom.route.section.result", INTEGER, 0, 0, 255, "",
	"JT/T 808 item 13: 0 too short, 1 too long")
FIELD(VEHICLE_SIGNALS, "custom.vehicle.signals.bitmask", INTEGER, 0, 0, U32_MAX, "",
	"JT/T 808 item 25: lights, brake, horn and so on")
FIELD(IO_BITS, "custom.io.bitmask", INTEGER, 0, 0, 65535, "", "JT/T 808 item 2A: 1 deep sleep, 2 sleep")
FIELD(BATTERY_CHARGING, "custom.battery.charging.status", BOOLEAN, 0, 0, 1, "",
	"JT/T 808 items D4, E1, E4, E9: the unit's battery is charging")
FIELD(ANALOG_0, "custom.analog.0", INTEGER, 0, 0, 65535, "", "JT/T 808 item 2B: first analog input")
FIELD(ANALOG_1, "custom.analog.1", INTEGER, 0, 0, 65535, "", "JT/T 808 item 2B: second analog input")

FIELD(DEVICE_TYPE, "custom.device.type", TEXT, 0, 4, 4, "", "GT06 login: type id of the unit, 4 hex digits")
FIELD(ZONE_MINUTES, "custom.timezone", INTEGER, 0, -899, 899, "min", "GT06 login: time zone, minutes east of Greenwich")
FIELD(GNSS_TRACKING, "custom.gnss.tracking.status", BOOLEAN, 0, 0, 1, "", "GT06: GNSS is on")
FIELD(UPLOAD_MODE, "custom.upload.mode", INTEGER, 0, 0, 255, "",
	"GT06: why it reports: 0 interval, 1 distance, 2 corner, 3 ignition, 10 standstill, 12 command")
FIELD(INFORMATION_TYPE, "custom.information.type", TEXT, 0, 2, 2, "", "GT06 message 94: kind, 2 hex digits")
FIELD(IGNITION_TIME, "custom.ignition.time", INTEGER, 0, 0, U32_MAX, "s", "GT06 message 32: time with the ignition on")
FIELD(RFID, "custom.rfid", TEXT, 0, 1, 32, "", "GT06 messages 17 and 61: tag or key, hex")
FIELD(FILES, "custom.files", TEXT, 0, 1, 2048, "", "GT06 message 95: names of the camera's files")

#undef U32_MAX
#undef MS_MAX
