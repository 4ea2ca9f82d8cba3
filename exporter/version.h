/* SPDX-License-Identifier: GPL-2.0-only */
/* version: what --version, the man page and build_info say; the Makefile writes revision.h. */
#pragma once

#if defined(__has_include)
#if __has_include("revision.h")
#include "revision.h"
#endif
#endif
#ifndef BPF_EXPORTER_VERSION
#define BPF_EXPORTER_VERSION "dev"
#endif
#ifndef BPF_EXPORTER_REVISION
#define BPF_EXPORTER_REVISION "unknown"
#endif
