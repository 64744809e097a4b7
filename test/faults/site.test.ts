import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { has } from '../harness/programs.ts'
import { sendToRedis } from '../harness/redis.ts'
import { hasS3 } from '../harness/s3.ts'
import { chance } from './chance.ts'
import { createCrowd, isSettled, type Crowd } from './crowd.ts'
import { Favorites } from './favorites.ts'
import { killDuringWork } from './kills.ts'
import type { Sent, Way } from './sender.ts'
import { auditSite, fetchable, listOrphans, urlsOf } from './site-auditor.ts'
import { startSite, type Member, type Site } from './site.ts'
import { reached, STAGES, type Stage } from './stages.ts'
import { listStored } from './stored.ts'
import { Visitor } from './visitor.ts'

/** How many kills, and the seed of when and whom: FAULT_ROUNDS=200 for a long soak, FAULT_SEED to see a failure again. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 6)
const SEED = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** After so many kills all is looked at. */
const BATCH = 25
const IS_LONG = ROUNDS >= 100
const OUTAGE_MS = IS_LONG ? 60_000 : 2000
const MINUTE = 60_000
const A_WHILE = { timeout: 5 * MINUTE, interval: 200 }
/** After which work goes on at the latest when what was gone is back. */
const RESUMES_MS = 30_000
const UPLOAD_TTL_S = 20
/** Uploads that nobody goes on with are looked for once a minute, files of deleted videos after two again. */
const TIDIED_MS = IS_LONG ? 4 * MINUTE : 3000
const DAYS_LATER = {
  NODE_OPTIONS: `--import ${new URL('days-later.ts', import.meta.url).href}`,
}

const isPossible = has('postgres') && has('redis')

const PATIENT = { timeout: 10 * MINUTE }

describe.skipIf(!isPossible)(`a site of five (FAULT_SEED=${SEED})`, PATIENT, () => {
  const random = chance(SEED)
  const media = hasS3 ? 'bucket' : 'folder'
  let site: Site
  let visitor: Visitor
  let crowd: Crowd
  let favorites: Favorites
  let before: Set<string>
  beforeAll(async () => {
    const env = { CHUNK_MIN_DURATION: '11', UPLOAD_TTL: `${UPLOAD_TTL_S}` }
    site = await startSite({ servers: 2, workers: 3, media, env })
    before = new Set((await listStored(site)).map(({ name }) => name))
    // Of their own: what they do between two kills must not change whom the next one hits.
    const whims = chance(SEED + 1)
    visitor = new Visitor(site.servers, whims)
    await visitor.signIn()
    const fan = new Visitor(site.servers, whims, visitor.complaints)
    await fan.signIn()
    favorites = new Favorites(fan)
    const ways: Way[] = hasS3 ? ['tus', 'tus anywhere', 'direct'] : ['tus']
    crowd = createCrowd({ visitor, favorites, random: whims, ways })
  })
  // Nobody knows what a site is like after something has failed in the middle.
  let hasFailed = false
  beforeEach((context) => context.skip(hasFailed))
  afterEach(async ({ task }) => {
    hasFailed ||= task.result?.state === 'fail'
    await keepLogs()
  })
  afterAll(() => site[Symbol.asyncDispose]())

  /** As an auditor from outside sees it, once all is quiet. */
  async function faults(): Promise<string[]> {
    await crowd.settled()
    return [...(await auditSite(site, visitor, crowd.sent)), ...(await favorites.audit())]
  }

  async function expectAllReady(): Promise<void> {
    const videos = await crowd.settled()
    const others = videos.filter((video) => video.processing_state !== 'ready')
    expect(others.map(whatHappened)).toEqual([])
    const ids = crowd.sent.map(({ videoId }) => videoId)
    expect(new Set(videos.map(({ id }) => id))).toEqual(new Set(ids))
  }

  async function adminVideo(id: number): Promise<AdminVideo> {
    return await visitor.json<AdminVideo>(`/admin/api/videos/${id}/`)
  }

  test('all of whom start at once on an empty database has one first superuser', async () => {
    const { count } = await visitor.json<{ count: number }>('/admin/api/users/')
    expect(count).toBe(1)
  })

  test(
    `${ROUNDS} times kill -9 at a random moment`,
    { timeout: (10 + ROUNDS) * MINUTE },
    async () => {
      for (let left = ROUNDS; left > 0; left -= BATCH) {
        const hits = await killDuringWork({ site, visitor, crowd, random }, Math.min(left, BATCH))
        expect(await faults()).toEqual([])
        const videos = await visitor.videos()
        const failed = videos.filter((video) => video.processing_state === 'error')
        tell(`${JSON.stringify(hits)}: ${videos.length} films, ${failed.length} of them failed`)
        for (const film of [...crowd.sent]) await crowd.remove(film)
      }
    },
  )

  /** A film at this stage, or as far as it came. */
  async function aFilmAt(stage: Stage | 'uploading'): Promise<Sent> {
    const sending = crowd.send('h264 mp4')
    if (stage === 'uploading') await pause(50)
    else if (!(await reached(visitor, (await sending).videoId, stage))) tell(`no film was ${stage}`)
    return await sending
  }

  test.each(['uploading', ...(Object.keys(STAGES) as Stage[])] as const)(
    'FLUSHALL while a film is %s loses nothing',
    async (stage) => {
      await aFilmAt(stage)
      expect(await sendToRedis(site.redis.port, 'FLUSHALL')).toBe('+OK')
      await expectAllReady()
    },
  )

  test('without Redis for a while the API goes on, and so does the work', async () => {
    await crowd.send('keyframes every 2.4 s')
    site.redis.kill('SIGKILL')
    const end = Date.now() + OUTAGE_MS
    do {
      const answers = [visitor.once('/content/'), visitor.once('/admin/api/videos/')]
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200])
      await visitor.signIn()
      await favorites.toggle(crowd.sent[0]!.videoId)
    } while (Date.now() < end)
    await crowd.send('h264 mp4')
    await site.redis.restart()
    await expectWorkWithin(RESUMES_MS)
    await expectAllReady()
  })

  test('without PostgreSQL for a while there is 503, and then it goes on', async () => {
    const sending = [crowd.send('keyframes every 2.4 s'), crowd.send('h264 mp4')]
    await reached(visitor, (await sending[0]!).videoId, 'encoding')
    await site.postgres.kill()
    const end = Date.now() + OUTAGE_MS
    const another = crowd.send('h264 mp4')
    do {
      for (const server of site.servers) {
        const { status } = await visitor.once('/admin/api/videos/', {}, server)
        expect(status).toBe(503)
      }
      await pause(200)
    } while (Date.now() < end)
    await site.postgres.comeBack()
    await expectWorkWithin(RESUMES_MS)
    await Promise.all([...sending, another])
    await expectAllReady()
  })

  /** Another film is looked at, or finished. */
  async function expectWorkWithin(ms: number): Promise<void> {
    const begun = (videos: AdminVideo[]): string =>
      videos
        .map(({ source }) => source?.steps.map(({ attempts, state }) => attempts + state))
        .join()
    const back = Date.now()
    const first = begun(await visitor.videos())
    const hasMoved = async (): Promise<boolean> => {
      const videos = await visitor.videos()
      return videos.every(isSettled) || begun(videos) !== first
    }
    await expect.poll(hasMoved, { timeout: ms, interval: 50 }).toBe(true)
    tell(`work went on after ${Date.now() - back} ms`)
  }

  test.each(['encoding', 'publishing'] as const)(
    'a worker that is frozen beyond its lease while %s changes nothing of what its successor made',
    async (stage) => {
      const [frozen, ...others] = site.workers as [Member, ...Member[]]
      const endOthers = () => Promise.all(others.map((other) => other.end()))
      const startOthers = () => Promise.all(others.map((other) => other.start()))
      await endOthers()
      const { videoId } = await aFilmAt(stage)
      frozen.freeze()
      await startOthers()
      await expectAllReady()
      const published = await adminVideo(videoId)
      frozen.thaw()
      // Alone, it comes to the next film when it has done with the last one.
      await endOthers()
      await crowd.send('h264 mp4')
      await expectAllReady()
      expect(pathsOf(await adminVideo(videoId))).toEqual(pathsOf(published))
      expect(await fetchable(urlsOf(published))).toEqual(urlsOf(published))
      await startOthers()
    },
  )

  test.each(Object.keys(STAGES) as Stage[])('a film is deleted while it is %s', async (stage) => {
    const film = await aFilmAt(stage)
    await crowd.remove(film)
    expect((await visitor.ask(`/admin/api/videos/${film.videoId}/`)).status).toBe(404)
  })

  test('SIGTERM under load ends in order, and nothing is lost', async () => {
    await using work = crowd.begin()
    const members = [...site.workers, ...site.servers]
    for (const member of IS_LONG ? members : [members[0]!, members.at(-1)!]) {
      await pause(random() * 1000)
      const ending = member.end()
      expect({ ...(await ending), name: member.name }).toEqual({
        ...{ code: 0, signal: null, name: member.name },
      })
      await member.start()
    }
    await work.stop()
    await expectAllReady()
  })

  test('after all of this an auditor from outside finds nothing', async () => {
    expect(await faults()).toEqual([])
  })

  test('when all is deleted, nothing is left anywhere', async () => {
    const urls = (await visitor.videos()).flatMap(urlsOf)
    expect(urls.length).toBeGreaterThan(0)
    expect(await fetchable(urls)).toEqual(urls)
    for (const film of [...crowd.sent]) await crowd.remove(film)
    expect(await visitor.videos()).toEqual([])
    await expect.poll(() => fetchable(urls), A_WHILE).toEqual([])
    await tidied()
    // What killed processes had stored and never told of goes within days, or when somebody asks for it then.
    for (const server of site.servers) {
      const { code, output } = await server.run(['audit-library', '--fix'], DAYS_LATER)
      expect([code, output]).toEqual([0, expect.anything()])
    }
    expect(await listOrphans(site, before)).toEqual([])
    expect(await favorites.audit()).toEqual([])
    expect(visitor.complaints).toEqual([])
  })

  /** Waits as long as it makes sense to, and tells what is left then. */
  async function tidied(): Promise<void> {
    const end = Date.now() + TIDIED_MS
    let left = await listOrphans(site, before)
    while (left.length > 0 && Date.now() < end) {
      await pause(500)
      left = await listOrphans(site, before)
    }
    tell(`left to the daily sweep: ${left.join(', ') || 'nothing'}`)
  }

  /** FAULT_LOGS names a folder for what all members have printed. */
  async function keepLogs(): Promise<void> {
    const folder = process.env['FAULT_LOGS']
    if (folder === undefined) return
    await mkdir(folder, { recursive: true })
    for (const member of [...site.servers, ...site.workers]) {
      await writeFile(join(folder, `${member.name}.log`), member.output())
    }
  }
})

const tell = (line: string): boolean => process.stdout.write(`${line}\n`)

const whatHappened = ({ title, source }: AdminVideo): string =>
  `${title}: ${source?.error?.message ?? source?.state}`

const pathsOf = (video: AdminVideo): string[] => urlsOf(video).map((url) => new URL(url).pathname)
