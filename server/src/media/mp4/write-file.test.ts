import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile as writeBytes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { planLayout, type Layout } from './layout.ts'
import { planSegments } from './segments.ts'
import { aVideo } from './tracks.fixture.ts'
import { writeFile } from './write-file.ts'

const dir = await mkdtemp(join(tmpdir(), 'videoflix-write-'))
afterAll(() => rm(dir, { recursive: true }))
const { signal } = new AbortController()

/** Of `count` pictures of 10 KB, in a file that has all of them. */
async function aFilm(count: number): Promise<{ layout: Layout; path: string }> {
  const path = join(dir, 'samples')
  await writeBytes(path, Buffer.alloc(count * 10_000))
  const video = aVideo(count, { parts: [{ path, firstSample: 0 }] }, 10_000)
  const segments = planSegments(video, null, { minSegmentSeconds: 2 })
  return { layout: planLayout(video, null, segments), path }
}

test.skipIf(!existsSync('/dev/full'))('a full disk is told as such', async () => {
  const { layout } = await aFilm(100)
  await writeFile(join(dir, 'film.mp4'), layout, signal)
  await expect(writeFile('/dev/full', layout, signal)).rejects.toMatchObject({
    reason: 'disk_full',
    permanent: false,
  })
})

test('samples that are gone since are told as such', async () => {
  const { layout, path } = await aFilm(100)
  await writeBytes(path, Buffer.alloc(999_999))
  await expect(writeFile(join(dir, 'film.mp4'), layout, signal)).rejects.toThrow('it ends before')
})

test('an aborted copy ends with the reason', async () => {
  const { layout } = await aFilm(1000)
  const controller = new AbortController()
  const writing = writeFile(join(dir, 'film.mp4'), layout, controller.signal)
  const reason = new Error('enough')
  setImmediate(() => controller.abort(reason))
  await expect(writing).rejects.toBe(reason)
})
