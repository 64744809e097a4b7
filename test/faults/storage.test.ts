import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { GoodFilm } from '../films.ts'
import { has } from '../harness/programs.ts'
import { hasS3 } from '../harness/s3.ts'
import { chance } from './chance.ts'
import { DAYS_LATER, SiteClocks } from './clocks.ts'
import { aLargeFilm, factsOf, formOf, insistOn } from './forms.ts'
import { keepLogs } from './keep-logs.ts'
import {
  always,
  atRandom,
  hasAcl,
  noFault,
  startS3Proxy,
  type Rule,
  type S3Proxy,
} from './s3-proxy.ts'
import { aUniqueFilm, send, type Sent } from './sender.ts'
import { auditSite, listOrphans } from './site-auditor.ts'
import { startSite, type Site } from './site.ts'
import { listStored } from './stored.ts'
import { Visitor } from './visitor.ts'

/** How many changes of weather, and the seed of them: FAULT_ROUNDS=200 for a long storm, FAULT_SEED to see one again. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 3)
const SEED = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const MINUTE = 60_000
const A_WHILE = { timeout: 5 * MINUTE, interval: 200 }
const [S3_TIMEOUT_S, UPLOAD_TTL_S] = [2, 5]
/** After which a store is asked again that was away; and all that is given up, deleted or tried again is tidied up. */
const [ASKED_AGAIN_MS, TIDIED_MS] = [MINUTE, 5 * MINUTE]
const USERS = 3
/** Films that are waiting or in work, at most: more would only wait. */
const MOST_OPEN = 10

const isPossible = hasS3 && has('postgres') && has('redis')

describe.skipIf(!isPossible)(
  `a site whose S3 is unreliable (FAULT_SEED=${SEED})`,
  { timeout: 10 * MINUTE },
  () => {
    const random = chance(SEED)
    const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
    const clocks = new SiteClocks()
    let proxy: S3Proxy
    let site: Site
    let visitor: Visitor
    let before: Set<string>
    const sent: Sent[] = []
    /** Hashes of what the site has refused when it had all of it, as its store had failed. */
    const refused = new Set<string>()
    beforeAll(async () => {
      site = await startSite({
        servers: 1,
        workers: 2,
        media: 'bucket',
        env: {
          S3_TIMEOUT: `${S3_TIMEOUT_S}`,
          UPLOAD_TTL: `${UPLOAD_TTL_S}`,
        },
        envOf: clocks.envOf,
        async s3EndpointOf(endpoint) {
          proxy = await startS3Proxy(endpoint)
          return proxy.endpoint
        },
      })
      before = new Set((await listStored(site)).map(({ name }) => name))
      visitor = new Visitor(site.servers, random)
      await visitor.signIn()
    })
    let hasFailed = false
    beforeEach((context) => context.skip(hasFailed))
    afterEach(async ({ task }) => {
      proxy.rule = noFault
      hasFailed ||= task.result?.state === 'fail'
      await keepLogs(site, hasFailed)
    })
    afterAll(async () => {
      await site?.[Symbol.asyncDispose]()
      await proxy?.stop()
    })

    let titles = 0
    const aTitle = (): string => `Film ${(titles += 1)}`

    /** With what is to be known of it. */
    async function sendForm(bytes: Buffer, film: GoodFilm): Promise<Sent> {
      const title = aTitle()
      const init = { method: 'POST', body: formOf(bytes, { title }) }
      const { reply, facts } = await store('/admin/api/videos/', init, bytes)
      if (reply.status !== 201) throw new Error(`a form: ${reply.status} ${await reply.text()}`)
      return { title, film, videoId: ((await reply.json()) as AdminVideo).id, ...facts }
    }

    /** Whom a store fails that has taken it nevertheless may store it once more: the first copy goes within days. */
    async function store(path: string, init: RequestInit, bytes: Buffer) {
      const { reply, refusals } = await insistOn(visitor, path, init)
      const facts = { ...factsOf(bytes), refusals }
      if (refusals > 0) refused.add(facts.sha256)
      return { reply, facts }
    }

    const openVideos = async (): Promise<AdminVideo[]> =>
      (await visitor.videos()).filter(({ processing_state: state }) => !/ready|error/.test(state))

    async function expectAllWell(): Promise<void> {
      await expect.poll(openVideos, A_WHILE).toEqual([])
      const videos = await visitor.videos()
      // None of these films is at fault.
      const failed = videos.filter(({ processing_state: state }) => state !== 'ready')
      expect(failed.map(({ title, source }) => [title, source?.error, source?.steps])).toEqual([])
      expect(await auditSite(site, visitor, sent)).toEqual([])
      for (const member of [...site.servers, ...site.workers]) {
        expect([member.name, member.isRunning()]).toEqual([member.name, true])
        expect(member.output()).not.toMatch(/uncaught|unhandled/i)
      }
    }

    async function aReadyFilm(): Promise<Sent> {
      if (!sent[0]) sent.push(await sendForm(await aUniqueFilm('h264 mp4'), 'h264 mp4'))
      await expect.poll(openVideos, A_WHILE).toEqual([])
      return sent[0]!
    }

    test('no request names an ACL, however films are sent, whatever is done with them', async () => {
      sent.push(await sendForm(await aUniqueFilm('h264 mp4'), 'h264 mp4'))
      sent.push(await sendForm(await aLargeFilm('mpeg4 mp4'), 'mpeg4 mp4'))
      for (const way of ['tus', 'direct'] as const) {
        sent.push(await send(visitor, { title: aTitle(), film: 'h264 mp4', way }))
      }
      await expectAllWell()
      for (const { videoId } of sent.splice(1)) {
        await visitor.ask(`/admin/api/videos/${videoId}/`, { method: 'DELETE' })
      }
      const seen = (): string[] => proxy.requests.map(({ operation }) => operation)
      await expect.poll(seen, A_WHILE).toContain('DeleteObject')
      const stores = ['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload']
      expect(seen()).toEqual(expect.arrayContaining([...stores, 'GetObject']))
      expect(proxy.requests.filter(hasAcl)).toEqual([])
    })

    test.each<[string, Rule]>([
      ['is gone', always({ kind: 'reset' })],
      ['refuses everything for now', always({ kind: 'slow down' })],
      ['accepts everything and answers nothing', always({ kind: 'silence' })],
    ])(
      'while it %s, whoever stores something is told when to try again, and all else goes on',
      async (_name, rule) => {
        const { videoId } = await aReadyFilm()
        const begun = await visitor.ask(
          '/admin/api/direct-uploads/',
          json({ file_name: 'a', size: 5 }),
        )
        const { id } = (await begun.json()) as { id: string }
        const subtitles = new FormData()
        subtitles.append('language', 'en')
        subtitles.append('file', new Blob(['1\n00:00:00,100 --> 00:00:01,000\nHello\n']), 'a.srt')

        proxy.rule = rule
        const small = formOf(await aUniqueFilm('h264 mp4'), { title: aTitle() })
        const large = formOf(await aLargeFilm('h264 mp4'), { title: aTitle() })
        const stores: [string, RequestInit][] = [
          ['/admin/api/videos/', { method: 'POST', body: small }],
          ['/admin/api/videos/', { method: 'POST', body: large }],
          [`/admin/api/videos/${videoId}/source/`, { method: 'PUT', body: small }],
          [`/admin/api/videos/${videoId}/subtitles/`, { method: 'POST', body: subtitles }],
          ['/admin/api/direct-uploads/', json({ file_name: 'film.mp4', size: 5 })],
          [`/admin/api/direct-uploads/${id}/`, {}],
          [`/admin/api/direct-uploads/${id}/complete/`, json({})],
        ]
        const answers = await Promise.all(
          stores.map(async ([path, init]) => {
            const reply = await visitor.once(path, init)
            return [path, reply.status, Number(reply.headers.get('retry-after')) > 0]
          }),
        )
        expect(answers).toEqual(stores.map(([path]) => [path, 503, true]))
        const reads = [
          '/content/',
          `/content/${videoId}/playback/`,
          '/health/',
          '/admin/api/videos/',
        ]
        for (const path of reads)
          expect([path, (await visitor.once(path)).status]).toEqual([path, 200])
        await visitor.signIn()
      },
    )

    test('a film that is in work when it freezes is finished later', async () => {
      const film = await sendForm(await aLargeFilm('h264 mp4'), 'h264 mp4')
      sent.push(film)
      site.s3!.freeze()
      try {
        const codes = async (): Promise<(string | undefined)[]> => {
          const path = `/admin/api/videos/${film.videoId}/`
          const { source } = await visitor.json<AdminVideo>(path)
          return source?.steps.map(({ error }) => error?.code) ?? []
        }
        await expect.poll(codes, A_WHILE).toContain('unavailable')
      } finally {
        site.s3!.thaw()
      }
      await clocks.advance(site, ASKED_AGAIN_MS)
      await expectAllWell()
    })

    const WEATHER: Record<string, Rule> = {
      unsteady: atRandom(random, 0.15),
      stormy: atRandom(random, 0.4),
      gone: always({ kind: 'reset' }),
      busy: always({ kind: 'slow down' }),
      silent: always({ kind: 'silence' }),
      fair: noFault,
    }

    /** Somebody who sends, replaces and deletes films. */
    async function use(isOver: () => boolean, done: Record<string, number>): Promise<void> {
      const mine: Sent[] = []
      const count = (what: string): void => void (done[what] = (done[what] ?? 0) + 1)
      const keep = (film: Sent): void => void [mine, sent].map((all) => all.push(film))
      const forget = (film: Sent): void =>
        void [mine, sent].map((all) => all.splice(all.indexOf(film), 1))
      const ways = {
        tus: async () =>
          keep(await send(visitor, { title: aTitle(), film: 'h264 mp4', way: 'tus' })),
        direct: async () =>
          keep(await send(visitor, { title: aTitle(), film: 'mpeg4 mp4', way: 'direct' })),
        form: async () => keep(await sendForm(await aUniqueFilm('mpeg4 mp4'), 'mpeg4 mp4')),
        'large form': async () => keep(await sendForm(await aLargeFilm('h264 mp4'), 'h264 mp4')),
        async replace() {
          const film = oneOf(mine)
          const bytes = await aLargeFilm('mpeg4 mp4')
          const path = `/admin/api/videos/${film.videoId}/source/`
          const init = { method: 'PUT', body: formOf(bytes) }
          const { reply, facts } = await store(path, init, bytes)
          if (reply.status !== 200) throw new Error(`${path}: ${reply.status}`)
          Object.assign(film, { film: 'mpeg4 mp4', ...facts })
        },
        async delete() {
          const film = oneOf(mine)
          const path = `/admin/api/videos/${film.videoId}/`
          const { status } = await visitor.ask(path, { method: 'DELETE' })
          if (status !== 204) throw new Error(`${path}: ${status}`)
          forget(film)
        },
      }
      while (!isOver()) {
        if ((await openVideos()).length >= MOST_OPEN) {
          await pause(100)
          continue
        }
        const names = Object.keys(ways) as (keyof typeof ways)[]
        const possible =
          mine.length > 0 ? names : names.filter((name) => !/replace|delete/.test(name))
        const way = oneOf(possible)
        await ways[way]()
        count(way)
      }
    }

    test(`${ROUNDS} changes of weather`, { timeout: (10 + ROUNDS) * MINUTE }, async () => {
      const done: Record<string, number> = {}
      const weathers: Record<string, number> = {}
      proxy.requests.length = 0
      let isOver = false
      const users = Promise.all(Array.from({ length: USERS }, () => use(() => isOver, done)))
      users.catch(() => (isOver = true))
      for (let round = 1; round <= ROUNDS && !isOver; round += 1) {
        // Most of the time it works, more or less: else there would be little to go wrong.
        const name = oneOf(random() < 0.7 ? ['unsteady', 'stormy', 'fair'] : Object.keys(WEATHER))
        weathers[name] = (weathers[name] ?? 0) + 1
        proxy.rule = WEATHER[name]!
        await pause(1000 + random() * 3000)
      }
      isOver = true
      proxy.rule = noFault
      await users
      await expectAllWell()
      const met: Record<string, number> = {}
      expect(Object.values(weathers).reduce((sum, count) => sum + count)).toBe(ROUNDS)
      for (const { fault } of proxy.requests) met[fault ?? 'none'] = (met[fault ?? 'none'] ?? 0) + 1
      const told = { weathers, done, met, films: sent.length, refused: refused.size }
      process.stdout.write(`FAULT_SEED=${SEED}: ${JSON.stringify(told)}\n`)
    })

    /**
     * What is left, but for copies of what was refused, and for uploads to the bucket that it began, or did not end,
     * although its answer was none: nothing else may be left to the daily sweep.
     */
    async function listStrangers(): Promise<string[]> {
      const left = await listOrphans(site, before)
      const stored = (await listStored(site)).filter(({ name }) => left.includes(name))
      const sums = await Promise.all(stored.map((each) => each.sha256()))
      const copies = stored.filter((_each, index) => refused.has(sums[index]!))
      const broken = proxy.requests.filter(({ fault }) => fault !== null).map(({ path }) => path)
      const isHalf = (name: string): boolean =>
        name.startsWith('unfinished: ') && broken.some((path) => path.includes(name.slice(12)))
      return left.filter((name) => !isHalf(name) && !copies.some((copy) => copy.name === name))
    }

    test('deleted films leave nothing, and neither do uploads that were lost on their way', async () => {
      proxy.rule = atRandom(random, 0.15)
      for (const { videoId } of sent.splice(0)) {
        const reply = await visitor.ask(`/admin/api/videos/${videoId}/`, { method: 'DELETE' })
        expect(reply.status).toBe(204)
      }
      proxy.rule = noFault
      await clocks.advance(site, TIDIED_MS)
      await expect.poll(listStrangers, A_WHILE).toEqual([])
      const { code, output } = await site.servers[0]!.run(['audit-library', '--fix'], DAYS_LATER)
      expect([code, output]).toEqual([0, expect.anything()])
      expect(await listOrphans(site, before)).toEqual([])
      expect(await visitor.videos()).toEqual([])
      expect(visitor.complaints).toEqual([])
      for (const worker of site.workers) expect(await worker.end()).toMatchObject({ code: 0 })
    })
  },
)

function json(body: unknown): RequestInit {
  const headers = { 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(body) }
}
