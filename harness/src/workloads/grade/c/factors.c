/* Exercise: for each number on the input write it and its prime factors, as in 12 = 2 * 2 * 3. */
#include <stdio.h>

int main(void)
{
    long number;
    while (scanf("%ld", &number) == 1) {
        printf("%ld =", number);
        const char *before = "";
        for (long factor = 2; factor * factor <= number; factor++) {
            while (number % factor == 0) {
                printf("%s %ld", before, factor);
                before = " *";
                number /= factor;
            }
        }
        if (number > 1)
            printf("%s %ld", before, number);
        printf("\n");
    }
    return 0;
}
