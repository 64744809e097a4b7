import { readFile, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isNamed } from '../../server/src/moving/is-named.ts'
import { localStore } from '../../server/src/ports/object-store/local-store.ts'
import type { ObjectStore } from '../../server/src/ports/object-store/object-store.ts'
import { migrateStorage, type Stores } from '../../server/src/storage-migration/migrate-storage.ts'
import { outputs, type Outcome } from '../cli/commands.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { hasS3, startS3, type S3 } from '../harness/s3.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { aReadyVideo, filesIn } from '../videos/library.ts'
import { envOf } from './environment.ts'

let app: TestApp
let folder: TemporaryFolder
let superuser: Client
let target: string
beforeAll(async () => {
  app = await startApp()
  folder = await temporaryFolder()
  target = join(folder.path, 'new')
  superuser = await app.superuser()
  await aReadyVideo(app, superuser)
  await writeFile(join(app.settings.media.root, 'not ours.txt'), 'x')
})
afterAll(async () => {
  await app.stop()
  await folder.remove()
})

const move = async (args: string[], env: Record<string, string> = {}): Promise<Outcome> =>
  await outputs(['migrate-storage', ...args], { ...(await envOf(app)), ...env })

test('copies everything, and says what to do next', async () => {
  const { code, stdout } = await move(['--from', 'local', '--to-folder', target])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\d+ objects copied \(.*\), \d+ there already\.$/m)
  expect(stdout).toContain('1 file of other programs stayed')
  expect(stdout).toContain(`--from local --to-folder ${target} --delete-source`)
  const media = await filesIn(join(target, 'media'))
  expect([...media, 'not ours.txt'].sort()).toEqual(await filesIn(app.settings.media.root))
  for (const file of media) {
    const before = await readFile(join(app.settings.media.root, file))
    expect((await readFile(join(target, 'media', file))).equals(before)).toBe(true)
  }
  expect(await filesIn(join(target, 'originals'))).toHaveLength(1)
})

test('again, it copies only what is new, or not whole', async () => {
  const [first = '', second = ''] = await filesIn(join(target, 'media'))
  await unlink(join(target, 'media', first))
  await unlink(join(target, 'media', second))
  await writeFile(join(target, 'media', second), 'half')
  const { code, stdout } = await move(['--from', 'local', '--to-folder', target])
  expect(code).toBe(0)
  expect(stdout).toContain('2 objects copied')
})

test('bytes that differ at one length are found by their checksum', async () => {
  const files = await filesIn(join(target, 'media'))
  const path = join(target, 'media', files[0] ?? '')
  const whole = await readFile(path)
  await unlink(path)
  await writeFile(path, Buffer.alloc(whole.length))
  const quick = await move(['--from', 'local', '--to-folder', target, '--no-checksums'])
  expect(quick.stdout).toContain('0 objects copied')
  const careful = await move(['--from', 'local', '--to-folder', target])
  expect(careful.stdout).toContain('1 object copied')
  expect((await readFile(path)).equals(whole)).toBe(true)
})

test('the source is not emptied while it is in use', async () => {
  const refused = await move(['--from', 'local', '--to-folder', target, '--delete-source'])
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('still uses local') })
})

test('the source is emptied once the settings name the new place', async () => {
  const old = join(folder.path, 'old')
  await move(['--from', 'local', '--to-folder', old])
  const { code, stdout } = await move([
    '--from-folder',
    old,
    '--to-folder',
    target,
    '--delete-source',
  ])
  expect(code).toBe(0)
  expect(stdout).toContain('removed from the source')
  expect(await filesIn(old)).toEqual([])
  const { url } = (await (await superuser.get('/content/video-url/1/')).json()) as { url: string }
  expect((await fetch(url)).status).toBe(200)
})

test('what comes while the rest is copied comes along', async () => {
  await using stores = await someStores()
  const file = join(stores.folder, 'file')
  await writeFile(file, 'x')
  for (const key of ['a', 'b', 'c']) await stores.from.media.putFile(key, file)
  let isFirst = true
  const counts = await migrateStorage({
    from: {
      ...stores.from,
      media: watched(stores.from.media, async () => {
        if (isFirst) await stores.from.originals.putFile('late', file)
        isFirst = false
      }),
    },
    to: stores.to,
    workDir: join(stores.folder, 'work'),
    comparesBytes: true,
    isNamed: () => Promise.resolve(true),
    deletesSource: false,
  })
  expect(counts).toMatchObject({ copied: 4, there: 4 })
  expect(await stores.to.originals.find('late')).toMatchObject({ sizeBytes: 1 })
})

test('a copy that is not what was copied stops it, and nothing is removed', async () => {
  await using stores = await someStores()
  const file = join(stores.folder, 'file')
  await writeFile(file, 'hello')
  await stores.from.media.putFile('a', file)
  const torn: ObjectStore = {
    ...stores.to.media,
    async putFile(key, path) {
      const copy = join(stores.folder, 'torn')
      await writeFile(copy, await readFile(path))
      await truncate(copy, 3)
      await stores.to.media.putFile(key, copy)
    },
  }
  const moving = migrateStorage({
    from: stores.from,
    to: { ...stores.to, media: torn },
    workDir: join(stores.folder, 'work'),
    comparesBytes: false,
    isNamed: () => Promise.resolve(true),
    deletesSource: true,
  })
  await expect(moving).rejects.toMatchObject({ code: 'conflict' })
  expect(await stores.from.media.find('a')).not.toBeNull()
})

test('what was deleted at the new place does not come back when the old one is emptied', async () => {
  await using stores = await someStores()
  const file = join(stores.folder, 'file')
  await writeFile(file, 'x')
  for (const key of ['deleted', 'kept', 'lost']) await stores.from.media.putFile(key, file)
  await stores.from.intermediates.putFile('half', file)
  await stores.to.media.putFile('kept', file)
  const counts = await migrateStorage({
    ...stores,
    workDir: join(stores.folder, 'work'),
    comparesBytes: true,
    isNamed: ({ key }) => Promise.resolve(key === 'lost'),
    deletesSource: true,
  })
  expect(counts).toMatchObject({ copied: 1, deleted: 3, unnamed: 1 })
  expect(await filesIn(join(stores.folder, 'to', 'media'))).toEqual(['kept', 'lost'])
  expect(await filesIn(join(stores.folder, 'to', 'intermediates'))).toEqual([])
  expect(await filesIn(join(stores.folder, 'from', 'media'))).toEqual(['deleted'])
})

test('says which files rows name, and which not', async () => {
  const media = await filesIn(app.settings.media.root)
  const named = await Promise.all(media.map((key) => isNamed(app.app.db, { store: 'media', key })))
  expect(media.filter((_key, index) => !named[index])).toEqual(['not ours.txt'])
  const [original = ''] = await filesIn(app.settings.originalsDir)
  expect(await isNamed(app.app.db, { store: 'originals', key: original })).toBe(true)
  expect(await isNamed(app.app.db, { store: 'originals', key: 'other' })).toBe(false)
})

test('refuses a place where nothing is of what rows name', async () => {
  const elsewhere = join(folder.path, 'typo')
  const { code, stdout, stderr } = await move([
    ...['--from-folder', elsewhere, '--to-folder', join(folder.path, 'nowhere')],
  ])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(`None of the originals that the database names is at ${elsewhere}`)
})

test.each([
  ['without an end', ['--from', 'local'], 'Say where they go'],
  ['into itself', ['--from', 'local', '--to', 'local'], 'share a place'],
  ['to a bucket that no setting names', ['--from', 'local', '--to', 's3'], 'AWS_STORAGE_BUCKET'],
])('refuses to move %s', async (_name, args, reason) => {
  const { code, stderr } = await move(args)
  expect(code).toBe(1)
  expect(stderr).toContain(reason)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

async function someStores(): Promise<
  { from: Stores; to: Stores; folder: string } & AsyncDisposable
> {
  const temporary = await temporaryFolder()
  const { path } = temporary
  const at = (place: string): Stores => ({
    originals: localStore(join(path, place, 'originals')),
    intermediates: localStore(join(path, place, 'intermediates')),
    media: localStore(join(path, place, 'media')),
  })
  return {
    from: at('from'),
    to: at('to'),
    folder: path,
    [Symbol.asyncDispose]: () => temporary.remove(),
  }
}

/** Calls back before each file is handed out. */
function watched(store: ObjectStore, before: () => Promise<void>): ObjectStore {
  return {
    ...store,
    async asLocalFile(key, workDir) {
      await before()
      return await store.asLocalFile(key, workDir)
    },
  }
}

describe.skipIf(!hasS3)('to a bucket and back', () => {
  let s3: S3
  beforeAll(async () => {
    s3 = await startS3()
  })
  afterAll(() => s3.stop())

  test('every byte arrives there, and comes back', async () => {
    const { USE_S3_MEDIA: _, ...bucket } = await s3.env()
    const there = await move(['--from', 'local', '--to', 's3'], bucket)
    expect(there).toMatchObject({ code: 0, stderr: '' })
    const again = await move(['--from', 'local', '--to', 's3'], bucket)
    expect(again.stdout).toMatch(/^0 objects copied/)
    const used = { ...bucket, USE_S3_MEDIA: 'True' }
    const refused = await move(['--from', 's3', '--to', 'local', '--delete-source'], used)
    expect(refused.stderr).toContain('still uses s3')
    const back = join(folder.path, 'back')
    expect((await move(['--from', 's3', '--to-folder', back], used)).code).toBe(0)
    const media = await filesIn(join(back, 'media'))
    expect([...media, 'not ours.txt'].sort()).toEqual(await filesIn(app.settings.media.root))
    const audited = await outputs(['audit-library'], { ...(await envOf(app)), ...used })
    expect(audited.stdout).toContain('1 video checked: 0 damaged. 0 files without a row')
  })
})
