/* SPDX-License-Identifier: GPL-2.0-only */
/* What is answered to whom. */
#define ZLIB_CONST
#include <zlib.h>

#include "http.h"

/* Bug: an empty exposition (all series stale) or "ready" before there is anything to read. */
static void test_before_first_poll(void **state)
{
	(void)state;
	expect(get("/metrics"), 503, "no metrics yet: first poll not done\n");
	expect(get("/-/ready"), 503, "not ready: first poll not done\n");
	expect(get("/-/healthy"), 200, "healthy\n");
	expect(get("/health"), 503,
	       "{\"status\":\"failing\",\"reason\":\"the first poll is not done\","
	       "\"updated\":null,\"checks\":{}}\n");
	expect_code(get("/"), 200);
}

/* Bug: a page that lost its type or body, a HEAD with a body, a 404 for what is there. */
static void test_pages(void **state)
{
	char *reply;

	(void)state;
	publish_ok();
	reply = get("/metrics");
	expect_header(reply, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	expect_header(reply, "Vary: Accept-Encoding\r\n");
	assert_null(strstr(reply, "Content-Encoding"));
	expect(reply, 200, WANTED);
	expect(get("/metrics?name[]=x"), 200, WANTED);
	expect(get("/-/ready"), 200, "ready\n");
	expect(get("/-/healthy"), 200, "healthy\n");
	expect(get("/nothing"), 404, "not found\n");
	expect_code(get("/metrics/"), 404);
	expect_code(get("/metrics%00"), 404);
	expect_code(get("//metrics"), 404);

	reply = ask("HEAD /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	expect_header(reply, "Content-Length: 51\r\n");
	assert_int_equal(strlen(WANTED), 51);
	expect(reply, 200, "");
}

/* Bug: a closed connection for each scrape, or an answer that spoils the next request. */
static void test_keep_alive(void **state)
{
	char *reply, *second;

	(void)state;
	publish_ok();
	reply = ask("GET /metrics HTTP/1.1\r\n" HOST "\r\n"
		    "GET /-/ready HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	second = strstr(reply + 1, "HTTP/1.1 ");
	assert_non_null(second);
	assert_string_equal(body_of(second), "ready\n");
	expect_code(reply, 200);
}

/* Bug: a collector's trouble that /health does not show, or text that breaks out of the JSON. */
static void test_health(void **state)
{
	char *reply;

	(void)state;
	publish_ok();
	reply = get("/health");
	expect_header(reply, "Content-Type: application/json\r\n");
	expect(reply, 200,
	       "{\"status\":\"ok\",\"updated\":\"2026-11-24T01:02:03.456Z\",\"checks\":{"
	       "\"tcp\":{\"status\":\"ok\"},\"block\":{\"status\":\"ok\"}}}\n");
	publish(1, &short_prefix, COLLECTOR_DOWN, "no \"rq\"\n\\ \x01 \xff gr\xc3\xbcn");
	expect(get("/health"), 200,
	       "{\"status\":\"degraded\",\"updated\":\"2026-11-24T01:02:03.456Z\",\"checks\":{"
	       "\"tcp\":{\"status\":\"ok\"},\"block\":{\"status\":\"failing\",\"reason\":"
	       "\"no \\\"rq\\\"\\u000a\\\\ \\u0001 \\ufffd gr\xc3\xbcn\"}}}\n");
	publish(1, &short_prefix, COLLECTOR_PARTIAL, "half");
	reply = get("/health");
	expect_header(reply, "\"status\":\"degraded\",\"updated\"");
	expect_header(reply, "\"block\":{\"status\":\"degraded\",\"reason\":\"half\"}");
	expect_code(reply, 200);
	publish(1, &short_prefix, COLLECTOR_OFF, "");
	reply = get("/health");
	expect_header(reply, "{\"status\":\"ok\"");
	expect_header(reply, "\"block\":{\"status\":\"off\"}");
	expect_code(reply, 200);
}

/* Bug: a poller that hangs while /health says all is well. The snapshot was taken at boot time. */
static void test_stale(void **state)
{
	char *reply;

	(void)state;
	serve_stop(serve);
	serve = start("127.0.0.1:0", "/metrics", 1);
	publish_ok();
	reply = get("/health");
	expect_header(reply, "\"reason\":\"the last poll is too old\"");
	expect_code(reply, 503);
	expect_code(get("/metrics"), 200);
}

/* Bug: a reason or version that is markup on the status page. */
static void test_status_page(void **state)
{
	char *reply;

	(void)state;
	publish(1, &short_prefix, COLLECTOR_DOWN, "<script>\"&'");
	reply = get("/");
	expect_header(reply,
		      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n");
	expect_header(reply, "X-Content-Type-Options: nosniff\r\n");
	expect_header(reply, "Content-Type: text/html; charset=utf-8\r\n");
	expect_header(reply, "bpf_exporter 1.2&lt;3");
	expect_header(reply, "<td>block</td><td>down</td><td>&lt;script&gt;&quot;&amp;&#39;</td>");
	expect_header(reply, "href=\"/metrics\"");
	expect_code(reply, 200);
}

/* Bug: the page takes the path the user gave to the metrics. */
static void test_telemetry_path_wins(void **state)
{
	(void)state;
	serve_stop(serve);
	serve = start("127.0.0.1:0", "/", 0);
	publish_ok();
	expect(get("/"), 200, WANTED);
	expect_code(get("/metrics"), 404);
	expect(get("/-/ready"), 200, "ready\n");
}

/* Bug: a request that is no plain GET costs a render, reads a body, or leaves one for the next. */
static void test_refused(void **state)
{
	static const struct {
		const char *request;
		int code;
	} cases[] = {
		{ "POST /metrics HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "POST /metrics HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 405 },
		{ "DELETE / HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "get /metrics HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 413 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n", 413 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
		  "Expect: 100-continue\r\n\r\n",
		  413 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 50\r\n\r\n"
		  "GET /-/ready HTTP/1.1\r\n" HOST "\r\n",
		  400 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 0\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		  400 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "X: a\x01"
		  "b\r\n\r\n",
		  400 },
		{ "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /metrics HTTP/1.1\r\n" HOST "Content-Length: abc\r\n\r\n", 400 },
	};

	(void)state;
	publish_ok();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *reply = ask(cases[i].request);

		if (code_of(reply) != cases[i].code)
			print_message("case %zu\n", i);
		if (code_of(reply) == 405)
			expect_header(reply, "Allow: GET, HEAD\r\n");
		assert_null(strstr(reply, "\nready")); /* nothing after a refusal */
		assert_null(strstr(reply, "m_total"));
		expect_code(reply, cases[i].code);
	}
	/* A length of nothing is nothing. */
	expect(ask("GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n"
		   "Content-Length: 0\r\n\r\n"),
	       200, WANTED);
}

/* Bug: garbage or an endless line keeps the connection, or takes the server down. */
static void test_malformed(void **state)
{
	static const char line[] = "GET /";
	size_t len = 100000;
	char *request = malloc(len + 64), *reply;

	(void)state;
	publish_ok();
	for (int cut = 0; cut < 2; cut++) { /* in the target, in a header */
		int n = sprintf(request, "%s", cut ? "GET / HTTP/1.1\r\n" HOST "X: " : line);

		memset(request + n, 'a', len);
		strcpy(request + (size_t)n + len - 64,
		       cut ? "\r\n\r\n" : " HTTP/1.1\r\n" HOST "\r\n");
		reply = ask(request);
		/* The rest of the line is unread, so the answer may be lost to a reset. */
		if (*reply)
			assert_in_range(code_of(reply), 400, 499);
		free(reply);
	}
	free(request);
	reply = ask("\x16\x03\x01\x02\x01garbage\r\n\r\n");
	assert_true(code_of(reply) == 0 || (code_of(reply) >= 400 && code_of(reply) < 500));
	free(reply);
	expect_code(get("/-/healthy"), 200);
}

static size_t gunzip(const char *from, size_t len, char *to, size_t size)
{
	z_stream stream = { .next_in = (const Bytef *)from,
			    .avail_in = (uInt)len,
			    .next_out = (Bytef *)to,
			    .avail_out = (uInt)size };

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	return size - stream.avail_out;
}

/* Bug: gzip sent to who refused it or asked for something else, or a body that does not inflate. */
static void test_gzip(void **state)
{
	static const struct {
		const char *accept;
		int gzip;
	} cases[] = {
		{ "gzip", 1 },
		{ "gzip;q=0", 0 },
		{ "gzip; q=0.000", 0 },
		{ "deflate, gzip;q=0.5", 1 },
		{ "identity", 0 },
		{ "", 0 },
		{ "*", 1 },
		{ "*;q=0", 0 },
		{ "gzip;q=0, *", 0 },
		{ "*;q=0, GZIP", 1 },
		{ "gzipped", 0 },
		{ "br\r\nAccept-Encoding: gzip", 1 },
		{ "x-gzip", 1 },
		{ ",,;;q=,gzip;q=0.001,", 1 },
	};

	(void)state;
	publish_ok();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char request[256], plain[512], *reply;
		size_t len, n;

		snprintf(request, sizeof(request),
			 "GET /metrics HTTP/1.1\r\n" HOST
			 "Connection: close\r\nAccept-Encoding: %s\r\n\r\n",
			 cases[i].accept);
		reply = ask_len(request, &len);
		expect_header(reply, "Vary: Accept-Encoding\r\n");
		if (!cases[i].gzip) {
			expect(reply, 200, WANTED);
			continue;
		}
		expect_header(reply, "Content-Encoding: gzip\r\n");
		n = gunzip(body_of(reply), len - (size_t)(body_of(reply) - reply), plain,
			   sizeof(plain));
		assert_int_equal(n, strlen(WANTED));
		assert_memory_equal(plain, WANTED, n);
		expect_code(reply, 200);
	}
}

/* Bug: text lost or doubled where the compressor takes the next piece. */
static void test_gzip_large(void **state)
{
	static char got[2000000];
	char *plain, *reply;
	size_t len, n;

	(void)state;
	publish(150000, &short_prefix, COLLECTOR_UP, "");
	plain = get("/metrics");
	reply = ask_len("GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n"
			"Accept-Encoding: gzip\r\n\r\n",
			&len);
	n = gunzip(body_of(reply), len - (size_t)(body_of(reply) - reply), got, sizeof(got));
	assert_int_equal(n, strlen(body_of(plain)));
	assert_int_equal(n, strlen(WANTED) + 149999 * strlen("m_total 7\n"));
	assert_memory_equal(got, body_of(plain), n);
	free(plain);
	free(reply);
}

/* Bug: a new generation answered with the old one's cached body. */
static void test_generations(void **state)
{
	static const struct prefix other = { "n_total ", 8 };
	char *reply;

	(void)state;
	publish_ok();
	expect(get("/metrics"), 200, WANTED);
	publish(1, &other, COLLECTOR_UP, "");
	assert_int_equal(snapshot_oldest_generation(store), 2);
	reply = get("/metrics");
	expect_header(reply, "\nn_total 7\n");
	expect_code(reply, 200);
}

static void count_call(void *arg)
{
	++*(int *)arg;
	publish_ok();
}

/* Bug: with polls on demand, a probe of another page polls, or the scrape shows the poll before. */
static void test_before_scrape(void **state)
{
	const char *address = "127.0.0.1:0";
	int calls = 0;
	const struct serve_config config = { &address, 1,	   "/metrics", "1",
					     store,    count_call, &calls,     0, NULL };

	(void)state;
	serve_stop(serve);
	serve = serve_start(&config);
	expect_code(get("/health"), 503);
	expect_code(get("/nothing"), 404);
	expect(get("/metrics"), 200, WANTED);
	serve_stop(serve); /* orders the other thread's writes before the reads here */
	serve = NULL;
	assert_int_equal(calls, 1);
}

/* Bug: scrapes counted twice, not at all, or under the wrong class. */
static void test_stats(void **state)
{
	struct serve_stats stats;
	uint64_t slots = 0;

	(void)state;
	expect_code(get("/metrics"), 503);
	publish_ok();
	expect_code(get("/metrics"), 200);
	expect_code(get("/metrics"), 200);
	expect_code(get("/nothing"), 404);
	serve_stats(serve, &stats);
	assert_int_equal(stats.scrapes, 2);
	assert_int_equal(stats.scrapes_by_code[2], 2);
	assert_int_equal(stats.scrapes_by_code[4], 1);
	assert_int_equal(stats.scrapes_by_code[5], 1);
	assert_int_equal(stats.last_bytes, strlen(WANTED));
	for (size_t i = 0; i < 98; i++)
		slots += stats.duration_slots[i];
	assert_int_equal(slots, 2);
	assert_true(stats.duration_slots[98] == stats.duration_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_first_poll),
		TEST(pages),
		TEST(keep_alive),
		TEST(health),
		TEST(stale),
		TEST(status_page),
		TEST(telemetry_path_wins),
		TEST(refused),
		TEST(malformed),
		TEST(gzip_large),
		TEST(gzip),
		TEST(generations),
		TEST(before_scrape),
		TEST(stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
