import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { GoodFilm } from '../films.ts'
import { has } from '../harness/programs.ts'
import { hasS3 } from '../harness/s3.ts'
import { chance } from './chance.ts'
import { always, atRandom, noFault, startS3Proxy, type Rule, type S3Proxy } from './s3-proxy.ts'
import { aUniqueFilm, send, type Sent } from './sender.ts'
import { auditSite, listOrphans } from './site-auditor.ts'
import { startSite, type Site } from './site.ts'
import { listStored } from './stored.ts'
import { Visitor } from './visitor.ts'

/** How many changes of weather, and the seed of them: FAULT_ROUNDS=200 for a long storm, FAULT_SEED to see one again. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 6)
const SEED = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const MINUTE = 60_000
const A_WHILE = { timeout: 5 * MINUTE, interval: 200 }
const [S3_TIMEOUT_S, UPLOAD_TTL_S] = [2, 5]
const USERS = 3
const DAYS_LATER = {
  NODE_OPTIONS: `--import ${new URL('days-later.ts', import.meta.url).href}`,
}
/** Films that are waiting or in work, at most: more would only wait. */
const MOST_OPEN = 10
/** More than is sent at once: it goes to the bucket in parts. */
const LARGE_BYTES = 9 * 1024 * 1024

const isPossible = hasS3 && has('postgres') && has('redis')

describe.skipIf(!isPossible)(
  `a site whose S3 is unreliable (FAULT_SEED=${SEED})`,
  { timeout: 10 * MINUTE },
  () => {
    const random = chance(SEED)
    const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
    let proxy: S3Proxy
    let site: Site
    let visitor: Visitor
    let before: Set<string>
    const sent: Sent[] = []
    beforeAll(async () => {
      site = await startSite({
        servers: 1,
        workers: 2,
        media: 'bucket',
        env: {
          S3_TIMEOUT: `${S3_TIMEOUT_S}`,
          UPLOAD_TTL: `${UPLOAD_TTL_S}`,
        },
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
      await keepLogs()
    })
    afterAll(async () => {
      await site?.[Symbol.asyncDispose]()
      await proxy?.stop()
    })

    /** FAULT_LOGS names a folder for what all members have printed. */
    async function keepLogs(): Promise<void> {
      const folder = process.env['FAULT_LOGS']
      if (folder === undefined) return
      await mkdir(folder, { recursive: true })
      for (const member of [...site.servers, ...site.workers]) {
        await writeFile(join(folder, `${member.name}.log`), member.output())
      }
    }

    let titles = 0
    const aTitle = (): string => `Film ${(titles += 1)}`

    function formOf(bytes: Buffer, fields: Record<string, string> = {}): FormData {
      const form = new FormData()
      for (const [name, value] of Object.entries(fields)) form.append(name, value)
      form.append('video_file', new Blob([new Uint8Array(bytes)]), 'film.mp4')
      return form
    }

    /** A film that is large for its length: with bytes that players skip. */
    async function aLargeFilm(film: GoodFilm): Promise<Buffer> {
      const header = Buffer.alloc(LARGE_BYTES)
      header.writeUInt32BE(LARGE_BYTES)
      header.write('free', 4)
      return Buffer.concat([await aUniqueFilm(film), header])
    }

    const factsOf = (bytes: Buffer): { sizeBytes: number; sha256: string } => ({
      sizeBytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })

    async function sendForm(bytes: Buffer, film: GoodFilm): Promise<Sent> {
      const title = aTitle()
      const init = { method: 'POST', body: formOf(bytes, { title }) }
      const reply = await visitor.ask('/admin/api/videos/', init)
      if (reply.status !== 201) throw new Error(`a form: ${reply.status} ${await reply.text()}`)
      return { title, film, videoId: ((await reply.json()) as AdminVideo).id, ...factsOf(bytes) }
    }

    const openVideos = async (): Promise<AdminVideo[]> =>
      (await visitor.videos()).filter(({ processing_state: state }) => !/ready|error/.test(state))

    /** A form that S3 refused in the end may have been stored: that goes within days, or when somebody asks for it then. */
    async function faults(): Promise<string[]> {
      const { code, output } = await site.servers[0]!.run(['audit-library', '--fix'], DAYS_LATER)
      const found = await auditSite(site, visitor, sent)
      return code === 0 ? found : [output, ...found]
    }

    async function expectAllWell(): Promise<void> {
      await expect.poll(openVideos, A_WHILE).toEqual([])
      const videos = await visitor.videos()
      // None of these films is at fault.
      const failed = videos.filter(({ processing_state: state }) => state !== 'ready')
      expect(failed.map(({ title, source }) => [title, source?.error, source?.steps])).toEqual([])
      expect(await faults()).toEqual([])
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

    // Half a minute: so long nobody asks a store again that was away.
    test.skipIf(ROUNDS < 20)(
      'a film that is in work when it freezes is finished later',
      async () => {
        const film = await sendForm(
          await aLargeFilm('keyframes every 2.4 s'),
          'keyframes every 2.4 s',
        )
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
        await expectAllWell()
      },
    )

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
          const reply = await visitor.ask(path, { method: 'PUT', body: formOf(bytes) })
          if (reply.status !== 200) throw new Error(`${path}: ${reply.status}`)
          Object.assign(film, { film: 'mpeg4 mp4', ...factsOf(bytes) })
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
      process.stdout.write(`${JSON.stringify({ weathers, done, met, films: sent.length })}\n`)
    })

    test('deleted films leave nothing, and neither do uploads that were lost on their way', async () => {
      proxy.rule = atRandom(random, 0.15)
      for (const { videoId } of sent.splice(0)) {
        const reply = await visitor.ask(`/admin/api/videos/${videoId}/`, { method: 'DELETE' })
        expect(reply.status).toBe(204)
      }
      await pause(2 * UPLOAD_TTL_S * 1000)
      proxy.rule = noFault
      // A sweep is due every minute, and at every start.
      const [server] = site.servers
      expect(await server!.end()).toMatchObject({ code: 0 })
      await server!.start()
      const leftovers = async (): Promise<string[]> => {
        await site.servers[0]!.run(['audit-library', '--fix'], DAYS_LATER)
        return await listOrphans(site, before)
      }
      await expect.poll(leftovers, { ...A_WHILE, interval: 2000 }).toEqual([])
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
