/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * serve: HTTP on libmicrohttpd. Takes snapshots from the store, renders them once per generation,
 * and never touches a map.
 *
 *   /metrics (or --web.telemetry-path)  the exposition; 503 before the first poll
 *   /health     JSON: status, checks (one per collector), updated (RFC 3339), privileges
 *   /-/healthy  200 while the process lives;  /-/ready  200 after the first poll, 503 before
 *   /           a page that links them
 * Anything else: 404; a method other than GET and HEAD: 405; a request body or a target that is too
 * long: 4xx. None of them costs a poll.
 */
#pragma once

#include <stdint.h>
#include <stddef.h>

#include "privilege.h"
#include "snapshot.h"

struct serve_config {
	const char *const *listen; /* "host:port", ":port", "[v6]:port" */
	size_t nr_listen;
	const char *telemetry_path;
	const char *version;
	struct snapshot_store *store;
	/* When set (--ebpf-probe-interval=0): called before each scrape, returns once a newer
	 * snapshot is published or could not be had. Runs in the HTTP thread. */
	void (*before_scrape)(void *arg);
	void *arg;
	uint64_t stale_after_ns; /* a snapshot older than this makes /health say so; 0: never */
	/* For /health, filled before serve_run(); NULL: /health does not speak of it. */
	const struct privilege_report *privileges;
};

/* What the HTTP side counted, for the exporter's own metrics. Read at any time, from any thread. */
struct serve_stats {
	uint64_t scrapes_by_code[6]; /* requests by status class: [2] 2xx, [4] 4xx, [5] 5xx */
	uint64_t scrapes;	     /* of the telemetry path that were answered 200 */
	uint64_t duration_ns;	     /* sum over those: render and hand over */
	uint64_t last_bytes;	     /* size of the last body */
	uint64_t duration_slots[99]; /* histogram.h layout: HIST_SLOTS counts, then the sum */
};

#define SERVE_ADDRESSES "expected HOST:PORT, [IPv6]:PORT or :PORT, port 0 to 65535"
/* NULL, or why this is no address to listen on. Asks nobody: the host may not exist. */
const char *serve_bad_address(const char *address);

/*
 * Opens a socket per address. Nobody is answered yet, clients queue: serve_run() starts the
 * threads, which is for after privileges were dropped, as a thread keeps those it began with.
 * Returns NULL with errno set, after logging one line that names the address and the reason (not an
 * address, no such host, in use, not permitted).
 */
struct serve *serve_open(const struct serve_config *config);
/* Starts serving. Returns 0, or -errno after one line. */
int serve_run(struct serve *serve);
/* Both. */
struct serve *serve_start(const struct serve_config *config);
/* Stops accepting, finishes running requests, frees. NULL is fine. */
void serve_stop(struct serve *serve);
void serve_stats(struct serve *serve, struct serve_stats *stats);
/* The port the i-th listen address got (":0" asks for a free one), 0 when there is no such. */
uint16_t serve_port(const struct serve *serve, size_t i);
