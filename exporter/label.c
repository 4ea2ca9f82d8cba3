/* SPDX-License-Identifier: GPL-2.0-only */
#include "label.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *sysfs = "/sys";

void label_set_sysfs(const char *path)
{
	sysfs = path;
}

/*
 * For the names of interfaces, by ioctl. A stream socket of this kind that is not connected can
 * send nothing anywhere: it is all that the sandbox (privilege.h) leaves, which makes no sockets.
 */
static int names = -1;

void label_open(void)
{
	names = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static const void *at(const struct label *label, const void *key)
{
	return (const char *)key + label->offset;
}

static int64_t integer(const struct label *label, const void *key)
{
	const void *p = at(label, key);

	switch (label->size) {
	case 1:
		return label->is_signed ? *(const int8_t *)p : *(const uint8_t *)p;
	case 2: {
		uint16_t v;
		memcpy(&v, p, sizeof(v));
		return label->is_signed ? (int16_t)v : v;
	}
	case 4: {
		uint32_t v;
		memcpy(&v, p, sizeof(v));
		return label->is_signed ? (int32_t)v : (int64_t)v;
	}
	default: {
		int64_t v;
		memcpy(&v, p, sizeof(v));
		return v;
	}
	}
}

static void decode_integer(const struct label *label, const void *key, struct buffer *out)
{
	int64_t v = integer(label, key);

	if (label->is_signed)
		buffer_printf(out, "%lld", (long long)v);
	else
		buffer_printf(out, "%llu", (unsigned long long)v);
}

static void decode_enum(const struct label *label, const void *key, struct buffer *out)
{
	int64_t v = integer(label, key);

	for (size_t i = 0; i < label->names.n; i++)
		if (label->names.values[i].value == v) {
			buffer_add(out, label->names.values[i].name,
				   strlen(label->names.values[i].name));
			return;
		}
	buffer_printf(out, "unknown_%lld", (long long)v);
}

static void decode_chars(const struct label *label, const void *key, struct buffer *out)
{
	buffer_add(out, at(label, key), strnlen(at(label, key), label->size));
}

/* The kernel's dev_t: 12 bits of major, 20 of minor. Named by the link that sysfs has for it. */
static void decode_dev(const struct label *label, const void *key, struct buffer *out)
{
	uint32_t dev = integer(label, key), major = dev >> 20, minor = dev & 0xfffff;
	char path[512], target[512];
	const char *name;
	ssize_t n;

	if (!dev) {
		buffer_printf(out, "none");
		return;
	}
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs, major, minor);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = 0;
		name = strrchr(target, '/');
		buffer_printf(out, "%s", name ? name + 1 : target);
	} else {
		buffer_printf(out, "%u:%u", major, minor);
	}
}

static void decode_ifindex(const struct label *label, const void *key, struct buffer *out)
{
	struct ifreq request = { .ifr_ifindex = (int)integer(label, key) };

	if (names < 0)
		label_open();
	if (names >= 0 && !ioctl(names, SIOCGIFNAME, &request))
		buffer_printf(out, "%.*s", IF_NAMESIZE, request.ifr_name);
	else
		buffer_printf(out, "%u", (unsigned int)request.ifr_ifindex);
}

static void decode_port(const struct label *label, const void *key, struct buffer *out)
{
	buffer_printf(out, "%u", ntohs((uint16_t)integer(label, key)));
}

static void decode_ipv4(const struct label *label, const void *key, struct buffer *out)
{
	char text[INET_ADDRSTRLEN];

	buffer_printf(out, "%s", inet_ntop(AF_INET, at(label, key), text, sizeof(text)));
}

static void decode_ipv6(const struct label *label, const void *key, struct buffer *out)
{
	char text[INET6_ADDRSTRLEN];

	buffer_printf(out, "%s", inet_ntop(AF_INET6, at(label, key), text, sizeof(text)));
}

/* bpf/metrics.bpf.h: above MAX_ERRNO, what is no error number */
enum { ERRNO_ABORTED = 4096, ERRNO_OTHER };

/* Programs keep errnos as they find them, negative or positive. */
static void decode_errno(const struct label *label, const void *key, struct buffer *out)
{
	int64_t v =
		llabs(integer(label, key)); /* wider than it: the least int has no absolute value */
	const char *name = v <= INT_MAX ? strerrorname_np(v) : NULL;

	if (!v)
		buffer_printf(out, "none");
	else if (v == ERRNO_ABORTED)
		buffer_printf(out, "aborted");
	else if (v == ERRNO_OTHER)
		buffer_printf(out, "other");
	else if (name)
		buffer_printf(out, "%s", name);
	else
		buffer_printf(out, "unknown_%lld", (long long)v);
}

static void decode_signal(const struct label *label, const void *key, struct buffer *out)
{
	int v = integer(label, key);
	const char *name = sigabbrev_np(v);

	if (!v)
		buffer_printf(out, "none");
	else if (name)
		buffer_printf(out, "%s", name);
	else
		buffer_printf(out, "unknown_%d", v);
}

/* What the kernel calls an interrupt: the devices on the line, else the chip it comes from. */
static void irq_name(unsigned int irq, char *name, size_t size)
{
	static const char *const files[] = { "actions", "chip_name" };
	char path[512];
	FILE *file;

	*name = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && !*name; i++) {
		snprintf(path, sizeof(path), "%s/kernel/irq/%u/%s", sysfs, irq, files[i]);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(name, (int)size, file))
			*name = 0;
		name[strcspn(name, "\n")] = 0;
		fclose(file);
	}
	if (!*name)
		snprintf(name, size, "irq%u", irq);
}

/*
 * Machines with many queues have thousands of interrupts: the first names to count get a series
 * each, all others share one.
 */
#define IRQ_NAMES 64

static void decode_irq(const struct label *label, const void *key, struct buffer *out)
{
	static char *known[IRQ_NAMES];
	uint32_t irq = integer(label, key);
	char name[256];

	if (irq)
		irq_name(irq - 1, name, sizeof(name));
	for (size_t i = 0; irq && i < IRQ_NAMES; i++) {
		if (!known[i])
			known[i] = strdup(name);
		if (known[i] && !strcmp(known[i], name)) {
			buffer_printf(out, "%s", name);
			return;
		}
	}
	buffer_printf(out, "other");
}

static const struct label_kind kinds[] = {
	{ "cgroup_id_t", 8, decode_integer }, /* label_cgroup.c makes the labels */
	{ "irq_t", 4, decode_irq },	      { "pid_t", 4, decode_integer },
	{ "comm_t", 16, decode_chars },	      { "dev_t", 4, decode_dev },
	{ "ifindex_t", 4, decode_ifindex },   { "__be16", 2, decode_port },
	{ "__be32", 4, decode_ipv4 },	      { "in6_addr", 16, decode_ipv6 },
	{ "errno_t", 4, decode_errno },	      { "signal_t", 4, decode_signal },
};
const struct label_kind *const label_kind_cgroup = &kinds[0];
const struct label_kind *const label_kind_irq = &kinds[1];
const struct label_kind label_kind_enum = { NULL, 0, decode_enum };
const struct label_kind label_kind_integer = { NULL, 0, decode_integer };
const struct label_kind label_kind_chars = { NULL, 0, decode_chars };

bool label_is_sparse(const struct label *label)
{
	return label->kind == label_kind_irq;
}

const struct label_kind *label_kind_named(const char *type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].type, type))
			return &kinds[i];
	return NULL;
}

/* Length of the valid UTF-8 sequence at `s`, 0 when there is none (RFC 3629, section 4). */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	static const unsigned char lead_min[] = { 0, 0, 0xc2, 0xe0, 0xf0 };
	static const unsigned char lead_max[] = { 0, 0, 0xdf, 0xef, 0xf4 };

	for (size_t n = 2; n <= 4 && n <= left; n++) {
		if (s[0] < lead_min[n] || s[0] > lead_max[n])
			continue;
		for (size_t i = 1; i < n; i++)
			if ((s[i] & 0xc0) != 0x80)
				return 0;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return n;
	}
	return 0;
}

void label_add(struct buffer *out, const char *name, const char *value, size_t len)
{
	if (!len)
		return;
	buffer_printf(out, "%s%s=\"", out->len ? "," : "", name);
	for (size_t i = 0; i < len;) {
		unsigned char c = value[i];
		size_t n = c < 0x80 ? (c >= 0x20 && c != 0x7f)
				    : utf8_len((const unsigned char *)value + i, len - i);

		/* C1 controls, U+0080 to U+009F, are control characters as well */
		if (n == 2 && c == 0xc2 && (unsigned char)value[i + 1] < 0xa0)
			n = 0;
		if (n) {
			render_escaped(out, value + i, n, 1);
			i += n;
		} else {
			buffer_printf(out, "\\\\x%02x", c);
			i++;
		}
	}
	buffer_add(out, "\"", 1);
}
