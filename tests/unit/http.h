/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A server with hand-made snapshots and a client on raw sockets, for the tests of the serve stage:
 * a client library would repair or hide what is tested.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve.h"

#define HOST	 "Host: localhost\r\n"
#define WANTED	 "# HELP m_total M.\n# TYPE m_total counter\nm_total 7\n"
#define GUARD_MS 20000 /* only against a hang; nothing is measured */

/* Of the test under way; setup() makes them. */
static struct snapshot_store *store;
static struct serve *serve;

static inline struct serve *start(const char *address, const char *path, uint64_t stale_after_ns)
{
	const struct serve_config config = {
		.listen = &address,
		.nr_listen = 1,
		.telemetry_path = path,
		.version = "1.2<3",
		.store = store,
		.stale_after_ns = stale_after_ns,
	};

	return serve_start(&config);
}

static inline int setup(void **state)
{
	(void)state;
	store = snapshot_store_new();
	serve = start("127.0.0.1:0", "/metrics", 0);
	return serve ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	serve_stop(serve);
	snapshot_store_free(store);
	return 0;
}

static inline void publish(size_t samples, const struct prefix *prefix, enum collector_state second,
			   const char *reason)
{
	struct snapshot *snapshot = snapshot_new(1, samples, 0, 2);

	snapshot->taken = (struct timespec){ 1795482123, 456789000 };
	snapshot->families[0] = (struct snapshot_family){
		"m_total", "M.", METRIC_COUNTER, 0, snapshot_samples(snapshot, samples), samples
	};
	for (size_t i = 0; i < samples; i++)
		snapshot->families[0].samples[i] = (struct sample){ .lines = prefix, .value = 7 };
	snapshot->checks[0] = (struct snapshot_check){ "tcp", COLLECTOR_UP, "" };
	snapshot->checks[1] = (struct snapshot_check){ "block", second, reason };
	snapshot_publish(store, snapshot);
}

static const struct prefix short_prefix = { "m_total ", 8 };

static inline void publish_ok(void)
{
	publish(1, &short_prefix, COLLECTOR_UP, "");
}

/* Connects from 127.0.0.`from`; a small receive buffer makes a slow reader of whoever waits. */
static inline int dial(unsigned int from, int small)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(serve_port(serve, 0)) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), size = 4096;
	struct timeval guard = { .tv_sec = GUARD_MS / 1000 };

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	own.sin_addr.s_addr = htonl(0x7f000000 + from);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof(guard));
	if (small)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void say(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Reads up to the end of the connection; NUL-terminated, *len without it. */
static inline char *listen_to(int fd, size_t *len)
{
	size_t size = 1 << 16, n = 0;
	char *text = malloc(size);
	ssize_t got;

	while ((got = recv(fd, text + n, size - n - 1, 0)) > 0) {
		n += (size_t)got;
		if (size - n < 4096)
			text = realloc(text, size *= 2);
	}
	text[n] = '\0';
	if (len)
		*len = n;
	close(fd);
	return text;
}

static inline char *ask_len(const char *request, size_t *len)
{
	int fd = dial(1, 0);

	say(fd, request);
	return listen_to(fd, len);
}

static inline char *ask(const char *request)
{
	return ask_len(request, NULL);
}

static inline char *get(const char *path)
{
	char request[512];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
		 path);
	return ask(request);
}

static inline int code_of(const char *reply)
{
	return strncmp(reply, "HTTP/1.", 7) ? 0 : atoi(reply + 9);
}

static inline const char *body_of(const char *reply)
{
	const char *end = strstr(reply, "\r\n\r\n");

	return end ? end + 4 : "(no end of headers)";
}

static inline void expect_code(char *reply, int code)
{
	if (code_of(reply) != code)
		print_message("got: %.300s\n", reply);
	assert_int_equal(code_of(reply), code);
	free(reply);
}

static inline void expect(char *reply, int code, const char *body)
{
	assert_string_equal(body_of(reply), body);
	expect_code(reply, code);
}

static inline void expect_header(const char *reply, const char *line)
{
	if (!strstr(reply, line))
		print_message("no \"%s\" in: %.600s\n", line, reply);
	assert_non_null(strstr(reply, line));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
