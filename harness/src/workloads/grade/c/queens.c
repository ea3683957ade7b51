/* In how many ways N queens can stand on a board of N x N and none attacks another. */
#include <stdio.h>

static unsigned all;

static long place(unsigned columns, unsigned left, unsigned right)
{
    if (columns == all)
        return 1;
    long ways = 0;
    for (unsigned free = all & ~(columns | left | right); free; free &= free - 1) {
        unsigned queen = free & -free;
        ways += place(columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return ways;
}

int main(void)
{
    unsigned size;
    if (scanf("%u", &size) != 1 || size > 20)
        return 1;
    all = (1u << size) - 1;
    printf("%ld\n", place(0, 0, 0));
    return 0;
}
