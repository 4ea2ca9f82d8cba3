/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the serve stage share among themselves: serve.c starts and stops the daemons
 * with the help of serve_listen (addresses) and serve_limit (who may stay connected); serve_answer
 * says what a path is answered, from serve_request (headers), serve_body (the exposition) and
 * serve_pages (everything else).
 */
#pragma once

#include <pthread.h>

#include <microhttpd.h>

#include "render.h"
#include "clock.h"
#include "serve.h"

/*
 * A listening socket for `address`, non-blocking and closed on exec; its port in *port.
 * -errno after logging one line: EINVAL for what is no address, EADDRNOTAVAIL for no such host.
 */
int serve_listen(const char *address, uint16_t *port);

/*
 * The connections of one daemon. libmicrohttpd only ends connections on which nothing moves, and
 * when its limit is reached it stops accepting: a few clients that send a byte now and then would
 * lock everybody out, and each that reads its answer slowly would pin a generation in memory. So
 * above SERVE_CLIENTS the one that got nowhere for the longest time goes, and likewise above
 * SERVE_ANSWERS answers under way; who is past a deadline goes when the next client connects or
 * asks. All calls come from the daemon's thread, therefore no lock.
 */
#define SERVE_CLIENTS	64
#define SERVE_ANSWERS	8
#define SERVE_PER_IP	16
#define SERVE_IDLE_S	75  /* nothing sent or received */
#define SERVE_REQUEST_S 120 /* from accept, or the last answer, to the next whole request */
#define SERVE_ANSWER_S	30  /* from the request to the last byte of its answer */
/* The library's own limit leaves room for those that are shut down but not yet closed. */
#define SERVE_CONNECTIONS (SERVE_CLIENTS + 32)

struct client {
	int fd; /* libmicrohttpd's, only ever shut down here */
	bool used, answering, shut;
	uint64_t since_ns; /* when it was accepted, began to be answered, or was answered */
};

struct clients {
	struct client slots[SERVE_CONNECTIONS];
};

struct client *clients_add(struct clients *clients, int fd, uint64_t now_ns); /* NULL when full */
void clients_answering(struct clients *clients, struct client *client, uint64_t now_ns);
void clients_answered(struct client *client, uint64_t now_ns);
void clients_remove(struct client *client);

/* What the headers of a request say. */
struct request {
	bool malformed; /* control bytes, or two lengths: a proxy in front may see another request
			 */
	bool body;
	bool gzip;
};

void serve_read_request(struct MHD_Connection *connection, struct request *request);

/* The exposition of a snapshot, cached with it; NULL with errno set. */
const struct snapshot_body *serve_exposition(struct snapshot *snapshot, bool gzip);

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILING };

/* `snapshot` is NULL before the first poll. */
enum health serve_health(struct buffer *out, const struct snapshot *snapshot, bool stale,
			 const struct privilege_report *privileges);
void serve_page(struct buffer *out, const struct snapshot *snapshot, const char *version,
		const char *telemetry_path);

/* One daemon, and so one thread, per listen address. */
struct listener {
	struct serve *serve;
	struct MHD_Daemon *daemon; /* NULL until serve_run() */
	int fd;			   /* the daemon's own once there is one: -1 */
	uint16_t port;
	struct clients clients;
};

struct serve {
	struct serve_config config; /* its strings are ours, its address list is not kept */
	char *telemetry_path, *version;
	pthread_mutex_t lock; /* for the next four */
	pthread_cond_t answered;
	size_t answering;
	bool stopping;
	struct serve_stats stats;
	size_t nr_listeners;
	struct listener listeners[];
};

/* Answers the whole request for `path`; counts it. */
enum MHD_Result serve_answer(struct serve *serve, struct MHD_Connection *connection,
			     const char *path);
/* Answers with an error and one line, and ends the connection. */
enum MHD_Result serve_refuse(struct serve *serve, struct MHD_Connection *connection,
			     unsigned int code, const char *line);
