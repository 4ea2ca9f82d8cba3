/* SPDX-License-Identifier: GPL-2.0-only */
/* container_names_state: containers' names in the state files of their runtimes. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "container_names_parts.h"

#define MOST_BYTES (4 << 20) /* of a state file: a config.json has some 10 kB */

static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char *data = NULL;
	struct stat st;
	ssize_t n = 0;

	*len = 0;
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MOST_BYTES)
		data = malloc(st.st_size);
	while (data && *len < (size_t)st.st_size) {
		n = read(fd, data + *len, st.st_size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*len += n;
	}
	close(fd);
	if (data && n < 0) {
		free(data);
		data = NULL;
	}
	return data;
}

/* NULL when there is no such file, or no JSON in it (yet: it may be half written). */
static json_t *read_json(const char *path)
{
	size_t len;
	char *data = read_file(path, &len);
	json_t *json = data ? json_loadb(data, len, 0, NULL) : NULL;

	free(data);
	return json;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* A container's name of its user's choice: any text that fits. */
static bool take_container(struct container_name *out, const char *name)
{
	if (*name == '/')
		name++; /* docker's */
	if (!*name || strlen(name) >= sizeof(out->container))
		return false;
	strcpy(out->container, name);
	return true;
}

/* `container` is "" in a sandbox. */
static bool take_kube(struct container_name *out, const char *namespace, const char *pod,
		      const char *container)
{
	if (!name_is_kube(namespace, strlen(namespace), 63, false) ||
	    !name_is_kube(pod, strlen(pod), 253, true) ||
	    (*container && !name_is_kube(container, strlen(container), 63, false)))
		return false;
	strcpy(out->namespace, namespace);
	strcpy(out->pod, pod);
	strcpy(out->container, container);
	return true;
}

/* State that says whose pod a container is in must speak of the one that its cgroup is in. */
static bool is_of_pod(const struct cgroup_path *at, const char *uid)
{
	return !*uid || !strcmp(uid, at->pod_uid);
}

/* ---- containerd ---- */

static bool of_containerd_config(const char *path, const struct cgroup_path *at,
				 struct container_name *out)
{
	json_t *config = read_json(path);
	const json_t *notes = json_object_get(config, "annotations");
	const char *type = text_of(notes, "io.kubernetes.cri.container-type");
	bool sandbox = !strcmp(type, "sandbox"), found;

	if (*type)
		found = is_of_pod(at, text_of(notes, "io.kubernetes.cri.sandbox-uid")) &&
			take_kube(out, text_of(notes, "io.kubernetes.cri.sandbox-namespace"),
				  text_of(notes, "io.kubernetes.cri.sandbox-name"),
				  sandbox ? ""
					  : text_of(notes, "io.kubernetes.cri.container-name")) &&
			(sandbox || *out->container);
	else
		found = take_container(out, text_of(notes, "nerdctl/name"));
	json_decref(config);
	return found;
}

static const char *const states[] = { "/run/containerd", "/run/k3s/containerd",
				      "/run/k0s/containerd",
				      "/var/snap/microk8s/common/run/containerd" };

/* The state lies in a folder per namespace of containerd's ("k8s.io", "moby", "default"). */
static bool of_containerd(const char *rootfs, const struct cgroup_path *at,
			  struct container_name *out)
{
	char tasks[4096], path[4096 + 512];
	const struct dirent *file;
	bool found = false;

	for (size_t i = 0; i < sizeof(states) / sizeof(*states) && !found; i++) {
		DIR *dir;

		snprintf(tasks, sizeof(tasks), "%s%s/io.containerd.runtime.v2.task", rootfs,
			 states[i]);
		/* the usual one first: the folder may be closed to us although what is in it is not
		 */
		snprintf(path, sizeof(path), "%s/k8s.io/%s/config.json", tasks, at->container_id);
		found = of_containerd_config(path, at, out);
		dir = found ? NULL : opendir(tasks);
		while (dir && !found && (file = readdir(dir))) {
			if (file->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s/%s/config.json", tasks, file->d_name,
				 at->container_id);
			found = of_containerd_config(path, at, out);
		}
		if (dir)
			closedir(dir);
	}
	return found;
}

/* What containerd takes for a namespace or a name: words of letters and digits between ".", "_",
 * "-".
 */
static bool is_identifier(const char *text, size_t len)
{
	bool word = false;

	if (!len || len > 76)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool inside = isalnum((unsigned char)text[i]);

		if (!inside && (!word || !strchr("._-", text[i])))
			return false;
		word = inside;
	}
	return word;
}

bool container_names_of_tasks_state(const char *rootfs, const char *path,
				    struct container_name *out)
{
	size_t space = strcspn(path + 1, "/"), name = 0;
	char file[4096 + 512];
	bool found = false;

	if (path[1 + space])
		name = strcspn(path + space + 2, "/");
	if (!is_identifier(path + 1, space) || !is_identifier(path + space + 2, name))
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states) && !found; i++) {
		json_t *config;
		const char *cgroup;

		snprintf(file, sizeof(file), "%s%s/io.containerd.runtime.v2.task/%.*s/config.json",
			 rootfs, states[i], (int)(space + 1 + name), path + 1);
		config = read_json(file);
		cgroup = text_of(json_object_get(config, "linux"), "cgroupsPath");
		/* or somebody else's folder happens to have the name of a task that is elsewhere */
		found = strlen(cgroup) == space + name + 2 && !memcmp(cgroup, path, strlen(cgroup));
		json_decref(config);
	}
	if (found)
		snprintf(out->container, sizeof(out->container), "%.*s", (int)name,
			 path + space + 2);
	return found;
}

/* ---- CRI-O, podman, docker ---- */

static bool of_crio(const char *rootfs, const struct cgroup_path *at, struct container_name *out)
{
	static const char *const storages[] = { "/run/containers/storage",
						"/var/lib/containers/storage" };
	char path[4096];
	bool found = false;

	for (size_t i = 0; i < 2 && !found; i++) {
		const json_t *notes;
		const char *container;
		json_t *config;

		snprintf(path, sizeof(path), "%s%s/overlay-containers/%s/userdata/config.json",
			 rootfs, storages[i], at->container_id);
		config = read_json(path);
		notes = json_object_get(config, "annotations");
		container = text_of(notes, "io.kubernetes.container.name");
		if (!strcmp(text_of(notes, "io.container.manager"), "cri-o"))
			found = *container &&
				is_of_pod(at, text_of(notes, "io.kubernetes.pod.uid")) &&
				take_kube(out, text_of(notes, "io.kubernetes.pod.namespace"),
					  text_of(notes, "io.kubernetes.pod.name"),
					  strcmp(container, "POD") ? container : "");
		json_decref(config);
	}
	return found;
}

static bool of_podman(const char *rootfs, const struct cgroup_path *at, struct container_name *out)
{
	static const char *const drivers[] = { "overlay", "vfs", "btrfs", "zfs" };
	char path[4096];
	bool found = false;

	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers) && !found; i++) {
		const json_t *container;
		json_t *all;
		size_t n;

		snprintf(path, sizeof(path),
			 "%s/var/lib/containers/storage/%s-containers/containers.json", rootfs,
			 drivers[i]);
		all = read_json(path);
		json_array_foreach(all, n, container)
		{
			const char *name = json_string_value(
				json_array_get(json_object_get(container, "names"), 0));

			if (!strcmp(text_of(container, "id"), at->container_id) && name)
				found = take_container(out, name);
		}
		json_decref(all);
	}
	return found;
}

static bool of_docker(const char *rootfs, const struct cgroup_path *at, struct container_name *out)
{
	char path[4096];
	const json_t *labels;
	json_t *config;
	bool found;

	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%s/config.v2.json", rootfs,
		 at->container_id);
	config = read_json(path);
	labels = json_object_get(json_object_get(config, "Config"), "Labels");
	if (*text_of(labels, "io.kubernetes.pod.uid")) {
		const char *container = text_of(labels, "io.kubernetes.container.name");

		found = is_of_pod(at, text_of(labels, "io.kubernetes.pod.uid")) &&
			take_kube(out, text_of(labels, "io.kubernetes.pod.namespace"),
				  text_of(labels, "io.kubernetes.pod.name"),
				  strcmp(container, "POD") ? container : "");
	} else {
		found = take_container(out, text_of(config, "Name"));
	}
	json_decref(config);
	return found;
}

bool container_names_of_state(const char *rootfs, const struct cgroup_path *path,
			      struct container_name *out)
{
	static const struct {
		const char *runtime;
		bool (*find)(const char *rootfs, const struct cgroup_path *at,
			     struct container_name *out);
	} sources[] = {
		{ "containerd", of_containerd },
		{ "cri-o", of_crio },
		{ "docker", of_docker },
		{ "podman", of_podman },
	};
	struct container_name found;

	/* the cgroupfs driver of the kubelet does not say which runtime: all are asked */
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		found = (struct container_name){ 0 };
		if ((!*path->runtime || !strcmp(path->runtime, sources[i].runtime)) &&
		    sources[i].find(rootfs, path, &found) &&
		    (*found.pod != 0) == (path->owner == OWNER_POD)) {
			*out = found;
			out->runtime = sources[i].runtime;
			return true;
		}
	}
	return false;
}
