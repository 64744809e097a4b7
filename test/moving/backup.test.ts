import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSettings } from '../../server/src/config/settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { SCHEMA_VERSIONS } from '../../server/src/db/migrate.ts'
import { whileLocked } from '../../server/src/moving/backup/backup-lock.ts'
import { createBackup } from '../../server/src/moving/backup/create-backup.ts'
import { assertWhole, markUnderWay } from '../../server/src/moving/backup/empty-database.ts'
import type { Manifest } from '../../server/src/moving/backup/manifest.ts'
import { readTables } from '../../server/src/moving/backup/schema.ts'
import { writeSnapshotFolder } from '../../server/src/moving/backup/snapshot-folders.ts'
import { writeJsonLines, type WrittenLines } from '../../server/src/moving/json-lines.ts'
import { localStore } from '../../server/src/ports/object-store/local-store.ts'
import { outputs, type Outcome } from '../cli/commands.ts'
import { BACKENDS, startApp, SUPERUSER, type Backend, type TestApp } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startDatabases, type Databases } from '../harness/database.ts'
import { startServer } from '../harness/process.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { allDone, aReadyVideo, filesIn } from '../videos/library.ts'
import { envOf } from './environment.ts'

const OTHER: Record<Backend, Backend> = {
  sqlite: BACKENDS.includes('postgres' as never) ? 'postgres' : 'sqlite',
  postgres: 'sqlite',
}

describe.each(BACKENDS)('a backup from %s', (backend) => {
  let app: TestApp
  let databases: Databases
  let folder: TemporaryFolder
  let backupDir: string
  let film: { id: number; bytes: Buffer }
  let first: Outcome
  let superuser: Client

  beforeAll(async () => {
    app = await startApp({ backend, env: { SECRET_KEY: KEY } })
    databases = await startDatabases(OTHER[backend])
    folder = await temporaryFolder()
    backupDir = join(folder.path, 'backup')
    superuser = await app.superuser()
    const { id } = await aReadyVideo(app, superuser, { title: 'Größe “1”', description: 'a\nb' })
    await superuser.post('/content/add-favorite/', { video_id: id })
    film = { id, bytes: await bytesOf(superuser, id) }
    first = await backUp('--media', '--checksums')
  })
  afterAll(async () => {
    await app.stop()
    await databases.stop()
    await folder.remove()
  })

  const backUp = async (...args: string[]): Promise<Outcome> =>
    await outputs(['backup', backupDir, ...args], { ...(await envOf(app)), SECRET_KEY: KEY })

  /** An installation without anything, on the other engine. */
  const elsewhere = (): Promise<Record<string, string>> =>
    anEmptyPlace(databases, join(folder.path, 'data'))

  test('tells what is in it, and what is not', () => {
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/rows of \d+ tables\.\n\d+ objects \(.*\), \d+ of them new\.\n/)
    expect(first.stdout).toContain('SECRET_KEY is not in it')
  })

  test('is nobody else’s to read', async () => {
    const [name = ''] = await readdir(join(backupDir, 'snapshots'))
    const snapshot = join(backupDir, 'snapshots', name)
    expect((await stat(snapshot)).mode & 0o077).toBe(0)
    for (const file of await readdir(snapshot)) {
      expect((await stat(join(snapshot, file))).mode & 0o077).toBe(0)
    }
    const files = await Promise.all(
      (await readdir(snapshot)).map((file) => readFile(join(snapshot, file), 'utf8')),
    )
    expect(files.join('\n')).not.toContain(KEY)
  })

  describe('on another engine', () => {
    let env: Record<string, string>
    let restored: Outcome
    beforeAll(async () => {
      env = await elsewhere()
      restored = await outputs(['restore', backupDir], env)
    })

    test('comes back as it was, row by row', async () => {
      expect(restored).toMatchObject({ code: 0, stderr: '' })
      const db = await openDatabase(readSettings(env, folder.path).settings.database)
      const nowhere = localStore(join(folder.path, 'nowhere'))
      const again = await createBackup({
        db,
        engine: OTHER[backend],
        stores: { media: nowhere, originals: nowhere },
        backupDir: join(folder.path, 'again'),
        copiesObjects: false,
        hashesObjects: false,
        keep: null,
        now: new Date(),
      })
      await db.destroy()
      const [name = ''] = await readdir(join(backupDir, 'snapshots'))
      const before = join(backupDir, 'snapshots', name)
      expect(again.manifest.tables.map((table) => table.name)).toContain('fragment_indexes')
      for (const table of again.manifest.tables) {
        const file = `${table.name}.jsonl`
        const rows = await rowsOf(join(again.folder, file))
        expect({ file, rows }).toEqual({ file, rows: await rowsOf(join(before, file)) })
      }
      const text = await readFile(join(before, 'manifest.json'), 'utf8')
      const { lastIds } = JSON.parse(text) as Manifest
      expect(again.manifest.lastIds).toEqual(lastIds)
    })

    test('accounts, favourites, sessions and films are there, and new ones get new numbers', async () => {
      await using server = await startServer({ env })
      const client = new Client(server.url)
      const reply = await client.post('/users/login/', SUPERUSER)
      expect(await reply.json()).toMatchObject({ favorite_videos: [film.id] })
      expect((await bytesOf(client, film.id)).equals(film.bytes)).toBe(true)
      const earlier = new Client(server.url)
      for (const [name, value] of superuser.cookies) earlier.cookies.set(name, value)
      expect((await earlier.get('/content/')).status).toBe(200)
      const registered = await client.post('/users/register/', NEWCOMER)
      expect(registered.status).toBe(201)
    })

    test('what is newer than the backup stays for a week', async () => {
      expect(restored.stdout).toContain(
        'stored after this backup have no row now. The daily sweep leaves',
      )
      const db = await openDatabase(readSettings(env, folder.path).settings.database)
      const sweeps = await db
        .selectFrom('tasks')
        .select('due_at')
        .where('kind', '=', 'sweep_orphans')
        .where('finished_at', 'is', null)
        .execute()
      await db.destroy()
      expect(sweeps).toHaveLength(1)
      const inDays = ((sweeps[0]?.due_at.getTime() ?? 0) - Date.now()) / 86_400_000
      expect(inDays).toBeGreaterThan(6.9)
      expect(inDays).toBeLessThanOrEqual(7)
    })

    test('everybody signs in anew if that is wished', async () => {
      const again = await outputs(['restore', backupDir, '--force', '--end-sessions'], env)
      expect(again.stdout).toContain('Brought 0 objects back.')
      const db = await openDatabase(readSettings(env, folder.path).settings.database)
      expect(await db.selectFrom('sessions').select('id').execute()).toEqual([])
      expect(await db.selectFrom('users').select('id').execute()).toHaveLength(1)
      await db.destroy()
    })
  })

  test('brings no damaged file back, and leaves what is whole where it goes', async () => {
    const env = await anEmptyPlace(databases, join(folder.path, 'damaged'))
    const objects = join(backupDir, 'objects', 'media')
    const [cut = '', other = ''] = await filesIn(objects)
    const whole = await Promise.all([cut, other].map((file) => readFile(join(objects, file))))
    // A file may have other names, in the folder of media.
    for (const file of [cut, other]) await rm(join(objects, file))
    await writeFile(join(objects, cut), whole[0]!.subarray(1))
    await writeFile(join(objects, other), Buffer.alloc(whole[1]!.length))
    const target = join(env['DATA_DIR']!, 'media')
    await mkdir(dirname(join(target, cut)), { recursive: true })
    await writeFile(join(target, cut), whole[0]!)
    try {
      const { code, stdout, stderr } = await outputs(['restore', backupDir], env)
      expect(code).toBe(1)
      expect(stdout).toContain('2 objects of the backup are not what was put there')
      expect(stderr.trim().split('\n').sort()).toEqual(
        [cut, other]
          .map((file) => `damaged in the backup, and not brought back: media/${file}`)
          .sort(),
      )
      expect((await readFile(join(target, cut))).equals(whole[0]!)).toBe(true)
      expect(await filesIn(target)).not.toContain(other)
    } finally {
      for (const [index, file] of [cut, other].entries()) {
        await rm(join(objects, file))
        await writeFile(join(objects, file), whole[index]!)
      }
    }
  })

  test('that was cut off while it was restored is restored again, and nobody starts on a half', async () => {
    const env = await elsewhere()
    expect((await outputs(['restore', backupDir], env)).code).toBe(0)
    const db = await openDatabase(readSettings(env, folder.path).settings.database)
    // As its last step ends it.
    await markUnderWay(db)
    const refused = await outputs(['serve'], { ...env, PORT: '0' })
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('A restore of this database was cut off: run `videoflix re'),
    })
    expect((await outputs(['restore', backupDir], env)).code).toBe(0)
    await expect(assertWhole(db)).resolves.toBeUndefined()
    await db.destroy()
    expect((await outputs(['migrate'], env)).code).toBe(0)
  })

  test('removes what a killed one has left', async () => {
    const another = join(folder.path, 'after a kill')
    const originals = join(another, 'objects', 'originals')
    const left = join(originals, 'film.a-number.unfinished')
    await mkdir(originals, { recursive: true })
    await writeFile(left, 'half')
    expect((await outputs(['backup', another], await envOf(app))).code).toBe(0)
    expect(existsSync(left)).toBe(false)
  })

  test('copies nothing twice, and keeps as many as it is told', async () => {
    const second = await backUp('--media')
    expect(second.stdout).toContain('0 of them new')
    expect(await readdir(join(backupDir, 'snapshots'))).toHaveLength(2)
    const more = await aReadyVideo(app, superuser)
    expect((await backUp('--media')).stdout).not.toContain(' 0 of them new')
    const kept = await filesIn(join(backupDir, 'objects'))
    expect(kept.some((file) => file.startsWith(`media/videos/${more.id}/`))).toBe(true)
    await superuser.delete(`/admin/api/videos/${more.id}/`)
    const last = await backUp('--media', '--keep', '1')
    expect(last.stdout).toMatch(/Removed 3 old snapshots and \d+ objects\./)
    const left = await filesIn(join(backupDir, 'objects'))
    expect(left.filter((file) => file.startsWith(`media/videos/${more.id}/`))).toEqual([])
    expect(left.length).toBeLessThan(kept.length)
  })

  test('of a library that changes meanwhile fits together', async () => {
    const [kept, deleted] = [await aReadyVideo(app, superuser), await aReadyVideo(app, superuser)]
    let isFirst = true
    const media = app.app.media
    const { folder: made, manifest } = await createBackup({
      db: app.app.db,
      engine: backend,
      stores: {
        originals: app.app.originals,
        media: {
          ...media,
          async find(key) {
            if (isFirst && key.startsWith(`videos/${deleted.id}/`)) {
              isFirst = false
              await superuser.delete(`/admin/api/videos/${deleted.id}/`)
              await allDone(app)
            }
            return await media.find(key)
          },
        },
      },
      backupDir: join(folder.path, 'meanwhile'),
      copiesObjects: true,
      hashesObjects: false,
      keep: null,
      now: new Date(),
    })
    expect(isFirst).toBe(false)
    expect(manifest.objects.missing).toBe(0)
    const videos = await readFile(join(made, 'videos.jsonl'), 'utf8')
    expect(videos).toContain(kept.title)
    expect(videos).not.toContain(deleted.title)
  })

  test('is made by one at a time: a second would remove what the first relies on', async () => {
    const backupDir = join(folder.path, 'at-once')
    const isCopying = Promise.withResolvers<void>()
    const mayGoOn = Promise.withResolvers<void>()
    const { media, originals, db } = app.app
    const choice = { db, engine: backend, backupDir, copiesObjects: true, hashesObjects: false }
    const first = createBackup({
      ...choice,
      stores: {
        originals,
        media: {
          ...media,
          async find(key) {
            isCopying.resolve()
            await mayGoOn.promise
            return await media.find(key)
          },
        },
      },
      keep: null,
      now: new Date(),
    })
    await isCopying.promise
    const stores = { media, originals }
    const second = createBackup({ ...choice, stores, keep: 1, now: new Date() })
    await expect(second).rejects.toThrow(`Another backup is writing to ${backupDir} since 20`)
    mayGoOn.resolve()
    const { folder: made, manifest } = await first
    expect(manifest.objects.missing).toBe(0)
    const listed = (await readFile(join(made, 'objects.jsonl'), 'utf8')).trim().split('\n')
    const keys = listed.map((line) => JSON.parse(line) as { store: string; key: string })
    expect(await filesIn(join(backupDir, 'objects'))).toEqual(
      keys.map(({ store, key }) => `${store}/${key}`).sort(),
    )
    await createBackup({ ...choice, stores, keep: 1, now: new Date() })
    expect(await readdir(backupDir)).toEqual(['objects', 'snapshots'])
  })

  test('has every table', async () => {
    const shapes = await readTables(app.app.db, backend)
    const names = shapes.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['users', 'sessions', 'totp', 'steps', 'audit']))
    expect(names.indexOf('users')).toBeLessThan(names.indexOf('favorites'))
    expect(names.indexOf('sources')).toBeLessThan(names.indexOf('renditions'))
  })
})

describe('a backup', () => {
  let databases: Databases
  let folder: TemporaryFolder
  let backupDir: string
  let env: Record<string, string>
  beforeAll(async () => {
    databases = await startDatabases(BACKENDS.at(-1) ?? 'sqlite')
    folder = await temporaryFolder()
    backupDir = join(folder.path, 'backup')
    env = await elsewhere()
    await outputs(['createsuperuser', ...ACCOUNT], env)
    await outputs(['backup', backupDir], env)
  })
  afterAll(async () => {
    await databases.stop()
    await folder.remove()
  })

  async function elsewhere(): Promise<Record<string, string>> {
    return await anEmptyPlace(databases, join(folder.path, `data-${(places += 1)}`))
  }
  let places = 0

  test('is not restored over what is in use, unless that is said', async () => {
    const refused = await outputs(['restore', backupDir], env)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') })
    const { settings } = readSettings(env, folder.path)
    const db = await openDatabase(settings.database)
    await sql`create table of_others (id integer)`.execute(db)
    const forced = await outputs(['restore', backupDir, '--force'], env)
    expect((await sql`select * from of_others`.execute(db)).rows).toEqual([])
    await db.destroy()
    expect(forced).toMatchObject({ code: 0, stderr: '' })
    expect(forced.stdout).toMatch(/^Restored \d+ rows of /)
  })

  test('to what is a file is refused in one line', async () => {
    const path = join(folder.path, 'a-file')
    await writeFile(path, 'kept')
    expect(await outputs(['backup', path], env)).toEqual({
      code: 1,
      stdout: '',
      stderr: `videoflix: ${path} is a file: name a folder, or a new one.\n`,
    })
  })

  test('that is damaged is refused before anything is changed', async () => {
    const damaged = join(folder.path, 'damaged')
    const [name = ''] = await readdir(join(backupDir, 'snapshots'))
    await mkdir(join(damaged, 'snapshots', name), { recursive: true })
    for (const file of await readdir(join(backupDir, 'snapshots', name))) {
      await copyFile(
        join(backupDir, 'snapshots', name, file),
        join(damaged, 'snapshots', name, file),
      )
    }
    const users = join(damaged, 'snapshots', name, 'users.jsonl')
    await appendFile(users, '{"id":99}\n')
    const refused = await outputs(['restore', damaged, '--force'], env)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('damaged') })
    await rm(users)
    const missing = await outputs(['restore', damaged, '--force'], env)
    expect(missing.stderr).toContain('missing')
    await rm(damaged, { recursive: true })
  })

  test('waits for another that goes on, and not for one that was killed', async () => {
    const locked = join(folder.path, 'locked')
    await whileLocked(locked, async () => {
      const refused = await outputs(['backup', locked], env)
      expect(refused).toMatchObject({ code: 1, stdout: '' })
      expect(refused.stderr).toMatch(
        /^videoflix: Another backup is writing to .*: wait for it to end.*\n$/,
      )
    })
    const lock = join(locked, 'lock')
    const leftover = join(locked, 'snapshots', '.unfinished-of-another')
    await mkdir(leftover, { recursive: true })
    await writeFile(lock, '{"id":"x","since":"2026-01-01T00:00:00.000Z","host":"elsewhere"}')
    const refused = await outputs(['backup', locked], env)
    expect(refused.stderr).toContain('since 2026-01-01T00:00:00.000Z (on elsewhere)')
    const then = new Date(Date.now() - 6 * 60_000)
    await utimes(lock, then, then)
    expect(await outputs(['backup', locked], env)).toMatchObject({ code: 0, stderr: '' })
    expect(await readdir(locked)).toEqual(['snapshots'])
    expect(await readdir(join(locked, 'snapshots'))).toEqual([expect.stringMatching(/^20/)])
  })

  test('that was overtaken while it stood still does not come to its name', async () => {
    const overtaken = join(folder.path, 'overtaken')
    const slow = whileLocked(overtaken, async (lock) => {
      await writeFile(join(overtaken, 'lock'), 'of another')
      const now = new Date()
      return await writeSnapshotFolder({ backupDir: overtaken, lock, now }, () => Promise.resolve())
    })
    await expect(slow).rejects.toThrow('run it again')
    expect(await readdir(join(overtaken, 'snapshots'))).toEqual([])
    expect(await readFile(join(overtaken, 'lock'), 'utf8')).toBe('of another')
  })

  test('of an older schema is restored, then brought up to date', async () => {
    const env = await elsewhere()
    const old = join(folder.path, 'old')
    await anOldBackup(old, SCHEMA_VERSIONS.slice(0, 1))
    const { code, stdout } = await outputs(['restore', old], env)
    expect({ code, stdout }).toMatchObject({ code: 0 })
    expect(stdout).toContain(`applied ${SCHEMA_VERSIONS.at(-1)}`)
    const restored = await openDatabase(readSettings(env, folder.path).settings.database)
    const user = await restored.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    expect(user).toMatchObject({ id: 7, is_active: true, created_at: new Date(0) })
    await restored.destroy()
  })

  test('of a schema that is not known yet is refused', async () => {
    const later = join(folder.path, 'later')
    await anOldBackup(later, [...SCHEMA_VERSIONS, '9999-later'])
    const { code, stderr } = await outputs(['restore', later], await elsewhere())
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('9999-later'),
    })
  })

  test.each([
    ['a folder without a backup', ['restore', '/tmp'], 'There is no backup in /tmp'],
    ['a snapshot that is not there', ['restore', 'DIR', '--snapshot', 'x'], 'no snapshot x'],
    ['to keep none', ['backup', 'DIR', '--keep', '0'], '--keep is how many'],
    ['a folder that cannot be made', ['backup', '/dev/null/x'], 'cannot be written'],
  ])('refuses %s in one line', async (_name, args, reason) => {
    const { code, stderr } = await outputs(
      args.map((arg) => arg.replace('DIR', backupDir)),
      env,
    )
    expect(code).toBe(1)
    expect(stderr).toContain(reason)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})

const KEY = 'a secret key of this test, with more than 32 characters'
const ACCOUNT = ['--email', 'here@example.com', '--password', 'correct horse battery']
const NEWCOMER = {
  email: 'new@example.com',
  password: 'correct horse battery',
  confirm_password: 'correct horse battery',
}

async function anEmptyPlace(
  databases: Databases,
  dataDir: string,
): Promise<Record<string, string>> {
  const settings = await databases.empty()
  const url = settings.kind === 'sqlite' ? `sqlite:${settings.file}` : settings.url
  return { DATA_DIR: dataDir, SECRET_KEY: KEY, DATABASE_URL: url }
}

async function bytesOf(client: Client, id: number): Promise<Buffer> {
  const reply = await client.get(`/content/video-url/${id}/`)
  const { url } = (await reply.json()) as { url: string }
  return Buffer.from(await (await fetch(url)).arrayBuffer())
}

/** One user, as the first version of the schema had them. */
async function anOldBackup(backupDir: string, schema: string[]): Promise<void> {
  const lock = { assertHeld: () => Promise.resolve() }
  await writeSnapshotFolder({ backupDir, lock, now: new Date(0) }, async (folder) => {
    const empty = await written(join(folder, 'objects.jsonl'), [])
    const user = { id: 7, email: 'old@example.com', password_hash: '!', is_active: true }
    const rest = { is_superuser: false, created_at: new Date(0).toISOString() }
    const users = await written(join(folder, 'users.jsonl'), [{ ...user, ...rest }])
    const manifest: Manifest = {
      format: 'videoflix-backup',
      version: 1,
      createdAt: new Date(0).toISOString(),
      madeBy: '0.0.1',
      engine: 'sqlite',
      schema,
      tables: [{ name: 'users', ...users }],
      lastIds: { users: 9 },
      objects: { ...empty, totalBytes: 0, missing: 0, areCopied: false },
    }
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  })
}

async function written(path: string, values: unknown[]): Promise<WrittenLines> {
  await using file = await writeJsonLines(path)
  for (const value of values) await file.write(value)
  return await file.end()
}

/** In an order of their own: engines differ, and so does the order of members in their JSON. But the sweep is put off. */
async function rowsOf(path: string): Promise<string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '')
  return lines
    .filter((line) => !line.includes('"sweep_orphans"'))
    .map((line) => JSON.stringify(sorted(JSON.parse(line))))
    .sort()
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]))
}
