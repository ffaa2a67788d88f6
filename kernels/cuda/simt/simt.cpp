// Runs the kernels of the sources that it is linked with, one block at a time, every thread on a fiber of its own. A fiber runs until its
// thread ends, waits at a barrier, or comes to an instruction that its warp executes as one. Between two such points threads run one after
// the other: in order in one block, in reverse in the next, as every other launch takes its blocks in reverse, so that what depends on an
// order that nothing promises comes out differently.
//
// Commands come line by line on standard input, all numbers decimal:
//
//   launch KERNEL gx gy gz THREADS SHARED  n (ADDRESS SIZE OFFSET) x n  m SLOT x m
//
// Each is answered by one line, "ok" or "error: WHY". The n buffers appear at their addresses for the launch alone: SIZE bytes of the file
// on descriptor 3, whole pages from OFFSET on. What touches any other memory ends the process with an error line.
#include "simt.h"

#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <map>
#include <string>

namespace simt {

Thread* self;
int block[3], grid[3];

namespace {

const int WARP = 32, MOST_THREADS = 1024;
const size_t STACK = 128 << 10, PAGE = 4096, MOST_SHARED = 256 << 10;

enum State { READY, AT_TOGETHER, AT_BARRIER, DONE };

struct Fiber : Thread {
  State state;
  bool born;
  ucontext_t start;
  jmp_buf here;
};

Fiber fibers[MOST_THREADS];
jmp_buf scheduler;
ucontext_t birth;
const Kernel* kernel;
const u64* slots;
char *shared_limit, *shared;  // dynamic shared memory ends at the limit, where a page that must not be touched follows
char* arrays;                 // those in shared memory of all kernels: they are thread_local, so that they lie together
size_t arrays_size;

[[noreturn]] void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  printf("error: ");
  vprintf(format, args);
  if (kernel) printf(" (kernel %s, block %d %d %d, thread %d)", kernel->name, block[0], block[1], block[2], self ? self->number : -1);
  printf("\n");
  fflush(stdout);
  _exit(1);
}

void pause(State state) {
  Fiber* f = (Fiber*)self;
  f->state = state;
  if (!_setjmp(f->here)) _longjmp(scheduler, 1);
}

void live() {
  pause(READY);
  for (;;) {
    kernel->call(kernel->function, slots);
    pause(DONE);
  }
}

void resume(Fiber& f) {
  self = &f;
  if (!_setjmp(scheduler)) _longjmp(f.here, 1);
}

// bear gives a fiber a stack, with a page that must not be touched below it, and lets it come to its first pause.
void bear(Fiber& f) {
  char* stack = (char*)mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) || getcontext(&f.start)) fail("no memory for the stack of a thread");
  f.start.uc_stack.ss_sp = stack;
  f.start.uc_stack.ss_size = STACK;
  makecontext(&f.start, live, 0);
  self = &f;
  f.born = true;
  if (!_setjmp(scheduler)) swapcontext(&birth, &f.start);
}

float from_bits(u32 w) {
  float x;
  memcpy(&x, &w, sizeof x);
  return x;
}

// multiply is mma.sync with k = 8 (tf32) or 16 (bf16). Every sum starts from C and adds its products in ascending order of k in float64,
// in which each product is exact, and is rounded once: the definition of gpu/emu/mma.go.
void multiply(Fiber* lanes, bool bf16) {
  const int k = bf16 ? 16 : 8, per = bf16 ? 2 : 1;
  double a[16][16], b[16][8];
  for (int l = 0; l < WARP; l++) {
    for (int r = 0; r < 6; r++) {
      for (int e = 0; e < per; e++) {
        u32 w = lanes[l].operand[r];
        double x = from_bits(!bf16 ? w & ~0x1fffu : e ? w & 0xffff0000 : w << 16);
        if (r < 4) {
          a[l / 4 + r % 2 * 8][r / 2 * (k / 2) + l % 4 * per + e] = x;
        } else {
          b[(r - 4) * (k / 2) + l % 4 * per + e][l / 4] = x;
        }
      }
    }
  }
  for (int l = 0; l < WARP; l++) {
    for (int r = 0; r < 4; r++) {
      double sum = lanes[l].sum[r];
      for (int i = 0; i < k; i++) sum += a[l / 4 + r / 2 * 8][i] * b[i][l % 4 * 2 + r % 2];
      lanes[l].sum[r] = (float)sum;
    }
  }
}

void execute(Fiber* lanes) {
  for (int l = 0; l < WARP; l++) {
    self = &lanes[l];
    if (lanes[l].state != AT_TOGETHER) fail("the warp executes an instruction for all its lanes, which this thread never comes to");
    if (lanes[l].together != lanes[0].together) fail("the lanes of the warp wait at different instructions");
    lanes[l].state = READY;
  }
  switch (lanes[0].together) {
    case SHUFFLE_XOR:
      for (int l = 0; l < WARP; l++) lanes[l].sum[0] = from_bits(lanes[(l ^ lanes[l].operand[1]) % WARP].operand[0]);
      break;
    case MMA_TF32:
      multiply(lanes, false);
      break;
    case MMA_BF16:
      multiply(lanes, true);
      break;
  }
}

// run_warp runs the lanes until each has ended or waits at a barrier.
void run_warp(Fiber* lanes, bool reverse) {
  for (;;) {
    bool together = false;
    for (int i = 0; i < WARP; i++) {
      Fiber& f = lanes[reverse ? WARP - 1 - i : i];
      if (f.state == READY) resume(f);
      together |= f.state == AT_TOGETHER;
    }
    if (!together) return;
    execute(lanes);
  }
}

void run_block(int threads, size_t shared_bytes, bool reverse) {
  shared = shared_limit - (shared_bytes + 15) / 16 * 16;
  memset(shared, 0xff, shared_limit - shared);  // NaN
  memset(arrays, 0xff, arrays_size);
  for (int t = 0; t < threads; t++) {
    if (!fibers[t].born) {
      fibers[t].number = t;
      bear(fibers[t]);
    }
    fibers[t].state = READY;
    fibers[t].copies.clear();
    fibers[t].groups.clear();
  }
  for (int waiting = threads; waiting > 0;) {
    for (int w = 0, warps = threads / WARP; w < warps; w++) run_warp(fibers + (reverse ? warps - 1 - w : w) * WARP, reverse);
    waiting = 0;
    for (int t = 0; t < threads; t++) waiting += fibers[t].state == AT_BARRIER;
    for (int t = 0; t < threads && waiting > 0; t++) {
      self = &fibers[t];
      if (fibers[t].state == DONE) fail("the thread has ended, others of its block wait at a barrier");
      fibers[t].state = READY;
    }
  }
}

void run_grid(int threads, size_t shared_bytes, bool reverse) {
  if (threads % WARP || threads > MOST_THREADS || shared_bytes > MOST_SHARED) fail("a block of %d threads and %zu bytes is not one that can run", threads, shared_bytes);
  int blocks = grid[0] * grid[1] * grid[2];
  for (int i = 0; i < blocks; i++) {
    int b = reverse ? blocks - 1 - i : i;
    block[0] = b % grid[0];
    block[1] = b / grid[0] % grid[1];
    block[2] = b / grid[0] / grid[1];
    run_block(threads, shared_bytes, i % 2);
  }
}

std::map<std::string, Kernel*>& kernels() {
  static std::map<std::string, Kernel*> all;
  return all;
}

void launch(char* line) {
  static int launches = 0;
  char* word = strtok(line, " \n");
  if (!word || strcmp(word, "launch")) fail("no such command");
  const char* name = strtok(0, " \n");
  auto next = [] {
    const char* number = strtok(0, " \n");
    if (!number) fail("the command is too short");
    return strtoull(number, 0, 10);
  };
  auto found = kernels().find(name ? name : "");
  if (found == kernels().end()) fail("there is no kernel %s", name ? name : "");
  kernel = found->second;
  for (int& g : grid) g = next();
  int threads = next();
  size_t shared_bytes = next(), buffers = next();
  std::vector<std::pair<void*, size_t>> mapped;
  for (size_t i = 0; i < buffers; i++) {
    u64 address = next(), size = next(), offset = next(), first = address / PAGE * PAGE, length = (address + size + PAGE - 1) / PAGE * PAGE - first;
    void* at = mmap((void*)first, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, 3, offset);
    if (at != (void*)first) fail("no room at address %#llx for a buffer of %llu bytes", address, size);
    mapped.push_back({at, length});
  }
  std::vector<u64> values(next());
  for (u64& v : values) v = next();
  if (values.size() != kernel->sizes.size()) fail("%zu arguments for %zu parameters", values.size(), kernel->sizes.size());
  slots = values.data();
  run_grid(threads, shared_bytes, launches++ % 2);
  for (auto m : mapped) munmap(m.first, m.second);
  kernel = 0;
  self = 0;
}

void crash(int signal, siginfo_t* info, void*) { fail("%s at address %p", strsignal(signal), info->si_addr); }

// low returns memory at addresses of 32 bits, as shared memory has.
char* low(size_t size) {
  static u64 next = 0x20000000;
  void* at = mmap((void*)next, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != (void*)next) fail("no room for shared memory at low addresses");
  next += size;
  return (char*)at;
}

// find_arrays asks for the thread_local memory of the program itself, the first in the list.
int find_arrays(dl_phdr_info* info, size_t, void*) {
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_TLS) arrays = (char*)info->dlpi_tls_data, arrays_size = info->dlpi_phdr[i].p_memsz;
  }
  return 1;
}

void* serve(void*) {
  dl_iterate_phdr(find_arrays, 0);
  static char stack[64 << 10];
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, 0);
  char* line = 0;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    launch(line);
    printf("ok\n");
    fflush(stdout);
  }
  return 0;
}

void prepare() {
  shared_limit = low(MOST_SHARED + PAGE) + MOST_SHARED;
  if (mprotect(shared_limit, PAGE, PROT_NONE)) fail("no room for shared memory at low addresses");
  struct sigaction action = {};
  action.sa_sigaction = crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(s, &action, 0);
}
}  // namespace

void Kernel::list(Kernel* k) { kernels()[k->name] = k; }

void barrier() { pause(AT_BARRIER); }

void meet(Together what) {
  self->together = what;
  pause(AT_TOGETHER);
}

void* dynamic_shared() { return shared; }

void wait_copies(size_t in_flight) {
  std::vector<size_t>& groups = self->groups;
  if (groups.size() <= in_flight) return;
  size_t over = groups.size() - in_flight, last = groups[over - 1];
  for (size_t i = 0; i < last; i++) {
    const Copy& c = self->copies[i];
    memset(c.to, 0, 16);
    if (c.bytes) memcpy(c.to, c.from, c.bytes);
  }
  self->copies.erase(self->copies.begin(), self->copies.begin() + last);
  groups.erase(groups.begin(), groups.begin() + over);
  for (size_t& end : groups) end -= last;
}
}  // namespace simt

// All kernels run on one thread of the system, whose stack, and with it its thread_local memory, lies low.
int main() {
  simt::prepare();
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  const size_t size = 64 << 20;
  if (pthread_attr_setstack(&attributes, simt::low(size), size) || pthread_create(&thread, &attributes, simt::serve, 0)) simt::fail("no thread");
  pthread_join(thread, 0);
}
