/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may stay connected, and for how long. */
#include <poll.h>
#include <pthread.h>

#include "http.h"
#include "serve_parts.h"

/* Bug: clients that connect and say nothing, from a few addresses, lock the scraper out. */
static void test_idle_clients(void **state)
{
	int fds[100];

	(void)state;
	publish_ok();
	for (unsigned int i = 0; i < 100; i++)
		fds[i] = dial(10 + i / 10, 0);
	for (int i = 0; i < 3; i++)
		expect(get("/metrics"), 200, WANTED);
	for (int i = 0; i < 100; i++)
		close(fds[i]);
}

/* Bug: clients that ask and do not read pin a generation each, and with it all its memory. */
static void test_slow_readers(void **state)
{
	static char text[4096];
	const struct prefix prefix = { text, sizeof(text) };
	int fds[12], still_held = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 12; i++) {
		struct pollfd begun;

		publish(4000, &prefix, COLLECTOR_UP, ""); /* 16 MB, more than sockets buffer */
		fds[i] = dial(10 + i, 1);
		say(fds[i], "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
		begun = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		assert_int_equal(poll(&begun, 1, GUARD_MS), 1);
	}
	publish_ok();
	expect(get("/metrics"), 200, WANTED);
	/* The first are ended short of their 16 MB; the last are whole when they do read. */
	for (int i = 0; i < 12; i++) {
		size_t len;
		char *reply;

		shutdown(fds[i], SHUT_WR);
		reply = listen_to(fds[i], &len);
		still_held += len > 16000000;
		if (i < 3)
			assert_true(len < 16000000);
		free(reply);
	}
	assert_in_range(still_held, 1, 8);
}

#define SECONDS(n) ((n)*1000000000ull)

static int is_shut(const int pair[2])
{
	char byte;

	return recv(pair[1], &byte, 1, MSG_DONTWAIT) == 0;
}

/* Bug: a byte now and then keeps a connection for ever. By a clock of the test's own. */
static void test_deadlines(void **state)
{
	struct clients *clients = calloc(1, sizeof(*clients));
	int waiting[2], slow[2], fresh[2], later[2];
	struct client *asking;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, waiting), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, slow), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fresh), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, later), 0);

	clients_add(clients, waiting[0], SECONDS(1));
	asking = clients_add(clients, slow[0], SECONDS(2));
	clients_answering(clients, asking, SECONDS(60));
	clients_add(clients, fresh[0], SECONDS(60 + SERVE_ANSWER_S));
	assert_false(is_shut(slow));
	clients_answering(clients, clients_add(clients, later[0], SECONDS(61 + SERVE_ANSWER_S)),
			  SECONDS(61 + SERVE_ANSWER_S));
	assert_true(is_shut(slow));
	assert_false(is_shut(waiting));
	clients_answered(asking, SECONDS(100)); /* as the library says once it sees the end */
	clients_remove(asking);
	asking = clients_add(clients, slow[0], SECONDS(2 + SERVE_REQUEST_S));
	assert_non_null(asking); /* the slot is free again */
	assert_true(is_shut(waiting));
	assert_false(is_shut(fresh));
	for (int i = 0; i < 2; i++) {
		close(waiting[i]);
		close(slow[i]);
		close(fresh[i]);
		close(later[i]);
	}
	free(clients);
}

static void *stop(void *arg)
{
	serve_stop(arg);
	return NULL;
}

/* Bug: a stop that cuts the answers under way: a scrape lost at each restart. */
static void test_stop_finishes(void **state)
{
	static char text[4096];
	const struct prefix prefix = { text, sizeof(text) };
	struct pollfd begun;
	pthread_t thread;
	size_t len;

	(void)state;
	memset(text, 'x', sizeof(text));
	publish(4000, &prefix, COLLECTOR_UP, ""); /* more than sockets buffer */
	begun = (struct pollfd){ .fd = dial(1, 0), .events = POLLIN };
	say(begun.fd, "GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	assert_int_equal(poll(&begun, 1, GUARD_MS), 1);
	assert_int_equal(pthread_create(&thread, NULL, stop, serve), 0);
	serve = NULL;
	free(listen_to(begun.fd, &len));
	pthread_join(thread, NULL);
	assert_true(len > 16000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(idle_clients),
		TEST(slow_readers),
		TEST(deadlines),
		TEST(stop_finishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
