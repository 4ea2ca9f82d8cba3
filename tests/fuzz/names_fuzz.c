/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * names_fuzz: paths of cgroups and what runtimes leave of their containers, by libFuzzer. The first byte says which
 * file the rest is written to (its 64-digit id is in the path then), or that the rest is a path.
 *
 * Beyond what the sanitizers see: an id is an id, an owner stays the owner of all that is below, and labels are
 * labels, whatever the name.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_path.h"
#include "container_names.h"
#include "group_name.h"

#define ID  "4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f"
#define UID "6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42"

#define MUST(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

static const struct {
	const char *file, *path;
} states[] = {
	{ "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json", "/kubepods/pod" UID "/" ID },
	{ "/run/containerd/io.containerd.runtime.v2.task/default/c1/config.json", "/default/c1" },
	{ "/run/containers/storage/overlay-containers/" ID "/userdata/config.json", "/kubepods/pod" UID "/crio-" ID },
	{ "/var/lib/containers/storage/vfs-containers/containers.json", "/libpod_parent/libpod-" ID },
	{ "/var/lib/docker/containers/" ID "/config.v2.json", "/docker/" ID },
	{ "/var/lib/docker/containers/" ID "/config.v2.json", "/kubepods/pod" UID "/" ID },
};
#define NR_STATES (sizeof(states) / sizeof(*states))

static const char *root;
static struct container_names *names;

static void make_folders(const char *file)
{
	char path[512], *at;

	snprintf(path, sizeof(path), "%s%s", root, file);
	for (at = path + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = 0;
		mkdir(path, 0755);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	root = getenv("FUZZ_ROOT"); /* an empty folder, which the runner removes */
	MUST(root && *root == '/');
	for (size_t i = 0; i < NR_STATES; i++)
		make_folders(states[i].file);
	names = container_names_new(root);
	MUST(names);
	return 0;
}

static void must_be_id(const char *id)
{
	MUST(!*id || (strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64));
}

static void try_path(const char *path)
{
	static char longer[1 << 16];
	struct cgroup_path at, below;
	size_t uid;

	cgroup_path_parse(&at, path);
	must_be_id(at.container_id);
	must_be_id(at.pod_id);
	uid = strlen(at.pod_uid);
	MUST((at.owner == OWNER_POD) == (uid != 0));
	MUST(!uid || ((uid == 36 || uid == 32) && strspn(at.pod_uid, "0123456789abcdef-") == uid));
	MUST((at.owner == OWNER_POD) == (*at.qos != 0));
	MUST((at.owner == OWNER_UNIT) == (at.unit != NULL));
	MUST(at.owner != OWNER_CONTAINER || *at.container_id || *at.name);
	MUST(at.owner != OWNER_PATH || (!*at.container_id && !*at.name && !*at.runtime));
	if (at.unit)
		MUST(at.unit > path && at.unit_len && at.unit + at.unit_len <= path + strlen(path) &&
		     !memchr(at.unit, '/', at.unit_len));

	/* nobody becomes somebody else by a folder's name; but a node that is a container has pods */
	static const char *const more[] = { "/x.service", "/docker/" ID, "/kubepods/pod" UID "/" ID, "/lxc/a" };
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		snprintf(longer, sizeof(longer), "%s%s", path, more[i]);
		cgroup_path_parse(&below, longer);
		if (at.owner == OWNER_POD)
			MUST(below.owner == OWNER_POD && !strcmp(below.pod_uid, at.pod_uid) &&
			     (!*at.container_id || !strcmp(below.container_id, at.container_id)));
		else if (at.owner == OWNER_UNIT)
			MUST(below.owner == OWNER_UNIT && below.unit - longer == at.unit - path);
		else if (at.owner == OWNER_CONTAINER && below.owner != OWNER_POD)
			MUST(below.owner == OWNER_CONTAINER && !strcmp(below.container_id, at.container_id) &&
			     !strcmp(below.name, at.name));
	}
}

/* name="value",... with nothing in a value that would end it, or the line. */
static void must_be_labels(const struct buffer *labels)
{
	size_t i = 0;

	MUST(labels->len);
	while (i < labels->len) {
		size_t word = 0;

		while (i < labels->len && labels->data[i] >= 'a' && labels->data[i] <= 'z')
			i++, word++;
		MUST(word && i + 1 < labels->len && labels->data[i] == '=' && labels->data[i + 1] == '"');
		for (i += 2; i < labels->len && labels->data[i] != '"'; i++) {
			MUST((unsigned char)labels->data[i] >= ' ' && labels->data[i] != 0x7f);
			if (labels->data[i] == '\\')
				MUST(strchr("\\\"n", labels->data[++i]));
		}
		MUST(i < labels->len);
		i++;
		MUST(i == labels->len || labels->data[i] == ',');
		i++;
	}
}

static void try_name(const char *path)
{
	const struct group_naming naming = { .names = names };
	struct group_name name;

	container_names_new_poll(names);
	MUST(group_name(&name, &naming, path, true)); /* at the last, there is always one */
	if (!name.labels.failed)
		must_be_labels(&name.labels);
	buffer_free(&name.labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[4096] = "/";
	int fd;

	if (!size)
		return 0;
	if (data[0] % (NR_STATES + 1) == NR_STATES) {
		size_t len = size - 1 < sizeof(path) - 2 ? size - 1 : sizeof(path) - 2;

		memcpy(path + 1, data + 1, len);
		path[len + 1] = 0;
		if (strchr(path, '\n')) /* cgroupfs makes none: a path is a line of procfs */
			return 0;
		try_path(path);
		try_name(path);
		return 0;
	}
	snprintf(path, sizeof(path), "%s%s", root, states[data[0] % (NR_STATES + 1)].file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	MUST(fd >= 0);
	MUST(write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
	close(fd);
	try_name(states[data[0] % (NR_STATES + 1)].path);
	unlink(path); /* what one input does must not depend on the one before */
	return 0;
}
