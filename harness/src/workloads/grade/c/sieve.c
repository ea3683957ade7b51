/* How many primes there are up to a number, by the sieve of Eratosthenes. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    size_t last, primes = 0;
    if (scanf("%zu", &last) != 1)
        return 1;
    char *composite = calloc(last + 1, 1);
    if (!composite)
        return 1;
    for (size_t number = 2; number <= last; number++) {
        if (composite[number])
            continue;
        primes++;
        for (size_t multiple = number * number; multiple <= last; multiple += number)
            composite[multiple] = 1;
    }
    printf("%zu\n", primes);
    free(composite);
    return 0;
}
