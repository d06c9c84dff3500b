/*
 * toy-make: asks the toy device of test/devfs for event descriptors and uses each at once, so that a daemon that learns
 * of it later than the client is found out.
 *
 *   cc -O2 -Wall -Wextra -o toy-make toy-make.c
 *   toy-make PATH COUNT
 *
 * COUNT times: `make` (write), `used` (write), close of the descriptor. Prints "ok", or which call failed and how.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *call, long round) {
  printf("%s in round %ld: %s\n", call, round, strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  struct {
    uint8_t command, width, padding[6];
    uint64_t address;
  } make = {'m', 4, {0}, 0};
  uint32_t descriptor;

  if (argc != 3)
    return 2;
  int toy = open(argv[1], O_RDWR | O_CLOEXEC);
  if (toy < 0)
    return fail("open", 0);
  make.address = (uintptr_t)&descriptor;
  for (long i = 0; i < atol(argv[2]); i++) {
    if (write(toy, &make, sizeof make) != sizeof make)
      return fail("make", i);
    if (write(toy, "u", 1) != 1)
      return fail("used", i);
    if (close(descriptor) != 0)
      return fail("close", i);
  }
  puts("ok");
  return 0;
}
