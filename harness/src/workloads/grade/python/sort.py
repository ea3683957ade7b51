# Exercise: read how many numbers follow, and write them in ascending order, one a line.


def merge_sort(numbers):
    if len(numbers) < 2:
        return numbers
    middle = len(numbers) // 2
    left, right = merge_sort(numbers[:middle]), merge_sort(numbers[middle:])
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


count = int(input())
numbers = [int(number) for number in input().split()]
assert len(numbers) == count
for number in merge_sort(numbers):
    print(number)
