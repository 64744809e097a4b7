import { spawnSync } from 'node:child_process'
import { watch } from 'node:fs'
import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { temporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { localStore } from './local-store.ts'
import { keysOf, testObjectStore } from './object-store.contract.ts'

testObjectStore('a folder', async () => {
  const folder = await temporaryFolder()
  const root = join(folder.path, 'objects')
  return { store: localStore(root), another: () => localStore(root), stop: () => folder.remove() }
})

const folder = await temporaryFolder()
afterAll(() => folder.remove())

let roots = 0
function aRoot(): string {
  return join(folder.path, `root-${(roots += 1)}`)
}

async function aFile(content = 'x'): Promise<string> {
  const path = join(folder.path, `file-${(roots += 1)}`)
  await writeFile(path, content)
  return path
}

test('what a killed process left unfinished is neither listed nor kept for ever', async () => {
  const root = aRoot()
  const store = localStore(root)
  await store.putFile('a/whole.mp4', await aFile())
  const left = join(root, 'a', 'whole.mp4.AAAAAAAAAAAAAAAAAAAAAA.unfinished')
  await writeFile(left, 'half')
  const longAgo = new Date(Date.now() - 30 * 86_400_000)
  await utimes(left, longAgo, longAgo)
  expect(await keysOf(store, '')).toEqual(['a/whole.mp4'])
  // Its bytes are old, but it was made just now: somebody may be placing an old file.
  expect(await readFile(left, 'utf8')).toBe('half')
})

test('a file that may only be read can be stored', async () => {
  const path = await aFile('read only')
  await chmod(path, 0o400)
  const store = localStore(aRoot())
  await store.putFile('a', path)
  expect(await store.find('a')).toMatchObject({ sizeBytes: 9 })
})

test('bytes are not copied where a second name will do', async () => {
  const root = aRoot()
  const path = await aFile()
  await localStore(root).putFile('a', path)
  expect((await stat(join(root, 'a'))).ino).toBe((await stat(path)).ino)
})

test('a new file has no other name first, which a killed process would leave', async () => {
  const root = aRoot()
  await mkdir(root)
  const names = new Set<string | null>()
  const watcher = watch(root, (_event, name) => names.add(name))
  const path = await aFile()
  // Twice, as whoever was killed and begins again.
  for (let time = 0; time < 2; time += 1) await localStore(root).putFile('a', path)
  await writeFile(join(root, 'last'), '')
  await expect.poll(() => [...names]).toContain('last')
  watcher.close()
  expect([...names]).toEqual(['a', 'last'])
})

test('folders go with their last object, the root stays', async () => {
  const root = aRoot()
  const store = localStore(root)
  await store.putFile('videos/7/1-1/360p.mp4', await aFile())
  await store.putFile('videos/8/2-1/360p.mp4', await aFile())
  await store.delete('videos/7/1-1/360p.mp4')
  expect(await readdir(join(root, 'videos'))).toEqual(['8'])
  await store.delete('videos/8/2-1/360p.mp4')
  expect(await readdir(root)).toEqual([])
})

test('a root that cannot be made is told before anything is stored', async () => {
  const file = await aFile()
  const store = localStore(join(file, 'below'))
  await expect(store.check()).rejects.toMatchObject({ code: 'misconfigured' })
})

test('a source that is not there leaves nothing behind', async () => {
  const root = aRoot()
  await expect(localStore(root).putFile('a/b', join(folder.path, 'absent'))).rejects.toThrow(
    'ENOENT',
  )
  await mkdir(root, { recursive: true })
  expect(await readdir(root, { recursive: true })).toEqual([])
})

test('a full disk is told as such, and the store stays as it was', async (context) => {
  const full = join(folder.path, 'full')
  await mkdir(full)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', full])
  if (mounted.status !== 0) return context.skip('mounting needs root')
  try {
    const store = localStore(join(full, 'objects'))
    await store.putFile('small', await aFile('fits'))
    const tooLarge = await aFile('x'.repeat(2 * 1024 * 1024))
    await expect(store.putFile('small', tooLarge)).rejects.toMatchObject({ code: 'disk_full' })
    expect(await readdir(join(full, 'objects'))).toEqual(['small'])
    expect(await store.find('small')).toMatchObject({ sizeBytes: 4 })
  } finally {
    spawnSync('umount', ['-l', full])
  }
})

test('a link inside the folder is no way out to list', async () => {
  const root = aRoot()
  const store = localStore(root)
  await store.putFile('a/b', await aFile())
  await symlink('/etc', join(root, 'a', 'out'))
  expect(await keysOf(store, '')).toEqual(['a/b'])
})
