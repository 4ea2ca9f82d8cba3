/* SPDX-License-Identifier: GPL-2.0-only */
#include <stddef.h>
#include <sys/socket.h>

#include "serve_parts.h"

/* The daemon sees the end of the connection, closes it and says so; the slot is free only then. */
static void shut(struct client *client)
{
	shutdown(client->fd, SHUT_RDWR);
	client->shut = true;
}

/* Ends what is overdue, then the longest waiting one when more than `max` (answers) are left. */
static void enforce(struct clients *clients, bool answers, size_t max, uint64_t now_ns)
{
	struct client *oldest = NULL;
	size_t n = 0;

	for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
		struct client *client = &clients->slots[i];
		uint64_t limit_s = client->answering ? SERVE_ANSWER_S : SERVE_REQUEST_S;

		if (!client->used || client->shut)
			continue;
		if (now_ns - client->since_ns > limit_s * 1000000000) {
			shut(client);
			continue;
		}
		if (answers && !client->answering)
			continue;
		n++;
		if (!oldest || client->since_ns < oldest->since_ns)
			oldest = client;
	}
	if (n > max)
		shut(oldest);
}

struct client *clients_add(struct clients *clients, int fd, uint64_t now_ns)
{
	for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
		struct client *client = &clients->slots[i];

		if (client->used)
			continue;
		*client = (struct client){ .fd = fd, .used = true, .since_ns = now_ns };
		enforce(clients, false, SERVE_CLIENTS, now_ns);
		return client;
	}
	return NULL;
}

void clients_answering(struct clients *clients, struct client *client, uint64_t now_ns)
{
	client->answering = true;
	client->since_ns = now_ns;
	enforce(clients, true, SERVE_ANSWERS, now_ns);
}

void clients_answered(struct client *client, uint64_t now_ns)
{
	client->answering = false;
	client->since_ns = now_ns;
}

void clients_remove(struct client *client)
{
	client->used = false;
}
