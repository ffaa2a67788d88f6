// What Go may ask of the shim.
#ifndef EMDIFF_SHIM_H
#define EMDIFF_SHIM_H

#include <cuda.h>

// emdiff_bind points the table at a library: a path, or "emu" for the callbacks of emulated.go. Slots of symbols that it lacks
// return CUDA_ERROR_NO_DEVICE.
void emdiff_bind(const char *library);
// emdiff_library is the library last bound, emdiff_why the loader's message if it could not be loaded or "".
const char *emdiff_library(void);
const char *emdiff_why(void);
// emdiff_init_result is what the library's own cuInit has returned, -1 if it was never called.
int emdiff_init_result(void);

#endif
