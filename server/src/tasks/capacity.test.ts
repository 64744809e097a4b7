import { expect, test } from 'vitest'
import { capacityOf } from './capacity.ts'

const GIB = 1024 ** 3

test.each([
  [1, 1, 1, 1],
  [2, 0.5, 1, 2],
  [2, 24, 1, 2],
  [4, 16, 1, 4],
  [8, 16, 2, 4],
  [8, 2, 1, 8],
  [16, 4, 3, 6],
  [64, 256, 16, 4],
])(
  '%i cores and %d GiB: %i encodings at once, of %i threads',
  (cores, memory, encodings, threads) => {
    expect(capacityOf({ cores, memoryBytes: memory * GIB }, null)).toMatchObject({
      encodings,
      threads,
    })
  },
)

test('who says how many gets as many, and threads that fit', () => {
  const machine = { cores: 8, memoryBytes: 4 * GIB }
  expect(capacityOf(machine, 16)).toEqual({
    encodings: 16,
    threads: 1,
    because: 'JOB_CONCURRENCY; 8 cores are enough for 2, 4.0 GiB of memory for 3',
  })
  expect(capacityOf(machine, 1)).toMatchObject({ encodings: 1, threads: 8 })
})
