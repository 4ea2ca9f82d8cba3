/* SPDX-License-Identifier: GPL-2.0-only */
/* object: a collector's object file, from the program itself or from a folder, with its faults
 * named. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bpf_object;

/*
 * Opens a file. `trusted` demands that only root could have written it (file and folder owned by
 * root, writable by nobody else), as its programs run in the kernel. Returns NULL with one line in
 * `why` that names what is wrong and what was expected.
 */
struct bpf_object *object_open_file(const char *path, bool trusted, char *why, size_t why_size);
/* `kernel`: the file with the kernel's types; a file's objects get all of them (KERNEL_BTF). */
struct bpf_object *object_open_bytes(const char *name, const void *data, size_t size,
				     const char *kernel, char *why, size_t why_size);

/* "tcp" of "/x/y/tcp.bpf.o"; to be freed. */
char *object_name(const char *path);

/* libbpf's words go to object_log() and --log.level=debug from here on, not to stderr. */
void object_log_start(void);
/*
 * The first complaint of libbpf since object_log_clear() that names a map or a program, else the
 * first of all; "" when there was none.
 */
const char *object_log(void);
/* The last line of the verifier's log that says what it refused. */
const char *object_verifier_log(void);
void object_log_clear(void);
