/* SPDX-License-Identifier: GPL-2.0-only */
/* Listen addresses, good and bad. */
#include <errno.h>

#include "http.h"

/* A label of more than 63 letters: no name server is asked, so it fails at once and everywhere. */
#define NO_HOST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Bug: a second exporter on the same port, or a stop that leaves the port taken. */
static void test_stop_and_restart(void **state)
{
	char address[32];

	(void)state;
	publish_ok();
	expect(get("/metrics"), 200, WANTED);
	snprintf(address, sizeof(address), "127.0.0.1:%u", serve_port(serve, 0));
	assert_int_equal(serve_port(serve, 1), 0);
	errno = 0;
	assert_null(start(address, "/metrics", 0));
	assert_int_equal(errno, EADDRINUSE);
	serve_stop(serve);
	serve = start(address, "/metrics", 0);
	assert_non_null(serve);
	expect(get("/metrics"), 200, WANTED);
}

/* Bug: "9435" or "::1:9435" taken for a host, a port cut to 16 bits, an address that is ignored. */
static void test_bad_addresses(void **state)
{
	static const struct {
		const char *address;
		int err;
	} cases[] = {
		{ "", EINVAL },
		{ "9435", EINVAL },
		{ "localhost", EINVAL },
		{ "127.0.0.1:", EINVAL },
		{ "127.0.0.1:65536", EINVAL },
		{ "127.0.0.1:99999999999", EINVAL },
		{ "127.0.0.1:-1", EINVAL },
		{ "127.0.0.1:+1", EINVAL },
		{ "127.0.0.1: 1", EINVAL },
		{ "127.0.0.1:http", EINVAL },
		{ "127.0.0.1:1x", EINVAL },
		{ "::1:0", EINVAL },
		{ "[::1", EINVAL },
		{ "[::1]", EINVAL },
		{ "[::1]0", EINVAL },
		{ "[]:0", EINVAL },
		{ "[localhost]:0", EINVAL },
		{ NO_HOST ":0", EADDRNOTAVAIL },
		{ "192.0.2.1:0", EADDRNOTAVAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		errno = 0;
		assert_null(start(cases[i].address, "/metrics", 0));
		if (errno != cases[i].err)
			print_message("%s: %s\n", cases[i].address, strerror(errno));
		assert_int_equal(errno, cases[i].err);
	}
}

/* Connects to the server's port by IPv6; -1 when that does not work. */
static int dial_v6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	at.sin6_port = htons(serve_port(serve, 0));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int have_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	int ok = fd >= 0 && !bind(fd, (struct sockaddr *)&any, sizeof(any));

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Bug: a literal IPv6 address that is not parsed, or also takes the IPv4 port. */
static void test_ipv6(void **state)
{
	int fd;

	(void)state;
	if (!have_ipv6()) {
		print_message("skipped: ::1 cannot be bound, this machine has no IPv6\n");
		skip();
	}
	serve_stop(serve);
	serve = start("[::1]:0", "/metrics", 0);
	assert_non_null(serve);
	publish_ok();
	fd = dial_v6();
	assert_true(fd >= 0);
	say(fd, "GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	expect(listen_to(fd, NULL), 200, WANTED);
}

/* Bug: ":PORT" that answers one kind of address only. */
static void test_any_address(void **state)
{
	int fd;

	(void)state;
	serve_stop(serve);
	serve = start(":0", "/metrics", 0);
	assert_non_null(serve);
	publish_ok();
	expect(get("/metrics"), 200, WANTED);
	if (!have_ipv6())
		return;
	fd = dial_v6();
	assert_true(fd >= 0);
	say(fd, "GET /-/ready HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	expect(listen_to(fd, NULL), 200, "ready\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop_and_restart),
		TEST(bad_addresses),
		TEST(ipv6),
		TEST(any_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
