/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "serve_parts.h"

#define HOST_MAX 255

struct target {
	char host[HOST_MAX + 1]; /* "" for every address */
	uint16_t port;
};

static int bad_address(const char *address, const char *why)
{
	log_error("cannot listen on \"%s\": %s; " SERVE_ADDRESSES, address, why);
	return -EINVAL;
}

static int parse_port(const char *text, uint16_t *port)
{
	unsigned int value = 0;
	size_t len = strspn(text, "0123456789");

	if (!len || len > 5 || text[len])
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (unsigned int)(text[i] - '0');
	if (value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* NULL, or what is wrong with the address. */
static const char *parse(const char *address, struct target *target)
{
	const char *host = address, *colon = strrchr(address, ':'), *end;

	if (*address == '[') {
		host++;
		end = strchr(address, ']');
		if (!end)
			return "\"[\" without \"]\"";
		if (end == host)
			return "no address between the brackets";
		if (end[1] != ':')
			return end[1] ? "no \":\" after \"]\"" : "no port";
		colon = end + 1;
	} else {
		end = colon;
		if (!colon)
			return "no port";
		if (memchr(address, ':', (size_t)(colon - address)))
			return "an IPv6 address needs brackets";
	}
	if ((size_t)(end - host) > HOST_MAX)
		return "the host is longer than 255 bytes";
	if (parse_port(colon + 1, &target->port))
		return "the port is not a number from 0 to 65535";
	memcpy(target->host, host, (size_t)(end - host));
	target->host[end - host] = '\0';
	return NULL;
}

const char *serve_bad_address(const char *address)
{
	struct target target;

	return parse(address, &target);
}

static int resolve(const char *address, const struct target *target,
		   struct sockaddr_storage *sockaddr, socklen_t *len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list, *use;
	int err;

	if (*address == '[')
		hints.ai_flags |= AI_NUMERICHOST;
	err = getaddrinfo(target->host, NULL, &hints, &list);
	if (err) {
		const char *why = err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err);

		if (*address == '[')
			return bad_address(address, "no IPv6 address between the brackets");
		log_error("cannot listen on \"%s\": no address for host \"%s\": %s; choose an IP "
			  "address "
			  "of this machine or a name it knows for --web.listen-address",
			  address, target->host, why);
		return -EADDRNOTAVAIL;
	}
	/* A name with both kinds ("localhost") means the one every scraper can reach. */
	for (use = list; use->ai_family != AF_INET && use->ai_next;)
		use = use->ai_next;
	if (use->ai_family != AF_INET)
		use = list;
	memcpy(sockaddr, use->ai_addr, use->ai_addrlen);
	*len = use->ai_addrlen;
	freeaddrinfo(list);

	if (sockaddr->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sockaddr)->sin6_port = htons(target->port);
	else
		((struct sockaddr_in *)sockaddr)->sin_port = htons(target->port);
	return 0;
}

static int open_socket(const struct sockaddr_storage *sockaddr, socklen_t len, int v6only)
{
	int fd = socket(sockaddr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, err;

	if (fd < 0)
		return -errno;
	/* Without it a restart fails for a minute while old connections are in TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (sockaddr->ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only))) ||
	    bind(fd, (const struct sockaddr *)sockaddr, len) || listen(fd, SOMAXCONN)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* ":PORT": every address, of both kinds by one socket; IPv4 alone where IPv6 is off. */
static int open_any(uint16_t port)
{
	struct sockaddr_storage any = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&any;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&any;
	int fd;

	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	fd = open_socket(&any, sizeof(*v6), 0);
	if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
		return fd;
	memset(&any, 0, sizeof(any));
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	return open_socket(&any, sizeof(*v4), 0);
}

static const char *advice(int err)
{
	switch (-err) {
	case EADDRINUSE:
		return "; stop the other program or choose another --web.listen-address";
	case EADDRNOTAVAIL:
		return "; choose an address of this machine for --web.listen-address";
	case EACCES:
	case EPERM:
		return "; choose a port from 1024 up or grant CAP_NET_BIND_SERVICE";
	case EAFNOSUPPORT:
		return "; this machine has no IPv6: choose an IPv4 --web.listen-address";
	default:
		return "";
	}
}

int serve_listen(const char *address, uint16_t *port)
{
	struct sockaddr_storage sockaddr = { 0 };
	socklen_t len = sizeof(sockaddr);
	struct target target = { 0 };
	const char *why = parse(address, &target);
	int fd, err = 0;

	if (why)
		return bad_address(address, why);
	if (*target.host)
		err = resolve(address, &target, &sockaddr, &len);
	if (err)
		return err;

	fd = *target.host ? open_socket(&sockaddr, len, 1) : open_any(target.port);
	if (fd < 0) {
		log_error("cannot listen on \"%s\": %s%s", address, strerror(-fd), advice(fd));
		return fd;
	}
	len = sizeof(sockaddr);
	if (getsockname(fd, (struct sockaddr *)&sockaddr, &len)) {
		err = -errno;
		close(fd);
		return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname() filled it */
	*port = ntohs(sockaddr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sockaddr)->sin6_port
						     : ((struct sockaddr_in *)&sockaddr)->sin_port);
	return fd;
}
