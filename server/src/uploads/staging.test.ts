import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../../test/harness/temporary-folder.ts'
import { createStaging, isAbandoned } from './staging.ts'

test('what is whole waits to become a video, however long; what is not is removed', async () => {
  await using folder = await temporaryFolder()
  const [HOUR, now] = [3_600_000, new Date()]
  const put = async (name: string, content: string, ageMs: number): Promise<void> => {
    const path = join(folder.path, name)
    await writeFile(path, content)
    const then = new Date(now.getTime() - ageMs)
    await utimes(path, then, then)
  }
  for (const [name, bytes, ageMs] of [
    ['whole', 'film', 25 * HOUR],
    ['half', 'fi', 25 * HOUR],
    ['growing', 'fi', HOUR],
  ] as const) {
    await put(name, bytes, ageMs)
    await put(`${name}.json`, JSON.stringify({ id: name, size: 4 }), 30 * HOUR)
  }
  await put('form', 'film', 25 * HOUR)
  const staging = createStaging({
    dir: folder.path,
    ttlMs: 24 * HOUR,
    maxBytes: 100,
    minFreeDiskBytes: 0,
  })
  await staging.removeAbandoned(now)
  expect((await readdir(folder.path)).sort()).toEqual(
    ['growing', 'growing.json', 'whole', 'whole.json'].sort(),
  )
})

test('what was received is there until it is removed, however long a store takes to store it', async () => {
  await using folder = await temporaryFolder()
  const settings = { dir: folder.path, ttlMs: 1000, maxBytes: 100, minFreeDiskBytes: 0 }
  const staging = createStaging(settings)
  await staging.receive('form', Readable.from(['film']))
  const later = new Date(Date.now() + 60_000)
  await staging.removeAbandoned(later)
  expect(await readdir(folder.path)).toEqual(['form'])
  // As after a restart.
  await createStaging(settings).removeAbandoned(later)
  expect(await readdir(folder.path)).toEqual([])
})

function halfReceived(dir: string) {
  const staging = createStaging({ dir, ttlMs: 1000, maxBytes: 100, minFreeDiskBytes: 0 })
  const bytes = new PassThrough()
  bytes.write('fi')
  return { staging, bytes, receiving: staging.receive('form', bytes) }
}

test('what is being received stays, however slowly it comes', async () => {
  await using folder = await temporaryFolder()
  const { staging, bytes, receiving } = halfReceived(folder.path)
  await expect.poll(() => readdir(folder.path)).toEqual(['form'])
  await staging.removeAbandoned(new Date(Date.now() + 60_000))
  bytes.end('lm')
  await receiving
  expect(await readFile(staging.pathOf('form'), 'utf8')).toBe('film')
})

test('what was not received to its end is gone', async () => {
  await using folder = await temporaryFolder()
  const { bytes, receiving } = halfReceived(folder.path)
  bytes.destroy(new Error('the client has gone'))
  await expect(receiving).rejects.toThrow('the client has gone')
  expect(await readdir(folder.path)).toEqual([])
})

test('what has gone meanwhile is not abandoned', async () => {
  await using folder = await temporaryFolder()
  expect(await isAbandoned(join(folder.path, 'gone'), new Date(), 1)).toBe(false)
})
