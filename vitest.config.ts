import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['server/src/**/*.test.ts', 'contract/src/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          // Groups with workers of their own number run one after the other.
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'journeys',
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/harness/shared-s3.setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each has its own servers and ffmpeg, and waits half of its time: more at once only makes them slow.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
