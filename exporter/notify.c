/* SPDX-License-Identifier: GPL-2.0-only */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify = -1;

void notify_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if ((len < 2) || (path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = 0; /* an abstract socket */
	notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify >= 0 && connect(notify, (struct sockaddr *)&address,
				   offsetof(struct sockaddr_un, sun_path) + len)) {
		close(notify);
		notify = -1;
	}
}

void notify_ready(void)
{
	static const char state[] = "READY=1";

	if (notify < 0)
		return;
	send(notify, state, sizeof(state) - 1, MSG_NOSIGNAL);
	close(notify);
	notify = -1;
}
