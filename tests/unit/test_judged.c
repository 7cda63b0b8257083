// SPDX-License-Identifier: MIT
/* test_judged: what a configuration is judged by: names of hosts, addresses, what of a value may be shown, how large an outbox fits. */
#include "harness.h"

#include "bridge/base/address.h"
#include "bridge/base/hostname.h"
#include "bridge/outbox/store.h"
#include "bridge/settings/option_reason.h"

#include <stdio.h>

/* --- hosts --- */

static void test_names_of_hosts(void **state)
{
	(void)state;
	static const char *const fine[] = {"localhost", "broker", "broker.example.", "a_b",
		"xn--brker-kua.example", "10.0.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "::ffff:10.0.0.1",
		"1a.example", "10.0.0.1.example", "A-1"},
				 *const wrong[] = {"", ".", "..", ".a", "a..b", "192.168.1.300", "192.168.1",
					 "1883", "1.2.3.4.5", "-a", "a-", "a.-b", "a b", "a/b", "a,b", "a@b",
					 "[::1]", ":", "::g", "fe80:::1", "br\xc3\xb6ker", "br\xffker", "a\tb",
					 "\"a\""};
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (hostname_fault(span_text(fine[i])) != NULL)
			fail_msg("%s %s", fine[i], hostname_fault(span_text(fine[i])));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (hostname_fault(span_text(wrong[i])) == NULL)
			fail_msg("%s is taken for a name", wrong[i]);
	char text[256];
	memset(text, 'a', sizeof(text));
	assert_null(hostname_fault(span_of(text, 63)));
	assert_non_null(hostname_fault(span_of(text, 64)));
	for (size_t i = 60; i < sizeof(text); i += 61)
		text[i] = '.';
	assert_null(hostname_fault(span_of(text, 253)));
	assert_non_null(hostname_fault(span_of(text, 254)));
}

static void test_hosts_with_ports(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		unsigned port;
	} fine[] = {{"a:1", "a", 1}, {"a:65535", "a", 65535}, {"a", "a", 0}, {"[::1]:80", "::1", 80},
		{"[::1]", "::1", 0}, {"::1", "::1", 0}, {"10.0.0.1:8090", "10.0.0.1", 8090}};
	static const char *const wrong[] = {"a:", "a:0", "a:65536", "a:99999999999", "a:-1", "a:1x", ":80", "",
		"[::1", "[::1]80", "[::1]:", "[a]:80", "[]:80", "::1]:80", "a:1:2", "http://a:80",
		"10.0.0.300:80", "a b:80"};
	struct host_port found;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		const char *fault = host_port_fault(span_text(fine[i].text), &found);
		if (fault != NULL)
			fail_msg("%s %s", fine[i].text, fault);
		assert_true(span_is(found.host, fine[i].host));
		assert_int_equal(found.port, fine[i].port);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (host_port_fault(span_text(wrong[i]), &found) == NULL)
			fail_msg("%s is taken for host:port", wrong[i]);
}

static void test_hosts_that_are_this_machine(void **state)
{
	(void)state;
	static const char *const own[] = {"localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.1.2.3",
		"::1", "::ffff:127.0.0.1"},
				 *const others[] = {"", "localhost.example", "notlocalhost", "128.0.0.1",
					 "127.example", "::2"};
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_true(hostname_is_loopback(span_text(own[i])));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(hostname_is_loopback(span_text(others[i])));
}

/* --- addresses --- */

static union address address_of(const char *text)
{
	char buf[80];
	union address a;
	snprintf(buf, sizeof(buf), "%s", text);
	if (!address_parse(buf, &a))
		fail_msg("%s is no address", text);
	return a;
}

static void test_two_addresses_are_not_one(void **state)
{
	(void)state;
	static const char *const wrong[] = {"127.0.0.1:1 127.0.0.1:2", "127.0.0.1 :1", "127.0.0.1: 1"};
	union address a;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char buf[80];
		snprintf(buf, sizeof(buf), "%s", wrong[i]);
		if (address_parse(buf, &a))
			fail_msg("%s is taken for an address", wrong[i]);
	}
	assert_int_equal(address_port(&(union address){.in4 = address_of("  127.0.0.1:80\t").in4}), 80);
}

/* --- what may be shown --- */

static void test_what_is_shown(void **state)
{
	(void)state;
	static const struct option_row plain = {.key = "a"}, secret = {.key = "b", .flags = OPTION_SECRET};
	static const char *const hidden[] = {"password=hunter2", "a Password : hunter2", "x secret=hunter2",
		"token=hunter2", "http://me:hunter2@a", "me:hunter2@a", "mqtt://hunter2@a:1/b", "pwd = hunter2",
		"a@hunter2 password=hunter2", "mqtt_password=hunter2"};
	assert_string_equal(option_shown(&secret, "hunter2").text, "(hidden)");
	assert_string_equal(option_shown(&plain, "broker").text, "broker");
	assert_string_equal(option_shown(&plain, "/etc/passwords").text, "/etc/passwords");
	assert_string_equal(option_shown(&plain, "mqtt://me:x@a").text, "mqtt://(hidden)@a");
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (strstr(option_shown(&plain, hidden[i]).text, "=hunter2") != NULL ||
			strstr(option_shown(&plain, hidden[i]).text, ":hunter2") != NULL)
			fail_msg("%s", option_shown(&plain, hidden[i]).text);
}

/* --- the outbox --- */

static void test_how_large_an_outbox_fits(void **state)
{
	(void)state;
	static const uint64_t above[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63,
		(UINT64_C(1) << 63) + 4096, (UINT64_C(1) << 63) - 1, UINT64_MAX / 2 - (64 << 20),
		UINT64_MAX / 2 - (64 << 20) + 1, UINT64_MAX / 2, UINT64_C(1) << 62, UINT64_C(1) << 60};
	assert_true(store_fits(0));
	assert_true(store_fits(1 << 20));
	for (size_t i = 0; i < sizeof(above) / sizeof(above[0]); i++)
		if (store_fits(above[i]))
			fail_msg("%llu bytes fit", (unsigned long long)above[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_hosts),
		cmocka_unit_test(test_hosts_with_ports),
		cmocka_unit_test(test_hosts_that_are_this_machine),
		cmocka_unit_test(test_two_addresses_are_not_one),
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_how_large_an_outbox_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
