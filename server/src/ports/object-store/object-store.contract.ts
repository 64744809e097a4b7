import { createHash, randomBytes } from 'node:crypto'
import { open, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder, type TemporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import type { ObjectStore } from './object-store.ts'

export interface StoreUnderTest {
  store: ObjectStore
  /** The same objects through another instance, as another process sees them. */
  another(): ObjectStore
  stop(): Promise<void>
}

const MIB = 1024 * 1024

/** What every object store must do. */
export function testObjectStore(name: string, start: () => Promise<StoreUnderTest>): void {
  describe(`on ${name}`, () => {
    let folder: TemporaryFolder
    let started: StoreUnderTest
    let store: ObjectStore
    beforeAll(async () => {
      folder = await temporaryFolder()
      started = await start()
      store = started.store
    })
    afterAll(async () => {
      await started.stop()
      await folder.remove()
    })

    let files = 0
    async function aFile(content: string | Buffer): Promise<string> {
      const path = join(folder.path, `file-${(files += 1)}`)
      await writeFile(path, content)
      return path
    }
    async function put(key: string, content: string | Buffer): Promise<void> {
      await store.putFile(key, await aFile(content))
    }
    const textOf = async (key: string, range?: { start: number; end: number }) =>
      (await buffer(await store.read(key, range))).toString()
    const keysUnder = async (prefix: string, from = store) => await keysOf(from, prefix)

    test('what was put is found and read, by everybody', async () => {
      const before = Date.now()
      await put('first/object.mp4', 'hello')
      expect(await store.find('first/object.mp4')).toEqual({
        key: 'first/object.mp4',
        sizeBytes: 5,
        modifiedAt: expect.any(Date),
      })
      const { modifiedAt } = (await store.find('first/object.mp4'))!
      expect(Math.abs(modifiedAt.getTime() - before)).toBeLessThan(60_000)
      expect((await buffer(await started.another().read('first/object.mp4'))).toString()).toBe(
        'hello',
      )
    })

    test('the file that was put is still the caller’s, and removing it takes nothing away', async () => {
      const path = await aFile('mine')
      await store.putFile('kept', path)
      expect(await readFile(path, 'utf8')).toBe('mine')
      await unlink(path)
      expect(await textOf('kept')).toBe('mine')
    })

    test('an empty object is an object', async () => {
      await put('empty', '')
      expect(await store.find('empty')).toMatchObject({ sizeBytes: 0 })
      expect(await textOf('empty')).toBe('')
    })

    test('putting the same file again changes nothing', async () => {
      const path = await aFile('same')
      await store.putFile('again/a', path)
      await store.putFile('again/a', path)
      expect(await textOf('again/a')).toBe('same')
      expect(await keysUnder('again/')).toEqual(['again/a'])
    })

    test('another file under the same key replaces it, and readers see all of one or of the other', async () => {
      const old = Buffer.alloc(2 * MIB, 'a')
      const fresh = Buffer.alloc(2 * MIB, 'b')
      await put('replaced', old)
      const [oldPath, freshPath] = [await aFile(old), await aFile(fresh)]
      let isDone = false
      const seen = new Set<string>()
      const watch = async (): Promise<void> => {
        while (!isDone) {
          const bytes = await buffer(await store.read('replaced'))
          const letters = new Set(bytes.toString('latin1'))
          seen.add(`${bytes.length} of ${[...letters].join('')}`)
        }
      }
      const watching = [watch(), watch()]
      for (let round = 0; round < 10; round += 1) {
        await store.putFile('replaced', oldPath)
        await store.putFile('replaced', freshPath)
      }
      isDone = true
      await Promise.all(watching)
      for (const sight of seen) expect(sight).toMatch(/^2097152 of [ab]$/)
      expect((await textOf('replaced'))[0]).toBe('b')
    })

    test('many who put the same key at once leave one whole object', async () => {
      const paths = await Promise.all('abcdefgh'.split('').map((letter) => aFile(letter.repeat(9))))
      await Promise.all(paths.map((path) => store.putFile('crowded/key', path)))
      expect(await textOf('crowded/key')).toMatch(/^(.)\1{8}$/)
      expect(await keysUnder('crowded/')).toEqual(['crowded/key'])
    })

    test.each([
      [0, 0, '0'],
      [2, 5, '2345'],
      [9, 9, '9'],
      [0, 9, '0123456789'],
    ])('bytes %i to %i, both included', async (start, end, expected) => {
      await put('ranged', '0123456789')
      expect(await textOf('ranged', { start, end })).toBe(expected)
    })

    test('a reader that goes away in the middle disturbs nobody', async () => {
      await put('large', Buffer.alloc(4 * MIB))
      const stream = await store.read('large')
      await new Promise((resolve) => stream.once('data', resolve))
      stream.destroy()
      expect(await buffer(await store.read('large'))).toHaveLength(4 * MIB)
    })

    test('what is not there is not found', async () => {
      await put('there/inside', 'x')
      for (const key of ['absent', 'there', 'there/inside/deeper', 'there/absent']) {
        expect({ key, found: await store.find(key) }).toEqual({ key, found: null })
        await expect(store.read(key)).rejects.toMatchObject({ code: 'not_found' })
        const local = store.asLocalFile(key, folder.path)
        await expect(local).rejects.toMatchObject({ code: 'not_found' })
      }
    })

    test('a file of the whole object can be had', async () => {
      await put('local/copy', 'whole')
      const path = await store.asLocalFile('local/copy', folder.path)
      expect(await readFile(path, 'utf8')).toBe('whole')
    })

    test('who is told to stop does nothing more', async () => {
      await put('stopped/before', 'x')
      const stopped = AbortSignal.abort(new Error('told to stop'))
      const path = await aFile('y')
      await expect(store.putFile('stopped/now', path, stopped)).rejects.toThrow('told to stop')
      const fetching = store.asLocalFile('stopped/before', folder.path, stopped)
      await expect(fetching).rejects.toThrow('told to stop')
      expect(await keysUnder('stopped/')).toEqual(['stopped/before'])
    })

    test('lists what begins with the prefix, and nothing else', async () => {
      for (const key of ['l/1/a', 'l/1/b/c', 'l/10/a', 'l/2', 'm/1/a']) await put(key, key)
      expect(await keysUnder('l/')).toEqual(['l/1/a', 'l/1/b/c', 'l/10/a', 'l/2'])
      expect(await keysUnder('l/1/')).toEqual(['l/1/a', 'l/1/b/c'])
      expect(await keysUnder('l/1')).toEqual(['l/1/a', 'l/1/b/c', 'l/10/a'])
      expect(await keysUnder('l/1/', started.another())).toEqual(['l/1/a', 'l/1/b/c'])
      expect(await keysUnder('nothing/')).toEqual([])
      expect(await keysUnder('')).toEqual(expect.arrayContaining(['l/2', 'm/1/a']))
      for await (const listed of store.list('l/1/b/')) {
        expect(listed).toEqual(await store.find('l/1/b/c'))
      }
    })

    test('deletes, as often as it is told to', async () => {
      await put('gone/a', 'x')
      await put('gone/b', 'x')
      await store.delete('gone/a')
      await store.delete('gone/a')
      await store.delete('gone')
      await store.delete('never/was')
      await store.delete('gone/b/deeper')
      expect(await store.find('gone/a')).toBeNull()
      expect(await keysUnder('gone/')).toEqual(['gone/b'])
    })

    test('objects come and go side by side without losing one', async () => {
      const path = await aFile('x')
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          for (let round = 0; round < 10; round += 1) {
            await store.putFile(`busy/folder/${i}`, path)
            if (i > 0) await store.delete(`busy/folder/${i}`)
          }
        }),
      )
      expect(await keysUnder('busy/')).toEqual(['busy/folder/0'])
    })

    test.each([
      ...['', '/', '/a', 'a/', 'a//b', '..', '../a', 'a/../b', 'a/..', '.hidden', 'a/.hidden'],
      ...['a\\b', 'a b', 'a\0b', 'ä', 'a\n', '%2e%2e/a', '~'],
    ])('refuses the key %j', async (key) => {
      const path = await aFile('x')
      await expect(async () => await store.putFile(key, path)).rejects.toThrow('not an object key')
      await expect(async () => await store.find(key)).rejects.toThrow('not an object key')
      await expect(async () => await store.read(key)).rejects.toThrow('not an object key')
      await expect(async () => await store.delete(key)).rejects.toThrow('not an object key')
      await expect(async () => await store.asLocalFile(key, folder.path)).rejects.toThrow(
        'not an object key',
      )
    })

    test('128 MB go in and out without being held in memory', { timeout: 120_000 }, async () => {
      const path = join(folder.path, 'heavy')
      const expected = await writeHeavy(path, 128)
      const most = await mostMemoryDuring(async () => {
        await store.putFile('heavy', path)
        const hash = createHash('sha256')
        for await (const chunk of await store.read('heavy')) hash.update(chunk as Buffer)
        expect(hash.digest('hex')).toBe(expected)
      })
      // Mostly what waits to be collected.
      expect(most).toBeLessThan(96 * MIB)
      expect((await stat(path)).size).toBe(128 * MIB)
    })

    test('says that it can be written to', async () => {
      await expect(store.check()).resolves.toBeUndefined()
    })
  })
}

/** Sorted. */
export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys.sort()
}

async function writeHeavy(path: string, mib: number): Promise<string> {
  const hash = createHash('sha256')
  const handle = await open(path, 'w')
  for (let i = 0; i < mib; i += 1) {
    const block = randomBytes(MIB)
    hash.update(block)
    await handle.write(block)
  }
  await handle.close()
  return hash.digest('hex')
}

/** Bytes of buffers above what there were before. */
async function mostMemoryDuring(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }, 2)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return most
}
