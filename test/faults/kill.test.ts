import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readSettings } from '../../server/src/config/settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { film, type GoodFilm } from '../films.ts'
import type { Child } from '../harness/child.ts'
import { freePort } from '../harness/free-port.ts'
import { startCli, startServer } from '../harness/process.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { audit, programsAtWorkIn, programsIn, undecodable, unplayable } from './auditor.ts'
import { chance } from './chance.ts'
import { SUPERUSER, Uploader, type Upload } from './uploader.ts'

/** How often to kill, and the seed of when: FAULT_KILLS=1000 for a long soak, FAULT_SEED to see a failure again. */
const KILLS = Number(process.env['FAULT_KILLS'] ?? 12)
const SEED = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const A_WHILE = { timeout: 120_000, interval: 100 }
/** The picture of the first two is copied, and the other rungs of the second are encoded in chunks. */
const FILMS = {
  'long enough for keyframes': { durationMs: 10_000, qualities: ['120p', '360p', '720p'] },
  'keyframes every 2.4 s': { durationMs: 12_000, qualities: ['120p', '360p', '720p'] },
  'vp9 webm': { durationMs: 2000, qualities: ['120p', '360p'] },
} satisfies Partial<Record<GoodFilm, object>>
const [MINUTE, LEASE_S] = [60_000, 3]
const KILLS_UNTIL_GIVEN_UP = 9

let folder: TemporaryFolder
let films: Buffer[]
let env: Record<string, string>
let uploader: Uploader
beforeAll(async () => {
  const names = Object.keys(FILMS) as (keyof typeof FILMS)[]
  films = await Promise.all(names.map(async (name) => await readFile(await film(name))))
})
beforeEach(async () => {
  folder = await temporaryFolder()
  env = {
    DATA_DIR: folder.path,
    PORT: `${await freePort()}`,
    HOST: '127.0.0.1',
    DEBUG: 'True',
    LOG_LEVEL: 'info',
    MIN_FREE_DISK_BYTES: '0',
    JOB_LEASE: `${LEASE_S}`,
    JOB_SWEEP_INTERVAL: '1',
    CHUNK_MIN_DURATION: '11',
    RATE_LIMIT_LOGIN: '100000/min',
    DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
    DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
  }
  uploader = new Uploader(`http://127.0.0.1:${env['PORT']}`, films)
  return () => folder.remove()
})

const idOf = (upload: Upload): string => upload.path.split('/').at(-1)!
const sha256Of = ({ film: bytes }: Upload): string =>
  createHash('sha256').update(bytes).digest('hex')

function factsOf({ title }: { title: string }) {
  const upload = uploader.uploads.find((each) => each.title === title)!
  return Object.values(FILMS)[films.indexOf(upload.film)]!
}

/** As another process sees it. */
async function audited(facts: Omit<Parameters<typeof audit>[0], 'db' | 'dataDir'>) {
  const { settings } = readSettings(env, folder.path)
  const db = await openDatabase(settings.database)
  try {
    return await audit({ ...facts, db, dataDir: folder.path })
  } finally {
    await db.destroy()
  }
}

/**
 * Waits until every upload is a video that is ready, and nothing else is left anywhere. All films are good: only who was
 * killed over the same step again and again may say that it was.
 */
async function expectAllWell(kills = 0): Promise<void> {
  await uploader.logIn()
  const states = async (): Promise<string[]> =>
    (await uploader.videos()).map((video) => video.processing_state)
  await expect
    .poll(async () => (await states()).filter((state) => !/^(ready|error)$/.test(state)), A_WHILE)
    .toEqual([])
  await expect.poll(async () => (await states()).length, A_WHILE).toBe(uploader.uploads.length)
  const videos = await uploader.videos()
  expect(videos.map(({ title }) => title).sort()).toEqual(
    uploader.uploads.map(({ title }) => title).sort(),
  )
  const ready = videos.filter((video) => video.processing_state === 'ready')
  const failed = videos.filter((video) => video.processing_state === 'error')
  expect(failed.filter(({ source }) => source?.error?.code !== 'worker_lost')).toEqual([])
  expect(failed.filter((video) => !/\w+ \w+.*\.$/.test(video.processing_error ?? ''))).toEqual([])
  expect(failed.length).toBeLessThanOrEqual(kills / KILLS_UNTIL_GIVEN_UP)
  for (const video of ready) {
    expect(Object.keys(video.converted_files)).toEqual(factsOf(video).qualities)
  }
  const sha256 = new Map(uploader.uploads.map((upload) => [idOf(upload), sha256Of(upload)]))
  const { lostCreations } = uploader
  await expect.poll(() => audited({ videos, sha256, lostCreations }), A_WHILE).toEqual([])
  for (const video of ready) {
    expect(await undecodable(video, factsOf(video).durationMs)).toEqual([])
    expect(await unplayable(uploader.client, video)).toEqual([])
  }
}

async function stopInOrder(server: Child): Promise<void> {
  server.kill('SIGTERM')
  const end = { ...(await server.exited), output: server.output() }
  expect(end).toMatchObject({ code: 0, signal: null })
  await expect.poll(() => programsIn(folder.path), { timeout: 1000, interval: 20 }).toEqual([])
}

/** Who is killed takes its programs along. */
async function expectNoneAtWork(): Promise<void> {
  const patience = { timeout: 1000, interval: 20 }
  await expect.poll(() => programsAtWorkIn(folder.path), patience).toEqual([])
}

/** Uploads one film after the other, each when the one before is processed, until the server is gone. */
async function useUntilGone(server: Child, options: { startAnother: boolean }): Promise<void> {
  let current = options.startAnother ? undefined : uploader.uploads.at(-1)
  while (!server.hasExited()) {
    try {
      await uploader.logIn()
      for (const upload of uploader.uploads) await uploader.goOn(upload)
      for (;;) {
        current ??= await uploader.begin(`Film ${uploader.uploads.length + 1}`)
        await uploader.goOn(current)
        while (!isEnded(await uploader.find(current))) await pause(20)
        current = undefined
      }
    } catch (error) {
      // Not up yet, or gone, is how fetch fails. Whatever was answered was to be right.
      if (!(error instanceof TypeError)) throw error
      await pause(20)
    }
  }
}

function isEnded(video: AdminVideo | undefined): boolean {
  return video?.processing_state === 'ready' || video?.processing_state === 'error'
}

const below = (name: string): string[] => {
  const path = join(folder.path, name)
  return existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : []
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + MINUTE
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it never came to that: ${isSo.toString()}`)
    await pause(3)
  }
}

/** Spread over the life of a film, so that short steps are hit as well as long ones. */
const MOMENTS = {
  async starting(random: () => number) {
    await pause(random() * 2000)
  },
  async uploading(random: () => number) {
    const before = uploader.uploads.length
    await until(() => uploader.uploads.length > before)
    const share = random()
    await until(
      () => uploader.uploads.at(-1)!.acknowledged >= share * uploader.uploads.at(-1)!.film.length,
    )
    await pause(random() * 150)
  },
  async finishing(random: () => number) {
    const before = below('originals').length
    await until(() => below('originals').length > before)
    await pause(random() * 50)
  },
  async encoding(random: () => number) {
    const before = new Set(below('work'))
    await until(() => below('work').some((path) => !before.has(path)))
    await pause(random() * 4000)
  },
  async publishing(random: () => number) {
    const before = new Set(below('media'))
    const isNew = (path: string): boolean => path.endsWith('.mp4') && !before.has(path)
    await until(() => below('media').some(isNew))
    await pause(random() * 20)
  },
  async tidying(random: () => number) {
    const isTidying = async (): Promise<boolean> => {
      const last = uploader.uploads.at(-1)
      return last !== undefined && isEnded(await uploader.find(last).catch(() => undefined))
    }
    await until(isTidying)
    await pause(random() * 100)
  },
}

test(
  `${KILLS} times kill -9 at a random moment (FAULT_SEED=${SEED})`,
  { timeout: 3 * MINUTE + KILLS * 20_000 },
  async () => {
    const random = chance(SEED)
    const names = Object.keys(MOMENTS) as (keyof typeof MOMENTS)[]
    const hits: Record<string, number> = {}
    for (let round = 1; round <= KILLS; round += 1) {
      const moment = names[Math.floor(random() * names.length)]!
      const server = startCli({ args: ['serve'], env })
      const startAnother = moment === 'uploading' || moment === 'finishing'
      const using = useUntilGone(server, { startAnother })
      await Promise.race([MOMENTS[moment](random), using])
      hits[moment] = (hits[moment] ?? 0) + 1
      expect(server.hasExited() ? server.output() : 'runs').toBe('runs')
      server.kill('SIGKILL')
      await server.exited
      await using
      await expectNoneAtWork()
    }
    const server = await startServer({ env })
    await uploader.logIn()
    if (uploader.uploads.length === 0) await uploader.begin('Film 1')
    for (const upload of uploader.uploads) await uploader.goOn(upload)
    await expectAllWell(KILLS)
    await stopInOrder(server)
    const films = uploader.uploads.length
    const what = `${KILLS} kills, ${films} films`
    process.stdout.write(`FAULT_SEED=${SEED}: ${what}: ${JSON.stringify(hits)}\n`)
  },
)

describe('ending in order', () => {
  test('SIGTERM in the middle gives the film back; the next start finishes it', async () => {
    await using server = await startServer({ env })
    await uploader.logIn()
    const upload = await uploader.begin('Interrupted')
    await uploader.goOn(upload)
    await expect
      .poll(async () => (await uploader.find(upload))?.source?.progress?.step, A_WHILE)
      .toBe('encode')
    const startedAt = performance.now()
    await stopInOrder(server)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    expect(await audited({ ...facts(upload), videos: [] })).toEqual([])

    await using next = await startServer({ env })
    await expectAllWell()
    expect((await uploader.find(upload))?.processing_state).toBe('ready')
    await stopInOrder(next)
  })
})

function facts(upload: Upload) {
  return { sha256: new Map([[idOf(upload), sha256Of(upload)]]), lostCreations: 0 }
}

describe('a worker of its own', () => {
  const workers: Child[] = []
  afterAll(() => Promise.all(workers.map((worker) => worker.stop())))
  const startWorker = (): Child => {
    const worker = startCli({ args: ['worker'], env })
    workers.push(worker)
    return worker
  }

  test('that freezes beyond its lease does not publish over its successor', async () => {
    env['TRANSCODE_LOCALLY'] = 'False'
    await using server = await startServer({ env })
    const frozen = startWorker()
    await uploader.logIn()
    const upload = await uploader.begin('Frozen')
    await uploader.goOn(upload)
    await expect
      .poll(async () => (await uploader.find(upload))?.source?.progress?.step, A_WHILE)
      .toBe('encode')
    await freezeOutsideOfWrites(frozen)

    const successor = startWorker()
    await expect
      .poll(async () => (await uploader.find(upload))?.processing_state, A_WHILE)
      .toBe('ready')
    const published = pathsOf(await uploader.find(upload))
    frozen.kill('SIGCONT')
    await expect.poll(() => frozen.output(), A_WHILE).toMatch(/lease lost|lost its lease/)
    await expectAllWell()
    expect(pathsOf(await uploader.find(upload))).toEqual(published)
    expect(existsSync(join(folder.path, 'work'))).toBe(true)
    await stopWorker(frozen)
    await stopWorker(successor)
    await stopInOrder(server)
  })

  test('that is killed is replaced by the next one, and its ffmpeg goes with it', async () => {
    env['TRANSCODE_LOCALLY'] = 'False'
    await using server = await startServer({ env })
    const killed = startWorker()
    await uploader.logIn()
    const upload = await uploader.begin('Killed')
    await uploader.goOn(upload)
    await expect
      .poll(() => programsIn(folder.path).join(), { ...A_WHILE, interval: 20 })
      .toMatch(/\bffmpeg\b/)
    killed.kill('SIGKILL')
    await expectNoneAtWork()
    await killed.exited
    const successor = startWorker()
    await expectAllWell()
    await stopWorker(successor)
    await stopInOrder(server)
  })
})

/** In the middle of a write it would keep SQLite locked for everybody; only PostgreSQL ends such a transaction by itself. */
async function freezeOutsideOfWrites(worker: Child): Promise<void> {
  const { settings } = readSettings(env, folder.path)
  const db = await openDatabase(settings.database)
  try {
    for (;;) {
      worker.kill('SIGSTOP')
      const isFree = await db
        .transaction()
        .execute(() => Promise.resolve(true))
        .catch(() => false)
      if (isFree) return
      worker.kill('SIGCONT')
      await pause(10)
    }
  } finally {
    await db.destroy()
  }
}

async function stopWorker(worker: Child): Promise<void> {
  worker.kill('SIGTERM')
  const end = { ...(await worker.exited), output: worker.output() }
  expect(end).toMatchObject({ code: 0, signal: null })
}

function pathsOf(video: { converted_files: Record<string, string> } | undefined): string[] {
  return Object.values(video?.converted_files ?? {}).map((url) => new URL(url).pathname)
}
