/* A process whose memory the tests work in. Commands on stdin, one line each; every one is answered with a line.
 *   map rw|ro|none PAGES     anonymous memory: its address
 *   map file PAGES HELD      a mapping of PAGES of a file that has only HELD: its address
 *   split rw|ro|none PAGES   a mapping of PAGES readable and writable ones, then as many of the other kind
 *   limit BYTES              RLIMIT_MEMLOCK
 *   drop                     gives up all capabilities
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int protection(const char *kind) {
  if (strcmp(kind, "none") == 0) return PROT_NONE;
  return strcmp(kind, "ro") == 0 ? PROT_READ : PROT_READ | PROT_WRITE;
}

static char *map(size_t bytes, int prot, int flags, int fd) {
  return mmap(NULL, bytes, prot, flags, fd, 0);
}

static char *map_file(size_t bytes, size_t held) {
  int fd = memfd_create("held", MFD_CLOEXEC);
  if (ftruncate(fd, (off_t)held) != 0) return NULL;
  return map(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

int main(void) {
  char line[256], kind[32];
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages, held;
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *address = NULL;
    if (sscanf(line, "map file %zu %zu", &pages, &held) == 2) {
      address = map_file(pages * page, held * page);
    } else if (sscanf(line, "map %31s %zu", kind, &pages) == 2) {
      address = map(pages * page, protection(kind), MAP_PRIVATE | MAP_ANONYMOUS, -1);
    } else if (sscanf(line, "split %31s %zu", kind, &pages) == 2) {
      address = map(2 * pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
      mprotect(address + pages * page, pages * page, protection(kind));
    } else if (sscanf(line, "limit %zu", &pages) == 1) {
      struct rlimit limit = {pages, pages};
      setrlimit(RLIMIT_MEMLOCK, &limit);
    } else if (strncmp(line, "drop", 4) == 0 && setresuid(65534, 65534, 65534) == 0) {
      prctl(PR_SET_DUMPABLE, 1);
    }
    printf("%p\n", (void *)address);
    fflush(stdout);
  }
  return 0;
}
