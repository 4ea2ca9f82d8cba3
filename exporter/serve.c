/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "serve_parts.h"

#define CONNECTION_MEMORY 16384 /* request line, headers and answer headers */
#define STOP_WAIT_NS	  3000000000

/* Called once when the headers are read, when it may refuse a body unread, and once to answer. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *path,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **context)
{
	const union MHD_ConnectionInfo *info;
	struct listener *listener = arg;
	struct serve *serve = listener->serve;
	struct request request;

	(void)version;
	(void)upload;
	if (*context)
		return *upload_size ? MHD_NO : serve_answer(serve, connection, path);

	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (!info || !info->socket_context)
		return MHD_NO;
	*context = info->socket_context;
	clients_answering(&listener->clients, *context, monotonic_ns());
	pthread_mutex_lock(&serve->lock);
	serve->answering++;
	pthread_mutex_unlock(&serve->lock);

	serve_read_request(connection, &request);
	if (request.malformed)
		return serve_refuse(serve, connection, MHD_HTTP_BAD_REQUEST, "malformed header");
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return serve_refuse(serve, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "only GET and HEAD");
	if (request.body)
		return serve_refuse(serve, connection, MHD_HTTP_CONTENT_TOO_LARGE,
				    "no request body wanted");
	return MHD_YES;
}

static void completed(void *arg, struct MHD_Connection *connection, void **context,
		      enum MHD_RequestTerminationCode why)
{
	struct listener *listener = arg;
	struct serve *serve = listener->serve;

	(void)connection;
	(void)why;
	if (!*context)
		return;
	clients_answered(*context, monotonic_ns());
	*context = NULL;
	pthread_mutex_lock(&serve->lock);
	serve->answering--;
	pthread_cond_signal(&serve->answered);
	pthread_mutex_unlock(&serve->lock);
}

static void connected(void *arg, struct MHD_Connection *connection, void **context,
		      enum MHD_ConnectionNotificationCode what)
{
	struct listener *listener = arg;
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		*context = info ? clients_add(&listener->clients, info->connect_fd, monotonic_ns())
				: NULL;
	} else if (*context) {
		clients_remove(*context);
	}
}

static enum MHD_Result admit(void *arg, const struct sockaddr *address, socklen_t len)
{
	struct serve *serve = ((struct listener *)arg)->serve;
	bool stopping;

	(void)address;
	(void)len;
	pthread_mutex_lock(&serve->lock);
	stopping = serve->stopping;
	pthread_mutex_unlock(&serve->lock);
	return stopping ? MHD_NO : MHD_YES;
}

/* Paths are compared as they came: undone, "/metrics%00x" would be "/metrics" to strcmp(). */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

/* What clients do wrong is theirs: of interest only to who looks for it. */
__attribute__((format(printf, 2, 0))) static void log_library(void *arg, const char *format,
							      va_list args)
{
	char line[256];

	(void)arg;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libmicrohttpd: %s", line);
}

/* The option that makes it strict about what RFC 9112 calls an error got a new name in 1.0. */
#if MHD_VERSION >= 0x01000000
#define STRICT MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define STRICT MHD_OPTION_STRICT_FOR_CLIENT
#endif

/*
 * poll(2), not epoll: there are few descriptors, and an edge missed by the library would be a
 * connection that hangs. Signals are for the main thread.
 */
static struct MHD_Daemon *start_daemon(struct listener *listener, int fd)
{
	struct MHD_Daemon *daemon;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* clang-format off */
	daemon = MHD_start_daemon(
		MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0,
		admit, listener, answer, listener,
		MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
		MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)SERVE_CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int)SERVE_PER_IP,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)SERVE_IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, connected, listener,
		MHD_OPTION_NOTIFY_COMPLETED, completed, listener,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		STRICT, 1,
		MHD_OPTION_END);
	/* clang-format on */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return daemon;
}

static struct serve *serve_new(const struct serve_config *config)
{
	struct serve *serve;
	pthread_condattr_t attr;

	serve = calloc(1, sizeof(*serve) + config->nr_listen * sizeof(struct listener));
	if (!serve)
		return NULL;
	pthread_mutex_init(&serve->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&serve->answered, &attr);
	pthread_condattr_destroy(&attr);
	serve->config = *config;
	serve->telemetry_path = strdup(config->telemetry_path);
	serve->version = strdup(config->version);
	return serve;
}

struct serve *serve_open(const struct serve_config *config)
{
	struct serve *serve = serve_new(config);
	int err = 0;

	if (!serve || !serve->telemetry_path || !serve->version)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < config->nr_listen; i++) {
		struct listener *listener = &serve->listeners[i];

		listener->serve = serve;
		listener->fd = serve_listen(config->listen[i], &listener->port);
		if (listener->fd < 0)
			err = listener->fd;
		else
			serve->nr_listeners++;
	}
	if (err) {
		serve_stop(serve);
		errno = -err;
		return NULL;
	}
	return serve;
}

int serve_run(struct serve *serve)
{
	for (size_t i = 0; i < serve->nr_listeners; i++) {
		struct listener *listener = &serve->listeners[i];
		int fd = listener->fd, err;

		listener->fd = -1; /* start_daemon() closes it, whatever comes of it */
		errno = 0;
		listener->daemon = start_daemon(listener, fd);
		if (!listener->daemon) {
			err = errno ? -errno : -ENOMEM;
			log_error("cannot serve on port %u: libmicrohttpd: %s", listener->port,
				  strerror(-err));
			return err;
		}
	}
	return 0;
}

struct serve *serve_start(const struct serve_config *config)
{
	struct serve *serve = serve_open(config);
	int err = serve ? serve_run(serve) : 0;

	if (err) {
		serve_stop(serve);
		errno = -err;
		return NULL;
	}
	return serve;
}

void serve_stop(struct serve *serve)
{
	uint64_t until = monotonic_ns() + STOP_WAIT_NS;
	const struct timespec deadline = {
		.tv_sec = (time_t)(until / 1000000000),
		.tv_nsec = (long)(until % 1000000000),
	};

	if (!serve)
		return;
	pthread_mutex_lock(&serve->lock);
	serve->stopping = true;
	while (serve->answering)
		if (pthread_cond_timedwait(&serve->answered, &serve->lock, &deadline))
			break;
	pthread_mutex_unlock(&serve->lock);

	for (size_t i = 0; i < serve->nr_listeners; i++) {
		if (serve->listeners[i].daemon)
			MHD_stop_daemon(serve->listeners[i].daemon);
		if (serve->listeners[i].fd >= 0)
			close(serve->listeners[i].fd);
	}
	pthread_cond_destroy(&serve->answered);
	pthread_mutex_destroy(&serve->lock);
	free(serve->telemetry_path);
	free(serve->version);
	free(serve);
}

void serve_stats(struct serve *serve, struct serve_stats *stats)
{
	pthread_mutex_lock(&serve->lock);
	*stats = serve->stats;
	pthread_mutex_unlock(&serve->lock);
}

uint16_t serve_port(const struct serve *serve, size_t i)
{
	return i < serve->nr_listeners ? serve->listeners[i].port : 0;
}
