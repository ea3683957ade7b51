# In how many ways N queens can stand on a board of N x N and none attacks another.
size = int(input())
everywhere = (1 << size) - 1


def place(columns, left, right):
    if columns == everywhere:
        return 1
    ways = 0
    free = everywhere & ~(columns | left | right)
    while free:
        queen = free & -free
        free ^= queen
        ways += place(columns | queen, (left | queen) << 1, (right | queen) >> 1)
    return ways


print(place(0, 0, 0))
