//go:build cuda

// The table behind the trampolines, and who fills it.
#include "shim.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define SYMBOL(name) #name,
#include "symbols.h"
#undef SYMBOL
};
enum { symbols = sizeof names / sizeof *names };

void *emdiff_cuda_table[symbols];

static char library[4096], why[4096];
static CUresult (*real_init)(unsigned);
static int init_result = -1;

static CUresult missing(void) { return CUDA_ERROR_NO_DEVICE; }

// cu calls cuInit when the program starts and exits if it fails. It never does here: opening the driver asks for init_result.
static CUresult init(unsigned flags) {
	init_result = real_init(flags);
	return CUDA_SUCCESS;
}

// Callbacks of emulated.go, by the symbol they stand for.
#define EMULATED(symbol, callback) extern CUresult callback();
#include "emulated.h"
#undef EMULATED

static void *emulated(const char *name) {
#define EMULATED(symbol, callback) \
	if (!strcmp(name, #symbol)) \
		return (void *)callback;
#include "emulated.h"
#undef EMULATED
	return NULL;
}

void emdiff_bind(const char *lib) {
	snprintf(library, sizeof library, "%s", lib);
	why[0] = 0;
	int emu = !strcmp(lib, "emu");
	void *handle = emu ? NULL : dlopen(lib, RTLD_NOW | RTLD_LOCAL);
	if (!emu && !handle)
		snprintf(why, sizeof why, "%s", dlerror());
	for (int i = 0; i < symbols; i++) {
		void *fn = emu ? emulated(names[i]) : handle ? dlsym(handle, names[i]) : NULL;
		if (!strcmp(names[i], "cuInit")) {
			real_init = fn ? (CUresult (*)(unsigned))fn : (CUresult (*)(unsigned))missing;
			fn = (void *)init;
		}
		emdiff_cuda_table[i] = fn ? fn : (void *)missing;
	}
}

// Before anything of Go runs, cu's init among it.
__attribute__((constructor)) static void bind_at_start(void) {
	const char *lib = getenv("EMDIFF_LIBCUDA");
	emdiff_bind(lib && *lib ? lib : "libcuda.so.1");
}

const char *emdiff_library(void) { return library; }
const char *emdiff_why(void) { return why; }
int emdiff_init_result(void) { return init_result; }
