import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findProgram } from '../../server/src/media/sandbox.ts'
import { startApp, type TestApp } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import {
  hostileFilm,
  hostileFilms,
  readers,
  type Bait,
  type HostileFile,
} from '../hostile-films.ts'
import { adminVideo, allDone, aReadyVideo, filesIn, postForm, until } from '../videos/library.ts'
import { childrenOf, type ChildProcess } from './children.ts'
import { ADMIN, OPEN_ENV } from './servers.ts'

const exec = promisify(execFile)
const SECRET = 'THE-SECRET-OF-SOMEBODY-ELSE'
const GIB = 1024 ** 3
/** For all of them; one alone would exceed it if nothing bounded it. */
const LONGEST_MS = 170_000

let folder: TemporaryFolder
let listener: Server
let connections = 0
let bait: Bait
beforeAll(async () => {
  folder = await temporaryFolder()
  listener = createServer((socket) => {
    connections += 1
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  bait = {
    originalPath: join(folder.path, 'original.ts'),
    secretPath: join(folder.path, 'secret.txt'),
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
  }
  const green = ['-f', 'lavfi', '-i', 'color=0x00ff00:size=192x144:rate=25:duration=4']
  await exec('ffmpeg', ['-v', 'error', ...green, '-metadata', `title=${SECRET}`, bait.originalPath])
  await writeFile(bait.secretPath, `${SECRET}\n`.repeat(100))
})
afterAll(async () => {
  listener.close()
  await folder.remove()
})

async function send(
  superuser: Client,
  { content, name }: HostileFile,
  title: string,
): Promise<number> {
  const form = new FormData()
  form.append('title', title)
  form.append('video_file', new Blob([new Uint8Array(content)]), name)
  const reply = await postForm(superuser, form)
  if (reply.status !== 201) throw new Error(`${reply.status} ${await reply.text()}`)
  return ((await reply.json()) as AdminVideo).id
}

/** The middle of a picture as red, green and blue. */
async function colourOf(url: string): Promise<[number, number, number]> {
  const path = join(folder.path, 'poster.jpg')
  await writeFile(path, Buffer.from(await (await fetch(url)).arrayBuffer()))
  const args = ['-v', 'error', '-i', path, '-vf', 'scale=1:1:flags=area', '-f', 'rawvideo']
  const { stdout } = await exec('ffmpeg', [...args, '-pix_fmt', 'rgb24', '-'], {
    encoding: 'buffer',
  })
  return [stdout[0] ?? 0, stdout[1] ?? 0, stdout[2] ?? 0]
}

type Verdict =
  'refused' | 'refused without a good reason' | 'its own film' | 'the film of somebody else'

async function verdictOn(video: AdminVideo): Promise<Verdict> {
  if (video.processing_state === 'ready') {
    const [red, green, blue] = await colourOf(video.image_file ?? '')
    return green - Math.max(red, blue) < 100 ? 'its own film' : 'the film of somebody else'
  }
  const { code = '', message = '' } = video.source?.error ?? {}
  const isTold = /^(?!internal)[a-z_]+$/.test(code) && /^[A-Z].*\.$/s.test(message)
  const isDiscreet = !/ffmpeg|ffprobe|\/|Invalid|0x/.test(message) && !message.includes(SECRET)
  const isGone = Object.keys(video.converted_files).length === 0
  return isTold && isDiscreet && isGone ? 'refused' : 'refused without a good reason'
}

function allowed({ mustFail }: HostileFile): Verdict[] {
  return mustFail ? ['refused'] : ['refused', 'its own film']
}

interface Outcome {
  file: HostileFile
  video: AdminVideo
}

describe('hostile files, with all that the machine can do against them', () => {
  let app: TestApp
  let superuser: Client
  const outcomes = new Map<string, Outcome>()
  const fattest = new Map<string, ChildProcess>()

  beforeAll(async () => {
    app = await startApp({ env: { JOB_ATTEMPTS: '1', JOB_CONCURRENCY: '2' } })
    superuser = await app.superuser()
    const watching = new AbortController()
    const watched = watchChildren(watching.signal)
    const ids = new Map<string, { id: number; file: HostileFile }>()
    for (const name of hostileFilms) {
      const file = await hostileFilm(name, bait)
      ids.set(name, { id: await send(superuser, file, name), file })
    }
    await until(isOver, 'every hostile file has come to its end', LONGEST_MS)
    watching.abort()
    await watched
    for (const [name, { id, file }] of ids) {
      const video = await adminVideo(superuser, id)
      outcomes.set(name, { file, video })
    }
  }, 300_000)
  afterAll(() => app.stop())

  async function isOver(): Promise<boolean> {
    const unfinished = await app.app.db
      .selectFrom('sources')
      .select('id')
      .where('state', 'in', ['pending', 'processing'])
      .executeTakeFirst()
    return unfinished === undefined
  }

  async function watchChildren(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const child of await childrenOf(process.pid)) {
        const before = fattest.get(child.name)
        if ((before?.residentBytes ?? 0) < child.residentBytes) fattest.set(child.name, child)
      }
      await sleep(50)
    }
  }

  test.for(hostileFilms)('%s', async (name) => {
    const outcome = outcomes.get(name)
    if (outcome === undefined) throw new Error(`${name} was not sent`)
    expect(allowed(outcome.file)).toContain(await verdictOn(outcome.video))
  })

  test('nothing of anybody else’s was read, and nobody was called', async () => {
    expect(JSON.stringify(app.logs)).not.toContain(SECRET)
    expect(JSON.stringify([...outcomes.values()].map(({ video }) => video))).not.toContain(SECRET)
    for (const name of await filesIn(app.settings.media.root)) {
      const content = await readFile(join(app.settings.media.root, name))
      expect(content.includes(SECRET)).toBe(false)
    }
    expect(connections).toBe(0)
  })

  test('memory stayed in bounds, and nothing is left', async () => {
    expect([...fattest.keys()]).toEqual(expect.arrayContaining(['ffmpeg', 'ffprobe']))
    for (const child of fattest.values()) expect(child.residentBytes).toBeLessThan(2 * GIB)
    const left = await childrenOf(process.pid)
    expect(left.filter(({ name }) => /^(ff|bwrap)/.test(name))).toEqual([])
    expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
  })

  test('the next good film is processed', async () => {
    await allDone(app)
    const { processing_state } = await aReadyVideo(app, await app.superuser())
    expect(processing_state).toBe('ready')
  })
})

describe('files that want to read others, by the lists of formats and codecs alone', () => {
  let server: ServerProcess
  let superuser: Client
  beforeAll(async () => {
    // A PATH without bubblewrap.
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    for (const name of ['ffmpeg', 'ffprobe']) {
      await symlink(findProgram(name) ?? name, join(bin, name))
    }
    server = await startServer({
      env: {
        ...OPEN_ENV,
        ...{ TRANSCODE_LOCALLY: 'True', JOB_ATTEMPTS: '1', JOB_CONCURRENCY: '2', PATH: bin },
      },
    })
    superuser = new Client(server.url)
    await superuser.post('/users/login/', ADMIN)
  })
  afterAll(() => server.stop())

  test('none of them ends with what is not its own', { timeout: 120_000 }, async () => {
    expect(server.output()).toMatch(/without bubblewrap/)
    const ids = new Map<number, HostileFile>()
    for (const name of readers) {
      const file = await hostileFilm(name, bait)
      ids.set(await send(superuser, file, name), file)
    }
    const wrong: string[] = []
    for (const [id, file] of ids) {
      const video = await until(async () => {
        const now = await adminVideo(superuser, id)
        return ['ready', 'error'].includes(now.processing_state) && now
      }, 'it has come to its end')
      const verdict = await verdictOn(video)
      if (!allowed(file).includes(verdict)) wrong.push(`${video.title}: ${verdict}`)
    }
    expect(wrong).toEqual([])
    expect(connections).toBe(0)
    expect(server.output()).not.toContain(SECRET)
  })

  test('an ffmpeg without lists would have followed them', async () => {
    const bare = async (name: string): Promise<string> => {
      const path = join(folder.path, 'film.mp4')
      await writeFile(path, (await hostileFilm(name, bait)).content)
      const trusting = ['-safe', '0', '-protocol_whitelist', 'file,http,tcp']
      const args = ['-v', 'error', '-show_entries', 'stream=codec_name', ...trusting, path]
      const { stdout } = await exec('ffprobe', args).catch(() => ({ stdout: '' }))
      return stdout
    }
    expect(await bare('ffconcat')).toContain('codec_name=mpeg2video')
    const before = connections
    await bare('ffconcat over http')
    expect(connections).toBeGreaterThan(before)
  })
})
