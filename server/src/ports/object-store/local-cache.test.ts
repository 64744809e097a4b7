import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { temporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { localCache, type LocalCache } from './local-cache.ts'

const folder = await temporaryFolder()
afterAll(() => folder.remove())

let count = 0
const aFolder = (): string => join(folder.path, `cache-${(count += 1)}`)
async function aWorkDir(): Promise<string> {
  const path = join(folder.path, `work-${(count += 1)}`)
  await mkdir(path)
  return path
}

/** A remote object of ten bytes that takes its time; counts its downloads. */
function anObject(key: string, { version = '1', takesMs = 20 } = {}) {
  const content = `${key}${version}`.padEnd(10).slice(0, 10)
  const object = {
    downloads: 0,
    content,
    async fetch(cache: LocalCache, workDir: string): Promise<string> {
      const download = async (path: string): Promise<void> => {
        object.downloads += 1
        await writeFile(path, content.slice(0, 5))
        await sleep(takesMs)
        await writeFile(path, content)
      }
      return await cache.fetch({ key, version, sizeBytes: 10, workDir, download })
    },
  }
  return object
}

const LIMIT = 1000

test('many who want the same at once download it once', async () => {
  const cache = localCache({ folder: aFolder(), limitBytes: LIMIT })
  const object = anObject('film.mp4')
  const folders = await Promise.all(Array.from({ length: 10 }, aWorkDir))
  const paths = await Promise.all(folders.map((workDir) => object.fetch(cache, workDir)))
  expect(object.downloads).toBe(1)
  for (const path of paths) expect(await readFile(path, 'utf8')).toBe(object.content)
  expect(paths[0]).toMatch(/\.mp4$/)
})

test('a download that nobody waits for any more is given up, and leaves nothing', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: LIMIT })
  const leaving = new AbortController()
  const download = async (to: string, givenUp: AbortSignal): Promise<void> => {
    await writeFile(to, 'half')
    const stopped = new Promise((_resolve, reject) => {
      givenUp.addEventListener('abort', () => reject(new Error('given up')))
    })
    leaving.abort(new Error('has to go'))
    await stopped
  }
  const wanted = { key: 'film', version: '1', sizeBytes: 10, workDir: await aWorkDir() }
  const fetching = cache.fetch({ ...wanted, download, signal: leaving.signal })
  await expect(fetching).rejects.toThrow('has to go')
  expect(await readdir(path)).toEqual([])
  expect(await anObject('film').fetch(cache, wanted.workDir)).toContain(wanted.workDir)
})

test('so do several processes', async () => {
  const shared = aFolder()
  const caches = [1, 2, 3].map(() => localCache({ folder: shared, limitBytes: LIMIT }))
  const object = anObject('film')
  const paths = await Promise.all(
    caches.map(async (cache) => await object.fetch(cache, await aWorkDir())),
  )
  expect(object.downloads).toBe(1)
  for (const path of paths) expect(await readFile(path, 'utf8')).toBe(object.content)
})

test('whoever has it already in the folder gets the same path', async () => {
  const cache = localCache({ folder: aFolder(), limitBytes: LIMIT })
  const object = anObject('film')
  const workDir = await aWorkDir()
  expect(await object.fetch(cache, workDir)).toBe(await object.fetch(cache, workDir))
  expect(object.downloads).toBe(1)
})

test('what fails leaves nothing, and the next one tries again', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: LIMIT })
  const workDir = await aWorkDir()
  const wanted = { key: 'film', version: '1', sizeBytes: 10, workDir }
  const half = async (to: string): Promise<void> => await writeFile(to, 'half')
  const broken = async (to: string): Promise<void> => {
    await half(to)
    throw new Error('broken')
  }
  await expect(cache.fetch({ ...wanted, download: broken })).rejects.toThrow('broken')
  await expect(cache.fetch({ ...wanted, download: half })).rejects.toMatchObject({
    code: 'unavailable',
  })
  expect([await readdir(path), await readdir(workDir)]).toEqual([[], []])
  expect(await anObject('film').fetch(cache, workDir)).toContain(workDir)
})

test('what is used stays when there is no room, what is not goes, longest unused first', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: 30 })
  const used = await aWorkDir()
  await anObject('used').fetch(cache, used)
  const free = await aWorkDir()
  for (const key of ['old', 'new']) {
    await anObject(key).fetch(cache, free)
    await sleep(10)
  }
  await rm(free, { recursive: true })
  const workDir = await aWorkDir()
  await anObject('next').fetch(cache, workDir)
  const again = { used: anObject('used'), old: anObject('old'), new: anObject('new') }
  await again.used.fetch(cache, workDir)
  await again.new.fetch(cache, workDir)
  expect([again.used.downloads, again.new.downloads]).toEqual([0, 0])
  await again.old.fetch(cache, workDir)
  expect(again.old.downloads).toBe(1)
})

test('what is larger than all room is fetched nevertheless', async () => {
  const cache = localCache({ folder: aFolder(), limitBytes: 0 })
  const object = anObject('film')
  const path = await object.fetch(cache, await aWorkDir())
  expect(await readFile(path, 'utf8')).toBe(object.content)
})

test('copies go when nobody has used them for an hour, and what killed processes left after a day', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: LIMIT })
  const [workDir, kept] = [await aWorkDir(), await aWorkDir()]
  await anObject('old').fetch(cache, workDir)
  await anObject('used').fetch(cache, kept)
  await rm(workDir, { recursive: true })
  await writeFile(join(path, 'x.unfinished'), 'half')
  await writeFile(join(path, 'x.lock'), '')
  await cache.tidy()
  expect(await readdir(path)).toHaveLength(4)
  const before = new Date(Date.now() - 2 * 3_600_000)
  for (const name of await readdir(path)) await utimes(join(path, name), before, before)
  await cache.tidy()
  expect(await readdir(path)).toHaveLength(3)
  const yesterday = new Date(Date.now() - 25 * 3_600_000)
  for (const name of await readdir(path)) await utimes(join(path, name), yesterday, yesterday)
  await cache.tidy()
  const [left = ''] = await readdir(path)
  expect((await stat(join(path, left))).nlink).toBe(2)
})

test('the lock of a process that was killed holds up nobody for long', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: LIMIT })
  await anObject('film').fetch(cache, await aWorkDir())
  const [name = ''] = await readdir(path)
  await rm(join(path, name))
  const lock = join(path, `${name}.lock`)
  await writeFile(lock, '')
  const dead = new Date(Date.now() - 60_000)
  await utimes(lock, dead, dead)
  const object = anObject('film')
  await object.fetch(cache, await aWorkDir())
  expect(object.downloads).toBe(1)
  expect(await readdir(path)).toEqual([name])
})

test('what was deleted is forgotten, in every version', async () => {
  const path = aFolder()
  const cache = localCache({ folder: path, limitBytes: LIMIT })
  const workDir = await aWorkDir()
  await anObject('film', { version: '1' }).fetch(cache, workDir)
  await anObject('film', { version: '2' }).fetch(cache, workDir)
  await anObject('other').fetch(cache, workDir)
  await cache.forget('film')
  expect(await readdir(path)).toHaveLength(1)
})
