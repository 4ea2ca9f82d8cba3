/* SPDX-License-Identifier: GPL-2.0-only */
/* nested_work PORT N: sends N datagrams to a port of lo, whether or not a firewall lets them go. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 3 || fd < 0)
		return 2;
	to.sin_port = htons(atoi(argv[1]));
	for (long n = atol(argv[2]); n > 0; n--)
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EPERM) {
			perror("sendto");
			return 1;
		}
	return 0;
}
