/* Which start below a number has the longest way down to 1, where n becomes n / 2 or 3 n + 1. */
#include <stdio.h>

int main(void)
{
    unsigned long below, best = 1, most = 0;
    if (scanf("%lu", &below) != 1)
        return 1;
    for (unsigned long start = 1; start < below; start++) {
        unsigned long steps = 0;
        for (unsigned long n = start; n != 1; steps++)
            n = n % 2 ? 3 * n + 1 : n / 2;
        if (steps > most) {
            most = steps;
            best = start;
        }
    }
    printf("%lu %lu\n", best, most);
    return 0;
}
