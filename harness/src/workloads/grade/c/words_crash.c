/* The exercise of words.c with a usual mistake: the list's first entry is never made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char word[32];
    int count;
    struct entry *next;
};

static struct entry *volatile first;

int main(void)
{
    char word[32];
    while (scanf("%31s", word) == 1) {
        struct entry *entry = first;
        while (strcmp(entry->word, word) != 0)
            entry = entry->next;
        entry->count++;
    }
    return 0;
}
