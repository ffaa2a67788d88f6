// A driver library that fails as told, by the environment: FAKE_INIT and FAKE_COUNT are results or numbers, FAKE_VERSION a version.
// It has no other symbols, like a library older than this project.
#include <stdlib.h>

static int number(const char *name) {
	const char *v = getenv(name);
	return v ? atoi(v) : 0;
}

int cuInit(unsigned flags) { return number("FAKE_INIT"); }

int cuDriverGetVersion(int *v) {
	*v = number("FAKE_VERSION");
	return 0;
}

int cuDeviceGetCount(int *n) {
	*n = number("FAKE_COUNT");
	return 0;
}
