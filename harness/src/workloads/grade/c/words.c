/* Exercise: write how often each word occurs, in the order of the alphabet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char word[32];
    int count;
};

static int by_word(const void *one, const void *other)
{
    return strcmp(((const struct entry *)one)->word, ((const struct entry *)other)->word);
}

int main(void)
{
    static struct entry entries[1000];
    size_t known = 0;
    char word[32];
    while (scanf("%31s", word) == 1) {
        size_t i = 0;
        while (i < known && strcmp(entries[i].word, word) != 0)
            i++;
        if (i == known) {
            if (known == 1000)
                return 1;
            strcpy(entries[known++].word, word);
        }
        entries[i].count++;
    }
    qsort(entries, known, sizeof entries[0], by_word);
    for (size_t i = 0; i < known; i++)
        printf("%s %d\n", entries[i].word, entries[i].count);
    return 0;
}
