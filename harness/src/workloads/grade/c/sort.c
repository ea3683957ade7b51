/* Exercise: read how many numbers follow, and write them in ascending order, one a line. */
#include <stdio.h>
#include <stdlib.h>

static void sort(long *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        long moved = numbers[i];
        size_t j = i;
        while (j > 0 && numbers[j - 1] > moved) {
            numbers[j] = numbers[j - 1];
            j--;
        }
        numbers[j] = moved;
    }
}

int main(void)
{
    size_t count;
    if (scanf("%zu", &count) != 1)
        return 1;
    long *numbers = malloc(count * sizeof *numbers);
    if (!numbers)
        return 1;
    for (size_t i = 0; i < count; i++)
        if (scanf("%ld", &numbers[i]) != 1)
            return 1;
    sort(numbers, count);
    for (size_t i = 0; i < count; i++)
        printf("%ld\n", numbers[i]);
    free(numbers);
    return 0;
}
