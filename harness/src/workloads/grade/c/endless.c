/* A usual mistake: the loop's end is stepped over. */
#include <stdio.h>

int main(void)
{
    unsigned last;
    if (scanf("%u", &last) != 1)
        return 1;
    volatile unsigned sum = 0;
    for (unsigned i = 1; i != last; i += 2)
        sum += i;
    printf("%u\n", sum);
    return 0;
}
