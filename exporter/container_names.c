/* SPDX-License-Identifier: GPL-2.0-only */
#include "container_names_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "log.h"

/* What a folder of names said, by uid or id. */
struct entry {
	struct entry *next;
	char key[65];
	struct container_name name;
};

struct listing {
	struct entry *slots[512];
	bool fresh; /* read in this poll */
};

/* Files to read in a poll for the kubelet's runtime, as long as none told it. */
#define MOST_ASKED 8

#define TASKS "/io.containerd.runtime.v2.task"
const struct container_names_folder container_names_folders[] = {
	{ "/var/log/pods", "", false },
	{ "/var/log/containers", "", false },
	{ "/run/containerd", TASKS, true },
	{ "/run/k3s/containerd", TASKS, true },
	{ "/run/k0s/containerd", TASKS, true },
	{ "/var/snap/microk8s/common/run/containerd", TASKS, true },
	{ "/run/containers", "/storage", true },
	{ "/var/lib/containers", "/storage", true },
	{ "/var/lib/docker", "/containers", true },
};
#define NR_FOLDERS (sizeof(container_names_folders) / sizeof(*container_names_folders))

struct container_names {
	const char *rootfs;
	bool missing[16];     /* the top of this one of the folders did not exist at the start */
	bool looked;	      /* in this poll, for those */
	const char *kubelets; /* runtime; NULL as long as it is not known */
	unsigned int asked;   /* for it, in this poll */
	struct listing pods, containers;
};

struct container_names *container_names_new(const char *rootfs)
{
	struct container_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->rootfs = strcmp(rootfs, "/") ? rootfs : "";
	for (size_t i = 0; i < NR_FOLDERS; i++) {
		char top[4096];
		struct stat st;

		snprintf(top, sizeof(top), "%s%s", names->rootfs, container_names_folders[i].top);
		names->missing[i] = stat(top, &st) && errno == ENOENT;
	}
	return names;
}

static void forget(struct listing *listing)
{
	for (size_t i = 0; i < sizeof(listing->slots) / sizeof(*listing->slots); i++)
		for (struct entry *entry; (entry = listing->slots[i]);) {
			listing->slots[i] = entry->next;
			free(entry);
		}
	listing->fresh = false;
}

void container_names_free(struct container_names *names)
{
	if (!names)
		return;
	forget(&names->pods);
	forget(&names->containers);
	free(names);
}

void container_names_new_poll(struct container_names *names)
{
	/* kept no longer than a poll: they are asked for only while somebody has no name yet */
	forget(&names->pods);
	forget(&names->containers);
	names->looked = false;
	names->asked = 0;
}

const size_t container_names_nr_folders = NR_FOLDERS;

void container_names_place(const struct container_names_folder *folder, const char *rootfs,
			   char *out, size_t size)
{
	const char *root = strcmp(rootfs, "/") ? rootfs : "";
	struct stat st;

	snprintf(out, size, "%s%s%s", root, folder->top, folder->rest);
	if (stat(out, &st) && errno == ENOENT)
		snprintf(out, size, "%s%s", root, folder->top);
}

/*
 * What is open to all may still hold what is not: containerd's folder of tasks can be searched,
 * that of each task is 0700. As there may be no task yet, that cannot be tried.
 */
int container_names_try(const char *rootfs, bool opens_all)
{
	for (size_t i = 0; i < NR_FOLDERS; i++) {
		char place[4096], path[4096 + 2];
		struct stat st;

		container_names_place(&container_names_folders[i], rootfs, place, sizeof(place));
		/* through it: who may search it may also be the one who may not list it */
		snprintf(path, sizeof(path), "%s/.", place);
		if (stat(path, &st) ? errno == EACCES
				    : container_names_folders[i].closed && !opens_all)
			return -EACCES;
	}
	return 0;
}

/* Says of each runtime that came after the sandbox, once, that it is out of reach. */
static void tell_late(struct container_names *names)
{
	if (names->looked)
		return; /* many may have no name yet */
	names->looked = true;
	for (size_t i = 0; i < NR_FOLDERS; i++) {
		char top[4096];
		int fd;

		if (!names->missing[i])
			continue;
		snprintf(top, sizeof(top), "%s%s", names->rootfs, container_names_folders[i].top);
		fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		else if (errno != EACCES)
			continue;
		names->missing[i] = false;
		if (fd < 0)
			log_warn("%s was made after the exporter started, and its sandbox keeps it "
				 "closed: containers whose names are there are called by their "
				 "ids; restart the exporter to name them",
				 top);
	}
}

/* ---- what may be a name ---- */

bool name_is_kube(const char *text, size_t len, size_t most, bool dots)
{
	if (!len || len > most)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      (i && i + 1 < len && (c == '-' || (dots && c == '.')))))
			return false;
	}
	return true;
}

/* "a_b_c" -> its parts; no Kubernetes name has a '_'. */
static bool split(const char *text, size_t len, const char **parts, size_t *lens)
{
	const char *end = text + len;

	for (int i = 0; i < 3; i++) {
		const char *stop = i < 2 ? memchr(text, '_', end - text) : end;

		if (!stop)
			return false;
		parts[i] = text;
		lens[i] = stop - text;
		text = stop + 1;
	}
	return !memchr(parts[2], '_', lens[2]);
}

static bool take_kube(struct container_name *out, const char *namespace, size_t namespace_len,
		      const char *pod, size_t pod_len)
{
	if (!name_is_kube(namespace, namespace_len, 63, false) ||
	    !name_is_kube(pod, pod_len, 253, true))
		return false;
	snprintf(out->namespace, sizeof(out->namespace), "%.*s", (int)namespace_len, namespace);
	snprintf(out->pod, sizeof(out->pod), "%.*s", (int)pod_len, pod);
	return true;
}

/* ---- the kubelet's log folders ---- */

static bool is_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") >= len;
}

/* NAMESPACE_POD_UID */
static bool read_pod_folder(const char *file, char *key, struct container_name *name)
{
	const char *parts[3];
	size_t lens[3];

	if (!split(file, strlen(file), parts, lens) || (lens[2] != 36 && lens[2] != 32) ||
	    !take_kube(name, parts[0], lens[0], parts[1], lens[1]))
		return false;
	for (size_t i = 0; i < lens[2]; i++)
		if (!strchr("0123456789abcdef-", parts[2][i]))
			return false;
	snprintf(key, 65, "%.*s", (int)lens[2], parts[2]);
	return true;
}

/* POD_NAMESPACE_CONTAINER-ID.log; a name that was too long has lost its end, and with it the id. */
static bool read_container_link(const char *file, char *key, struct container_name *name)
{
	size_t len = strlen(file), end;
	const char *parts[3];
	size_t lens[3];

	if (len < 70 || strcmp(file + len - 4, ".log"))
		return false;
	end = len - 4 - 64;
	if (file[end - 1] != '-' || !is_hex(file + end, 64) || !split(file, end - 1, parts, lens) ||
	    !take_kube(name, parts[1], lens[1], parts[0], lens[0]) ||
	    !name_is_kube(parts[2], lens[2], 63, false))
		return false;
	snprintf(name->container, sizeof(name->container), "%.*s", (int)lens[2], parts[2]);
	snprintf(key, 65, "%.64s", file + end);
	return true;
}

static struct entry **slot_of(struct listing *listing, const char *key)
{
	return &listing->slots[hash_bytes(key, strlen(key)) %
			       (sizeof(listing->slots) / sizeof(*listing->slots))];
}

static void list(struct listing *listing, const char *rootfs, const char *folder,
		 bool (*read)(const char *file, char *key, struct container_name *name))
{
	char path[4096];
	const struct dirent *file;
	DIR *dir;

	if (listing->fresh)
		return;
	listing->fresh = true;
	snprintf(path, sizeof(path), "%s%s", rootfs, folder);
	dir = opendir(path);
	while (dir && (file = readdir(dir))) {
		struct entry found = { 0 }, **slot, *entry;

		if (!read(file->d_name, found.key, &found.name))
			continue;
		entry = malloc(sizeof(*entry));
		if (!entry)
			break; /* the rest at the next poll */
		slot = slot_of(listing, found.key);
		found.next = *slot;
		*entry = found;
		*slot = entry;
	}
	if (dir)
		closedir(dir);
}

static const struct container_name *listed(struct listing *listing, const char *key)
{
	for (const struct entry *entry = *slot_of(listing, key); entry; entry = entry->next)
		if (!strcmp(entry->key, key))
			return &entry->name;
	return NULL;
}

/* ---- the question ---- */

static bool find_in_pod(struct container_names *names, const struct cgroup_path *path,
			struct container_name *out)
{
	const struct container_name *pod, *link;
	struct container_name state = { 0 };

	list(&names->pods, names->rootfs, "/var/log/pods", read_pod_folder);
	pod = listed(&names->pods, path->pod_uid);
	if (pod) {
		strcpy(out->namespace, pod->namespace);
		strcpy(out->pod, pod->pod);
	}
	if (pod && (!*path->container_id || path->monitor))
		return true;
	if (!*path->container_id)
		return false;
	list(&names->containers, names->rootfs, "/var/log/containers", read_container_link);
	link = listed(&names->containers, path->container_id);
	/* the link must speak of the same pod: whoever can make links there could else lend names
	 */
	if (pod && link && !strcmp(link->pod, pod->pod) &&
	    !strcmp(link->namespace, pod->namespace)) {
		strcpy(out->container, link->container);
		return true;
	}
	if (!container_names_of_state(names->rootfs, path, &state))
		return false;
	if (!pod) {
		strcpy(out->namespace, state.namespace);
		strcpy(out->pod, state.pod);
	}
	strcpy(out->container, path->monitor ? "" : state.container);
	return *out->pod;
}

const char *container_names_kubelets_runtime(struct container_names *names,
					     const struct cgroup_path *path)
{
	struct container_name found;

	if (!names->kubelets && *path->container_id && names->asked++ < MOST_ASKED &&
	    container_names_of_state(names->rootfs, path, &found))
		names->kubelets = found.runtime;
	return names->kubelets ? names->kubelets : "";
}

bool container_names_find(struct container_names *names, const struct cgroup_path *path,
			  struct container_name *out)
{
	bool found;

	*out = (struct container_name){ 0 };
	if (*path->name) {
		snprintf(out->container, sizeof(out->container), "%s", path->name);
		return true;
	}
	if (path->owner == OWNER_POD)
		found = find_in_pod(names, path, out);
	else
		found = *path->container_id && container_names_of_state(names->rootfs, path, out);
	if (!found)
		tell_late(names);
	return found;
}

bool container_names_of_task(struct container_names *names, const char *path,
			     struct container_name *out)
{
	*out = (struct container_name){ 0 };
	return container_names_of_tasks_state(names->rootfs, path, out);
}
