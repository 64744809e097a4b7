import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp, type App } from '../../server/src/app.ts'
import { BACKENDS, startApp, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import { hasS3 } from '../harness/s3.ts'
import { aReadyVideo, filesIn, until } from '../videos/library.ts'

const HOUR = 3_600_000

describe.each(BACKENDS)('files that belong to nothing, on %s', (backend) => {
  let app: TestApp
  let folders: string[]
  beforeAll(async () => {
    const env = { JOB_SWEEP_INTERVAL: '0.2', UPLOAD_TTL: '1000000' }
    app = await startApp({ backend, media: 'local', env })
    const { media, originalsDir, intermediatesDir, uploads } = app.settings
    folders = [media.root, originalsDir, intermediatesDir, uploads.dir]
  })
  afterAll(() => app.stop())

  const all = async (): Promise<string[]> => {
    const found = await Promise.all(
      folders.map(async (folder) => (await filesIn(folder)).map((file) => join(folder, file))),
    )
    return found.flat()
  }

  test('go once a day, and nothing that is young, wanted or another’s', async () => {
    const superuser = await app.superuser()
    await aReadyVideo(app, superuser, {})
    const wanted = await all()
    for (const path of wanted) await age(path, 48)
    const { media, originalsDir, intermediatesDir, uploads } = app.settings
    const old = [
      join(media.root, 'videos/900/900-1-1/720p.mp4'),
      join(media.root, 'videos/900/subtitles/lost.vtt'),
      join(originalsDir, 'A23456789012345678901_'),
      join(intermediatesDir, '900/900/1-1/video.mp4'),
      join(intermediatesDir, 'uploads/A23456789012345678901_/tail'),
    ]
    for (const path of old) await put(path, 25)
    const others = [
      join(media.root, 'videos/900/900-1-1/young.mp4'),
      join(originalsDir, 'B23456789012345678901_'),
      join(intermediatesDir, '900/900/1-1/young.mp4'),
    ]
    // As old as a file can be that is left alone.
    for (const path of others) await put(path, 23)
    const foreign = [join(media.root, 'holiday.jpg'), join(originalsDir, 'notes.txt')]
    for (const path of foreign) await put(path, 1000)
    const staged = join(uploads.dir, 'C23456789012345678901_')
    const original = join(originalsDir, 'C23456789012345678901_')
    await Promise.all([put(staged, 30), put(original, 30)])

    // Our clock goes on by days. How old a file is, is told by the clock of the disk.
    await aSweep()
    expect((await all()).sort()).toEqual(
      [...wanted, ...others, ...foreign, staged, original].sort(),
    )
    const told = app.logs.filter(({ msg }) => msg === 'removed what belongs to nothing')
    expect(told.map(({ key }) => String(key)).sort()).toEqual(old.map((path) => keyOf(path)).sort())
    expect(told[0]).toMatchObject({ store: expect.any(String), detail: expect.any(String) })
  })

  test('are looked for again the next day, by one worker', async () => {
    const before = await planned()
    expect(before).toHaveLength(1)
    const others = await Promise.all(backend === 'sqlite' ? [] : [1, 2, 3].map(() => another()))
    const workers = others.map((other) => other.createWorker(THIS_PROCESS))
    for (const worker of workers) worker.start()
    const sweepsBefore = sweeps()
    await aSweep()
    for (const worker of workers) await worker.drain()
    for (const other of others) await other.close()
    expect(sweeps()).toBe(sweepsBefore + 1)
    const [next, ...more] = await planned()
    expect(more).toEqual([])
    const inMs = (next?.due_at.getTime() ?? 0) - app.clock.now().getTime()
    expect(inMs).toBeGreaterThan(22 * HOUR)
    expect(inMs).toBeLessThan(25 * HOUR)
  })

  // SQLite waits for locks without letting go of its process: one process has one connection.
  test.runIf(backend !== 'sqlite')(
    'are planned for once by workers that start at once',
    async () => {
      await app.app.db.deleteFrom('tasks').where('kind', '=', 'sweep_orphans').execute()
      const others = await Promise.all([1, 2, 3, 4].map(() => another()))
      const workers = others.map((other) => other.createWorker(THIS_PROCESS))
      for (const worker of workers) worker.start()
      await until(async () => (await planned()).length > 0, 'it is planned')
      for (const worker of workers) await worker.drain()
      for (const other of others) await other.close()
      expect(await planned()).toHaveLength(1)
    },
  )

  test('are not looked for where nobody wants it', async () => {
    expect(await planned()).toHaveLength(1)
    const unwilling = await another({ sweepsOrphans: false })
    const worker = unwilling.createWorker(THIS_PROCESS)
    worker.start()
    await until(async () => (await planned()).length === 0, 'it is not wanted any more')
    await worker.drain()
    await unwilling.close()
  })

  /** Lets a day pass, and the sweep of that day. */
  async function aSweep(): Promise<void> {
    const before = sweeps()
    app.clock.advance(26 * HOUR)
    // A database that is slow for a moment makes it wait for half a minute.
    await until(() => sweeps() > before, 'somebody has looked', 120_000)
  }

  const sweeps = (): number =>
    app.logs.filter(({ msg }) => msg === 'looked for files that belong to nothing').length

  async function planned(): Promise<{ due_at: Date }[]> {
    return await app.app.db
      .selectFrom('tasks')
      .select('due_at')
      .where('kind', '=', 'sweep_orphans')
      .where('finished_at', 'is', null)
      .execute()
  }

  /** As on another machine. What it logs is with the rest. */
  async function another(tasks: Partial<TestApp['settings']['tasks']> = {}): Promise<App> {
    const settings = { ...app.settings, tasks: { ...app.settings.tasks, ...tasks } }
    const write = (line: string): void =>
      void app.logs.push(JSON.parse(line) as Record<string, unknown>)
    const log = pino({ level: 'info', base: null }, { write })
    return await createApp({ settings, backendOrigin: app.origin, log, clock: app.clock })
  }

  const keyOf = (path: string): string => {
    const folder = folders.find((each) => path.startsWith(`${each}/`)) ?? ''
    return path.slice(folder.length + 1)
  }
})

describe.skipIf(!hasS3)('what was just stored in a bucket', () => {
  test('stays, however wrong the clock of the worker is', async () => {
    await using app = await startApp({ media: 's3', env: { JOB_SWEEP_INTERVAL: '0.2' } })
    const path = join(app.settings.dataDir, 'film')
    await put(path, 1000)
    const { media, originals } = app.app
    await media.putFile('videos/900/900-1-1/720p.mp4', path)
    await originals.putFile('A23456789012345678901_', path)
    app.clock.advance(26 * HOUR)
    const looked = (): Record<string, unknown> | undefined =>
      app.logs.find(({ msg }) => msg === 'looked for files that belong to nothing')
    await until(() => looked() !== undefined, 'a sweep')
    expect(looked()).toMatchObject({ removed: {} })
    expect(await media.find('videos/900/900-1-1/720p.mp4')).not.toBeNull()
    expect(await originals.find('A23456789012345678901_')).not.toBeNull()
    expect(await readdir(app.settings.tasks.workDir)).toEqual([])
    for await (const { key } of app.app.intermediates.list('')) expect(key).toBe('none is left')
  })
})

async function put(path: string, hours: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, 'something')
  await age(path, hours)
}

async function age(path: string, hours: number): Promise<void> {
  const then = new Date(Date.now() - hours * HOUR)
  await utimes(path, then, then)
}
