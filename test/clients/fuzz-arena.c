/*
 * fuzz-arena: a client that makes no system calls. A test that plays the kernel's part works in its memory and looks at
 * its descriptors.
 *
 *   fuzz-arena DIRECTORY DESCRIPTORS
 *
 * Prints a line of JSON: the addresses of the places (fuzz-places.h) by letter, and the number of the first of
 * DESCRIPTORS files, which are named as the client agent names what it installs. Ends at the end of stdin.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuzz-places.h"

/* The file for descriptor FIRST + INDEX; its name is gone at once, but not for /proc. */
static int open_named(const char *directory, int index) {
  char path[4096];
  snprintf(path, sizeof path, "%s/.descriptor-%016x", directory, index);
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  unlink(path);
  return fd;
}

static int open_descriptors(const char *directory, int count) {
  int first = -1;
  for (int i = 0; i < count; i++) {
    int fd = open_named(directory, i);
    if (first < 0)
      first = fd;
    if (fd != first + i) {
      perror(directory);
      exit(1);
    }
  }
  return first;
}

int main(int argc, char **argv) {
  char byte;

  if (argc != 3)
    return 2;
  map_places();
  printf("{");
  for (const char *letter = "RABOQU"; *letter != '\0'; letter++) {
    uint64_t address = 0;
    place_address(*letter, &address);
    printf("\"%c\":\"0x%lx\",", *letter, (unsigned long)address);
  }
  printf("\"firstDescriptor\":%d}\n", open_descriptors(argv[1], atoi(argv[2])));
  fflush(stdout);
  while (read(STDIN_FILENO, &byte, 1) > 0)
    ;
  return 0;
}
