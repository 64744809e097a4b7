import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ladder } from './ladder.ts'
import { aSource } from './sources.fixture.ts'

function sizes(width: number, height: number, rungs?: number[]): string[] {
  return ladder(aSource({ displayWidth: width, displayHeight: height }), rungs).map(
    (rung) => `${rung.name} ${rung.width}x${rung.height}`,
  )
}

test('every rung below the source, and the smallest at or above it in the source’s own size', () => {
  expect(sizes(1920, 1080)).toEqual([
    '120p 214x120',
    '360p 640x360',
    '720p 1280x720',
    '1080p 1920x1080',
  ])
  expect(sizes(854, 480)).toEqual(['120p 214x120', '360p 640x360', '720p 854x480'])
  expect(sizes(3840, 2160)).toEqual([
    '120p 214x120',
    '360p 640x360',
    '720p 1280x720',
    '1080p 1920x1080',
  ])
  expect(sizes(320, 180)).toEqual(['120p 214x120', '360p 320x180'])
  expect(sizes(100, 76)).toEqual(['120p 100x76'])
})

test('a portrait film is measured by its width', () => {
  expect(sizes(720, 1280)).toEqual(['120p 120x214', '360p 360x640', '720p 720x1280'])
})

test('other rungs can be asked for, in any order', () => {
  expect(sizes(1920, 1080, [480, 240])).toEqual(['240p 426x240', '480p 854x480'])
})

test('no rung is odd, empty, or larger than the source or the rung above', () => {
  const side = fc.integer({ min: 8, max: 4096 }).map((half) => 2 * half)
  fc.assert(
    fc.property(side, side, (width, height) => {
      const rungs = ladder(aSource({ displayWidth: width, displayHeight: height }))
      expect(rungs.length).toBeGreaterThan(0)
      for (const [index, rung] of rungs.entries()) {
        const above = rungs[index + 1] ?? { width, height }
        expect([rung.width % 2, rung.height % 2]).toEqual([0, 0])
        expect(rung.width).toBeLessThanOrEqual(above.width)
        expect(rung.height).toBeLessThanOrEqual(above.height)
      }
    }),
  )
})
