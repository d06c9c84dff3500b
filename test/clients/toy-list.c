/*
 * toy-list: lists a directory in two parts.
 *
 *   cc -O2 -Wall -Wextra -o toy-list toy-list.c
 *   toy-list PATH
 *
 * Reads about 1 KiB of entries and looks at the status of the first, so that the kernel takes this for an `ls -l` and
 * asks for attributes from then on; prints "first", waits for a line on stdin, reads the rest, and prints the number
 * of entries.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int count(const char *buffer, ssize_t length) {
  int entries = 0;
  for (ssize_t at = 0; at < length; entries++)
    at += ((const struct dirent64 *)(buffer + at))->d_reclen;
  return entries;
}

int main(int argc, char **argv) {
  _Alignas(8) char buffer[32768];
  char line[16];
  struct stat status;
  int directory = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
  ssize_t length = getdents64(directory, buffer, 1024);
  int entries = count(buffer, length);

  if (length <= 0)
    return 1;
  for (ssize_t at = 0; at < length;) {
    const struct dirent64 *entry = (const void *)(buffer + at);
    fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW);
    at += entry->d_reclen;
  }
  puts("first");
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin))
    return 1;
  while ((length = getdents64(directory, buffer, sizeof buffer)) > 0)
    entries += count(buffer, length);
  printf("%d\n", entries);
  return length < 0;
}
