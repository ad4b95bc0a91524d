/* Counts the bytes that memcpy and memmove copy, into a file that LEVERET_COPIES names: LD_PRELOADed into the broker by
 * compat/zero-copy/run. Rust copies a length that is not known to the compiler by calling them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

static unsigned long long *copied;

__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("LEVERET_COPIES");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *copied, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    copied = at == MAP_FAILED ? NULL : at;
}

static void count(size_t bytes)
{
    if (copied)
        __atomic_fetch_add(copied, bytes, __ATOMIC_RELAXED);
}

/* Written out, so that no compiler makes a call of memcpy of it; volatile for the same reason. */
static void forwards(volatile unsigned char *to, const unsigned char *from, size_t bytes)
{
    while (bytes >= 8 && ((size_t)to | (size_t)from) % 8 == 0) {
        *(volatile unsigned long long *)to = *(const unsigned long long *)from;
        to += 8, from += 8, bytes -= 8;
    }
    while (bytes--)
        *to++ = *from++;
}

static void backwards(volatile unsigned char *to, const unsigned char *from, size_t bytes)
{
    while (bytes--)
        to[bytes] = from[bytes];
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    count(bytes);
    forwards(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    count(bytes);
    if ((const unsigned char *)to <= (const unsigned char *)from)
        forwards(to, from, bytes);
    else
        backwards(to, from, bytes);
    return to;
}
