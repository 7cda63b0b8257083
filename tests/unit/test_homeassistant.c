// SPDX-License-Identifier: MIT
/* test_homeassistant: of which units Home Assistant is told, when, and when they are removed there. */
#include "homeassistant_world.h"

static void test_strangers_are_not_told(void **state)
{
	(void)state;
	distrust(unit);
	give_battery();
	birth("online");
	expect_nothing();
	unit->trusted = true;
	give_battery();
	expect(CONFIG, false);
}

/* Without [homeassistant] unknown, only the units file says of whom Home Assistant is told. */
static void test_only_units_of_the_file(void **state)
{
	(void)state;
	config.homeassistant.unknown = false;
	give_battery();
	birth("online");
	expect_nothing();
	use_units_file("[" IDENT "]\nname = Car\n");
	homeassistant_reload(homeassistant); /* with what it has sent before */
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Car\"") && says("\"battery\""));
	use_units_file("[1001]\n");
	homeassistant_reload(homeassistant);
	catch_up();
	expect_empty(CONFIG);
	birth("online"); /* it stays removed */
	give_battery();
	fix(NOW_MS);
	assert_true(give(unit));
	expect_nothing();
	config.homeassistant.unknown = true;
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	config.units.unknown = UNITS_UNKNOWN_REJECT;
	homeassistant_reload(homeassistant);
	catch_up();
	expect_empty(CONFIG);
	expect_nothing();
}

static void test_a_new_name(void **state)
{
	(void)state;
	use_units_file("[" IDENT "]\nname = Car\n");
	give_battery();
	expect(CONFIG, false);
	use_units_file("[" IDENT "]\nname = Red car\n");
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Red car\""));
	expect_nothing();
	use_units_file("[1001]\n"); /* it is told all the same: it is only called otherwise */
	homeassistant_reload(homeassistant);
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"Tracker " IDENT "\""));
	expect_nothing();
}

static void test_retained_no_more(void **state)
{
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	config.homeassistant.retain = false;
	refuse = 2; /* the second finds no room: it is told later, and nothing is cleared again */
	homeassistant_reload(homeassistant);
	assert_false(sessions_catch_up(sessions, false, now));
	expect_empty(CONFIG);
	expect_nothing();
	catch_up();
	expect(CONFIG, false);
	assert_true(says("\"battery\""));
	birth("online");
	expect(CONFIG, false);
	expect_nothing();
}

static void test_after_its_birth_all_are_told_again(void **state)
{
	struct session *other = on_line("1001"), *silent = on_line("1002");
	(void)state;
	give_battery();
	struct session *first = unit;
	unit = other;
	give_battery();
	assert_int_equal(take_all(), 2);
	birth("offline");
	birth("onlin");
	expect_nothing();
	birth("online");
	expect(CONFIG, false);
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing(); /* of who has said nothing there is nothing to tell */
	assert_int_equal(silent->due, 0);
	goes_off_line(first, "bye");
	birth("online");
	expect(CONFIG, false); /* it sleeps, and is still there */
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing();
}

static void test_no_room(void **state)
{
	(void)state;
	refuse = 1;
	give_battery(); /* the record is taken all the same */
	expect_nothing();
	refuse = 1;
	assert_false(sessions_catch_up(sessions, false, now));
	expect_nothing();
	catch_up();
	expect(CONFIG, false);
	catch_up();
	expect_nothing();
}

/* Home Assistant complains when something is removed that it does not have. */
static void test_removed(void **state)
{
	struct session *silent = on_line("1001");
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	config.homeassistant.unknown = false;
	homeassistant_reload(homeassistant);
	refuse = 1;
	assert_false(sessions_catch_up(sessions, false, now));
	expect_nothing();
	homeassistant_reload(homeassistant);
	catch_up();
	expect_empty(CONFIG);
	assert_true(events_forgotten(&events, silent, now));
	expect_empty("trackers/1001/status");
	expect_nothing();
}

static void test_forgotten(void **state)
{
	(void)state;
	give_battery();
	expect(CONFIG, false);
	refuse = 1;
	assert_false(events_forgotten(&events, unit, now));
	expect_nothing();
	assert_true(events_forgotten(&events, unit, now));
	expect_empty(CONFIG);
	expect_empty("trackers/" IDENT "/status"); /* behind it: with this the unit is forgotten */
	expect_nothing();
	birth("online");
	expect_nothing();
	give_battery(); /* it is on line still: as at first */
	expect(CONFIG, false);
}

/* --- over restarts --- */

static uint8_t saved[200];

static struct span save(struct session *session)
{
	struct writer w = writer_of(saved, sizeof(saved));
	const struct unit_listener *l = homeassistant_listener(homeassistant);
	l->save(l->ctx, session, &w);
	assert_false(w.full);
	return writer_span(&w);
}

static void recall(struct session *session, struct span part)
{
	const struct unit_listener *l = homeassistant_listener(homeassistant);
	l->recall(l->ctx, session, part);
}

static void test_nothing_shrinks_after_a_restart(void **state)
{
	cJSON *root;
	(void)state;
	assert_int_equal(save(unit).len, 0);
	give_text(TM_VENDOR_CODE, "HQ");
	fix(NOW_MS);
	telemetry_set(&t, TM_SPEED, 45200);
	telemetry_set(&t, TM_MILEAGE, 17);
	assert_true(give(unit));
	expect(CONFIG, false);
	struct session *later = remembered("1001", 0); /* stands for the same unit after the restart */
	recall(later, save(unit));
	catch_up();
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	cJSON *all = components(&root);
	assert_string_equal(text_of(cJSON_GetObjectItem(root, "dev"), "mf"), "HQ");
	entity(all, "speed");
	entity(all, "mileage");
	assert_false(is_stub(all, "request_position")); /* its protocol is not known yet */
	cJSON_Delete(root);
	expect_nothing();
}

static void test_after_a_restart_it_is_not_meant_any_more(void **state)
{
	(void)state;
	config.homeassistant.retain = true;
	give_battery();
	expect(CONFIG, true);
	struct span kept = save(unit);
	struct session *loud = remembered("1001", 0), *gone = remembered("1002", 0);
	config.homeassistant.retain = false;
	recall(loud, kept);
	catch_up();
	expect_empty("homeassistant/device/tracker2mqtt_1001/config");
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
	expect_nothing();
	config.homeassistant.unknown = false;
	recall(gone, kept);
	catch_up();
	expect_empty("homeassistant/device/tracker2mqtt_1002/config");
	expect_nothing();
}

static void test_bytes_that_are_none(void **state)
{
	uint8_t bytes[sizeof(saved)];
	struct session *later = remembered("1001", 0);
	(void)state;
	give_text(TM_MANUFACTURER_CODE, "70111");
	give_battery();
	take_all();
	struct span kept = save(unit);
	for (size_t len = 0; len < kept.len; len++)
		recall(later, span_of(kept.ptr, len));
	for (size_t at = 0; at < kept.len; at += at == 0 || at > 6 ? 1 : 6) { /* its form, its lengths */
		memcpy(bytes, kept.ptr, kept.len);
		bytes[at] = 0xff;
		recall(later, span_of(bytes, at == 0 ? kept.len : at + 1));
	}
	catch_up();
	expect_nothing();
	recall(later, kept);
	catch_up();
	expect("homeassistant/device/tracker2mqtt_1001/config", false);
}

static void test_birth_topic(void **state)
{
	(void)state;
	assert_string_equal(homeassistant_birth_topic(&config).text, "homeassistant/status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_strangers_are_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_units_of_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retained_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_after_its_birth_all_are_told_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_shrinks_after_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_after_a_restart_it_is_not_meant_any_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_that_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_birth_topic, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
