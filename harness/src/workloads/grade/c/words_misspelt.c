/* The exercise of words.c, handed in before it was compiled once. */
#include <stdio.h>
#include <string.h>

int main(void)
{
    char word[32]
    int counts[1000];
    while (scanf("%31s", word) == 1)
        coutns[strlen(word)]++;
    return 0;
}
