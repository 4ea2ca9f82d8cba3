/* SPDX-License-Identifier: GPL-2.0-only */
/* What is answered to which path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "log.h"
#include "serve_parts.h"

#define TYPE_TEXT	"text/plain; charset=utf-8"
#define TYPE_EXPOSITION "text/plain; version=0.0.4; charset=utf-8"

_Static_assert(sizeof(((struct serve_stats *)0)->duration_slots) ==
		       (HIST_SLOTS + 1) * sizeof(uint64_t),
	       "serve_stats keeps a histogram of histogram.h");

/* What is said around a body. */
struct reply {
	unsigned int code;
	const char *type;
	const char *headers[2][2];
};

/* Sends and drops `response`, whose NULL means there was no memory: the connection ends. */
static enum MHD_Result send_reply(struct serve *serve, struct MHD_Connection *connection,
				  struct MHD_Response *response, const struct reply *reply)
{
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (!MHD_add_response_header(response, "Content-Type", reply->type) ||
	    !MHD_add_response_header(response, "X-Content-Type-Options", "nosniff"))
		goto out;
	for (size_t i = 0; i < 2 && reply->headers[i][0]; i++)
		if (!MHD_add_response_header(response, reply->headers[i][0], reply->headers[i][1]))
			goto out;
	result = MHD_queue_response(connection, reply->code, response);
	if (result == MHD_YES) {
		pthread_mutex_lock(&serve->lock);
		serve->stats.scrapes_by_code[reply->code / 100]++;
		pthread_mutex_unlock(&serve->lock);
	}
out:
	MHD_destroy_response(response);
	return result;
}

/* Sends what `out` holds; it belongs to the response from here. */
static enum MHD_Result send_buffer(struct serve *serve, struct MHD_Connection *connection,
				   struct buffer *out, const struct reply *reply)
{
	struct MHD_Response *response = NULL;

	if (!out->failed)
		response = MHD_create_response_from_buffer_with_free_callback_cls(
			out->len, out->data, free, out->data);
	if (!response)
		buffer_free(out);
	return send_reply(serve, connection, response, reply);
}

static enum MHD_Result send_line(struct serve *serve, struct MHD_Connection *connection,
				 unsigned int code, const char *line)
{
	const struct reply reply = { code, TYPE_TEXT, { { NULL } } };
	struct buffer out = { 0 };

	buffer_printf(&out, "%s\n", line);
	return send_buffer(serve, connection, &out, &reply);
}

/* A refusal ends the connection: what follows on it may be a body, or another's request. */
enum MHD_Result serve_refuse(struct serve *serve, struct MHD_Connection *connection,
			     unsigned int code, const char *line)
{
	struct reply reply = { code, TYPE_TEXT, { { "Connection", "close" } } };
	struct buffer out = { 0 };

	if (code == MHD_HTTP_METHOD_NOT_ALLOWED) {
		reply.headers[1][0] = "Allow";
		reply.headers[1][1] = "GET, HEAD";
	}
	buffer_printf(&out, "%s\n", line);
	return send_buffer(serve, connection, &out, &reply);
}

/* A reference that lasts as long as the response which sends a body out of the snapshot. */
struct hold {
	struct snapshot_store *store;
	struct snapshot *snapshot;
};

static void let_go(void *arg)
{
	struct hold *hold = arg;

	snapshot_release(hold->store, hold->snapshot);
	free(hold);
}

static struct MHD_Response *respond_from(struct snapshot_store *store, struct snapshot *snapshot,
					 const struct snapshot_body *body)
{
	struct hold *hold = malloc(sizeof(*hold));
	struct MHD_Response *response;

	if (!hold) {
		snapshot_release(store, snapshot);
		return NULL;
	}
	*hold = (struct hold){ store, snapshot };
	response = MHD_create_response_from_buffer_with_free_callback_cls(body->len, body->data,
									  let_go, hold);
	if (!response)
		let_go(hold);
	return response;
}

static void count_scrape(struct serve *serve, uint64_t took_ns, size_t bytes)
{
	struct serve_stats *stats = &serve->stats;

	pthread_mutex_lock(&serve->lock);
	stats->scrapes++;
	stats->duration_ns += took_ns;
	stats->duration_slots[histogram_slot(took_ns)]++;
	stats->duration_slots[HIST_SLOTS] += took_ns;
	stats->last_bytes = bytes;
	pthread_mutex_unlock(&serve->lock);
}

static enum MHD_Result answer_metrics(struct serve *serve, struct MHD_Connection *connection)
{
	struct reply reply = { MHD_HTTP_OK, TYPE_EXPOSITION, { { "Vary", "Accept-Encoding" } } };
	struct snapshot_store *store = serve->config.store;
	const struct snapshot_body *body;
	struct snapshot *snapshot;
	struct request request;
	enum MHD_Result result;
	uint64_t start;
	size_t len;

	serve_read_request(connection, &request);
	if (serve->config.before_scrape)
		serve->config.before_scrape(serve->config.arg);
	start = monotonic_ns();
	snapshot = snapshot_acquire(store);
	if (!snapshot)
		return send_line(serve, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "no metrics yet: first poll not done");
	body = serve_exposition(snapshot, request.gzip);
	if (!body) {
		log_error("cannot render the metrics: %s", strerror(errno));
		snapshot_release(store, snapshot);
		return send_line(serve, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "cannot render the metrics; the log says why");
	}
	if (request.gzip) {
		reply.headers[1][0] = "Content-Encoding";
		reply.headers[1][1] = "gzip";
	}
	len = body->len; /* the snapshot may be gone once it is sent */
	result = send_reply(serve, connection, respond_from(store, snapshot, body), &reply);
	if (result == MHD_YES)
		count_scrape(serve, monotonic_ns() - start, len);
	return result;
}

static enum MHD_Result answer_health(struct serve *serve, struct MHD_Connection *connection)
{
	struct reply reply = { MHD_HTTP_OK,
			       "application/json",
			       { { "Cache-Control", "no-store" } } };
	struct snapshot_store *store = serve->config.store;
	struct snapshot *snapshot = snapshot_acquire(store);
	uint64_t limit = serve->config.stale_after_ns, now = monotonic_ns();
	struct buffer out = { 0 };
	bool stale;

	stale = snapshot && limit && now > snapshot->taken_mono_ns &&
		now - snapshot->taken_mono_ns > limit;
	if (serve_health(&out, snapshot, stale, serve->config.privileges) == HEALTH_FAILING)
		reply.code = MHD_HTTP_SERVICE_UNAVAILABLE;
	snapshot_release(store, snapshot);
	return send_buffer(serve, connection, &out, &reply);
}

static enum MHD_Result answer_healthy(struct serve *serve, struct MHD_Connection *connection)
{
	return send_line(serve, connection, MHD_HTTP_OK, "healthy");
}

static enum MHD_Result answer_ready(struct serve *serve, struct MHD_Connection *connection)
{
	if (!snapshot_wait_newer(serve->config.store, 0, 0))
		return send_line(serve, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "not ready: first poll not done");
	return send_line(serve, connection, MHD_HTTP_OK, "ready");
}

static enum MHD_Result answer_page(struct serve *serve, struct MHD_Connection *connection)
{
	const struct reply reply = {
		MHD_HTTP_OK,
		"text/html; charset=utf-8",
		{ { "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'" } },
	};
	struct snapshot_store *store = serve->config.store;
	struct snapshot *snapshot = snapshot_acquire(store);
	struct buffer out = { 0 };

	serve_page(&out, snapshot, serve->version, serve->telemetry_path);
	snapshot_release(store, snapshot);
	return send_buffer(serve, connection, &out, &reply);
}

enum MHD_Result serve_answer(struct serve *serve, struct MHD_Connection *connection,
			     const char *path)
{
	static const struct {
		const char *path;
		enum MHD_Result (*answer)(struct serve *serve, struct MHD_Connection *connection);
	} pages[] = {
		{ "/health", answer_health },
		{ "/-/healthy", answer_healthy },
		{ "/-/ready", answer_ready },
		{ "/", answer_page },
	};

	/* First, so that it wins whatever path it was given. */
	if (!strcmp(path, serve->telemetry_path))
		return answer_metrics(serve, connection);
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		if (!strcmp(path, pages[i].path))
			return pages[i].answer(serve, connection);
	return send_line(serve, connection, MHD_HTTP_NOT_FOUND, "not found");
}
