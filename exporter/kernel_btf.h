/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel_btf: what the running kernel says of its types (BTF), cut to what the objects ask about.
 *
 * The whole is 6 MB, and libbpf reads it twice for each object, holding two copies meanwhile: with
 * 20 objects that is the start's time, and its memory is the largest that the exporter ever has. So
 * it is read once here, and libbpf is given the cut: some 100 KB.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

struct bpf_object;
struct btf;

struct kernel_btf {
	struct btf *types; /* the cut; NULL: not read, or there is none */
	uint32_t *ids;	   /* of each of its types in the kernel's own; NULL: the same */
	int file;	   /* the cut, for libbpf to read; -1: there is no such file */
	char path[32];	   /* of that file, or KERNEL_BTF: btf_custom_path of built-in objects */
};

/* Makes the file, empty as yet. Cannot fail: without memory files the path is KERNEL_BTF. */
void kernel_btf_open(struct kernel_btf *kernel);

/*
 * Reads the kernel's BTF at `path` and cuts it to what `objects` name and attach to. `types` stays
 * NULL when there is none. Returns 0, -ENOENT, or -errno.
 */
int kernel_btf_read(struct kernel_btf *kernel, const char *path, struct bpf_object *const *objects,
		    size_t n);

/* The kernel's own id of the type `prefix``name`, or 0: what a program is attached to by. */
uint32_t kernel_btf_id(const struct kernel_btf *kernel, const char *prefix, const char *name,
		       uint32_t kind);
void kernel_btf_close(struct kernel_btf *kernel);
