import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { has } from '../harness/programs.ts'
import { sendToRedis } from '../harness/redis.ts'
import { hasS3 } from '../harness/s3.ts'
import { hasSmallDisks, smallDisk } from '../harness/small-disk.ts'
import { frozenAt, whileAt, whileUploading } from './at-stage.ts'
import { chance } from './chance.ts'
import { DAYS_LATER, SiteClocks } from './clocks.ts'
import { createCrowd, isSettled, type Crowd } from './crowd.ts'
import { Favorites } from './favorites.ts'
import { keepLogs } from './keep-logs.ts'
import { killDuringWork, type Hits } from './kills.ts'
import type { Sent, Way } from './sender.ts'
import { auditSite, fetchable, listOrphans, urlsOf } from './site-auditor.ts'
import { startSite, type Member, type Site } from './site.ts'
import { reached, STAGES, type Stage } from './stages.ts'
import { endUnfinished, listStored } from './stored.ts'
import { VICTIMS } from './victims.ts'
import { Visitor } from './visitor.ts'

/** How many kills, and the seed of when and whom: FAULT_ROUNDS=200 for a long soak, FAULT_SEED to see a failure again. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 5)
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
const TIDIED_MS = 3 * MINUTE
/** That it takes when it is due. */
const TIDYING = { timeout: MINUTE, interval: 200 }
const ATTEMPTS = 3
const MIB = 1024 * 1024

const isPossible = has('postgres') && has('redis')

const PATIENT = { timeout: 10 * MINUTE }

describe.skipIf(!isPossible)(`a site of five (FAULT_SEED=${SEED})`, PATIENT, () => {
  const random = chance(SEED)
  const media = hasS3 ? 'bucket' : 'folder'
  const clocks = new SiteClocks()
  let site: Site
  let visitor: Visitor
  let crowd: Crowd
  let favorites: Favorites
  let before: Set<string>
  beforeAll(async () => {
    const env = {
      CHUNK_MIN_DURATION: '11',
      UPLOAD_TTL: `${UPLOAD_TTL_S}`,
      JOB_ATTEMPTS: `${ATTEMPTS}`,
    }
    site = await startSite({ servers: 2, workers: 3, media, env, envOf: clocks.envOf })
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
    await keepLogs(site, hasFailed)
  })
  afterAll(() => site?.[Symbol.asyncDispose]())

  const audited = new Set<Sent>()
  /** Playing takes long: in the short form a film is played once, after the test that has sent it. */
  const isPlayedAgain = (film: Sent): boolean => IS_LONG || !audited.has(film)

  /** As an auditor from outside sees it, once all is quiet. */
  async function faults(isPlayed?: (film: Sent) => boolean): Promise<string[]> {
    await crowd.settled()
    const found = await auditSite(site, visitor, crowd.sent, isPlayed)
    for (const film of crowd.sent) audited.add(film)
    return [...found, ...(await favorites.audit())]
  }

  async function expectAllReady(): Promise<void> {
    await expectNoneFailed()
    expect(await faults(isPlayedAgain)).toEqual([])
  }

  async function expectNoneFailed(): Promise<void> {
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
      const total: Record<string, number> = {}
      for (let left = ROUNDS; left > 0; left -= BATCH) {
        const hits = await killDuringWork({ site, visitor, crowd, random }, Math.min(left, BATCH))
        for (const name of VICTIMS) total[name] = (total[name] ?? 0) + hits[name]
        expect(await faults()).toEqual([])
        await expectFewFailed(hits)
        for (const film of [...crowd.sent]) await crowd.remove(film)
        await expectLittleLeft(hits)
      }
      const least = IS_LONG ? 11 : Number(ROUNDS >= VICTIMS.length)
      expect(VICTIMS.filter((name) => total[name]! < least)).toEqual([])
    },
  )

  /** Every film is good: one fails only if its programs were killed as often as they are tried. */
  async function expectFewFailed(hits: Hits): Promise<void> {
    const videos = await visitor.videos()
    const failed = videos.filter((video) => video.processing_state === 'error')
    const told = `${videos.length} films, ${failed.length} of them failed`
    tell(`FAULT_SEED=${SEED}: ${JSON.stringify(hits)}: ${told}`)
    const isExcused = ({ source }: AdminVideo): boolean =>
      source?.error?.code === 'encoder_crashed' &&
      source.steps.some(({ state, attempts }) => state === 'failed' && attempts >= ATTEMPTS)
    expect(failed.filter((video) => !isExcused(video)).map(whatHappened)).toEqual([])
    expect(failed.length).toBeLessThanOrEqual(hits.ffmpeg / ATTEMPTS)
  }

  /**
   * Two uploads go on at any time, and a killed server, or one without its database, may have stored a file of each and
   * told nobody. All else is found by who tidies up; and within days that, or when somebody asks for it then.
   */
  async function expectLittleLeft(hits: Hits): Promise<void> {
    await clocks.advance(site, TIDIED_MS)
    const most = 2 * (hits.server + hits.postgres)
    const list = (): Promise<string[]> => listOrphans(site, before)
    await expect.poll(list, TIDYING).toSatisfy((left: string[]) => left.length <= most)
    tell(`left to the daily sweep: ${(await list()).join(', ') || 'nothing'}`)
    for (const server of (await list()).length > 0 ? site.servers : []) {
      const { code, output } = await server.run(['audit-library', '--fix'], DAYS_LATER)
      expect([code, output]).toEqual([0, expect.anything()])
    }
    expect(await list()).toEqual([])
    if (ROUNDS > BATCH) await clocks.reset(site)
  }

  test.each(['uploading', ...(Object.keys(STAGES) as Stage[])] as const)(
    'FLUSHALL while a film is %s loses nothing',
    async (stage) => {
      const flush = async (): Promise<void> => {
        expect(await sendToRedis(site.redis.port, 'FLUSHALL')).toBe('+OK')
      }
      if (stage === 'uploading') await whileUploading({ site, visitor, crowd }, flush)
      else await whileAt({ site, visitor, crowd }, stage, flush)
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

  test.each(IS_LONG ? ['PostgreSQL', 'PostgreSQL and Redis'] : ['PostgreSQL and Redis'])(
    'without %s for a while there is 503, and then it goes on',
    async (whom) => {
      const sending = [crowd.send('keyframes every 2.4 s'), crowd.send('h264 mp4')]
      expect(await reached(visitor, (await sending[0]!).videoId, 'encoding')).toBe(true)
      if (/Redis/.test(whom)) site.redis.kill('SIGKILL')
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
      if (/Redis/.test(whom)) await site.redis.restart()
      await expectWorkWithin(RESUMES_MS)
      await Promise.all([...sending, another])
      await expectAllReady()
      // What the bucket has begun, and the database could not be told of, is left for days: it may be on its way.
      tell(`left unfinished: ${(await endUnfinished(site)).join(', ') || 'nothing'}`)
    },
  )

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

  test.each(IS_LONG ? (['encoding', 'publishing'] as const) : (['publishing'] as const))(
    'a worker that is frozen beyond its lease while %s changes nothing of what its successor made',
    async (stage) => {
      const [frozen, ...others] = site.workers as [Member, ...Member[]]
      const endOthers = () => Promise.all(others.map((other) => other.end()))
      const startOthers = () => Promise.all(others.map((other) => other.start()))
      const lossesOf = (worker: Member): number => worker.output().split(/lease lost/).length
      await endOthers()
      const { id, source } = await frozenAt({ site, visitor, crowd }, frozen, stage)
      const inHand = source?.steps.filter(({ state }) => state === 'running') ?? []
      const losses = lossesOf(frozen)
      await startOthers()
      // What it has in its folder of work is looked at when it is awake again.
      await expectNoneFailed()
      const published = await whatIsPublished(id)
      // Each was begun once more, by somebody else.
      for (const { name, attempts } of inHand) {
        expect(published.steps.get(name)).toBeGreaterThan(attempts)
      }
      frozen.thaw()
      await expect.poll(() => lossesOf(frozen), A_WHILE).toBe(losses + inHand.length)
      // Alone, it comes to the next film when it has done with the last one.
      await endOthers()
      await crowd.send('h264 mp4')
      await expectAllReady()
      expect(await whatIsPublished(id)).toEqual(published)
      await startOthers()
    },
  )

  /** Of a video: its files, byte for byte, and how often each step was begun. */
  async function whatIsPublished(id: number) {
    const video = await adminVideo(id)
    const files = urlsOf(video).map(async (url): Promise<[string, string]> => {
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer())
      return [new URL(url).pathname, createHash('sha256').update(bytes).digest('hex')]
    })
    const steps = new Map(video.source?.steps.map(({ name, attempts }) => [name, attempts]))
    return { state: video.processing_state, files: await Promise.all(files), steps }
  }

  test.skipIf(!hasSmallDisks || !hasS3)(
    'a worker without room on its disk leaves films to others, and goes on when there is room',
    async () => {
      await using disk = await smallDisk(64 * MIB)
      const [full, ...others] = site.workers as [Member, ...Member[]]
      await Promise.all(site.workers.map((worker) => worker.end()))
      await full.start({ DATA_DIR: disk.path })
      const codesOf = async ({ videoId }: Sent): Promise<(string | undefined)[]> =>
        (await adminVideo(videoId)).source?.steps.map(({ error }) => error?.code) ?? []

      await disk.fill()
      const fetched = await crowd.send('h264 mp4')
      await expect.poll(() => codesOf(fetched), A_WHILE).toContain('disk_full')
      await disk.makeRoom()
      await expectAllReady()

      const encoded = await crowd.send('keyframes every 2.4 s')
      expect(await reached(visitor, encoded.videoId, 'encoding')).toBe(true)
      // What a failed step removes is taken too.
      const codesWhenFull = async (): Promise<(string | undefined)[]> => {
        await disk.fill()
        return await codesOf(encoded)
      }
      await expect.poll(codesWhenFull, { ...A_WHILE, interval: 10 }).toContain('disk_full')
      await Promise.all(others.map((other) => other.start()))
      await Promise.all([crowd.send('h264 mp4'), crowd.send('mpeg4 mp4')])
      const openWhenFull = async (): Promise<AdminVideo[]> => {
        await disk.fill()
        return (await visitor.videos()).filter((video) => !isSettled(video))
      }
      await expect.poll(openWhenFull, { ...A_WHILE, interval: 20 }).toEqual([])
      await expectAllReady()

      expect(await full.end()).toMatchObject({ code: 0 })
      await full.start()
    },
  )

  test.each(Object.keys(STAGES) as Stage[])('a film is deleted while it is %s', async (stage) => {
    const remove = (film: Sent): Promise<void> => crowd.remove(film)
    const { videoId } = await whileAt({ site, visitor, crowd }, stage, remove)
    expect((await visitor.ask(`/admin/api/videos/${videoId}/`)).status).toBe(404)
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

  test('after all of this an auditor from outside finds nothing, and nothing is left over', async () => {
    await clocks.advance(site, TIDIED_MS)
    expect(await faults(isPlayedAgain)).toEqual([])
    const args = ['audit-library', ...(IS_LONG ? [] : ['--quick'])]
    const { code, output } = await site.servers[0]!.run(args, DAYS_LATER)
    expect([code, output]).toEqual([0, expect.stringContaining('0 files without a row')])
  })

  test('when all is deleted, nothing is left anywhere', async () => {
    const urls = (await visitor.videos()).flatMap(urlsOf)
    expect(urls.length).toBeGreaterThan(0)
    expect(await fetchable(urls)).toEqual(urls)
    for (const film of [...crowd.sent]) await crowd.remove(film)
    expect(await visitor.videos()).toEqual([])
    await expect.poll(() => fetchable(urls), A_WHILE).toEqual([])
    await clocks.advance(site, TIDIED_MS)
    await expect.poll(() => listOrphans(site, before), TIDYING).toEqual([])
    expect(await favorites.audit()).toEqual([])
    expect(visitor.complaints).toEqual([])
  })
})

const tell = (line: string): boolean => process.stdout.write(`${line}\n`)

const whatHappened = ({ title, source }: AdminVideo): string =>
  `${title}: ${source?.error?.message ?? source?.state}`
