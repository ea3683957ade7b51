/* The exercise of sort.c with a usual mistake: numbers compared as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

int main(void)
{
    static char numbers[10000][24];
    size_t count;
    if (scanf("%zu", &count) != 1 || count > 10000)
        return 1;
    for (size_t i = 0; i < count; i++)
        if (scanf("%23s", numbers[i]) != 1)
            return 1;
    qsort(numbers, count, sizeof numbers[0], compare);
    for (size_t i = 0; i < count; i++)
        printf("%s\n", numbers[i]);
    return 0;
}
