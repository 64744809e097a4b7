import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import type { AdminVideo } from '@videoflix/contract'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { film } from '../films.ts'
import { Client } from '../harness/client.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { hasSmallDisks, smallDisk, type SmallDisk } from '../harness/small-disk.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { aForm, aTitle, filesIn } from '../videos/library.ts'
import { undecodable, unplayable } from './auditor.ts'
import { SUPERUSER } from './uploader.ts'

const MIB = 1024 * 1024
const A_WHILE = { timeout: 120_000, interval: 50 }
const TUS = { 'tus-resumable': '1.0.0' }
/** Of a short one, and of one whose encoding takes a while. */
const DURATIONS_MS = { 'h264 mp4': 2000, 'long enough for keyframes': 10_000 } as const
const LONG = 'x'.repeat(4000)
const FULL = /disk.*full|no room|free (some )?space/i

/** A film that is large for its length: with a box of bytes that players skip (ISO/IEC 14496-12 §8.1.2). */
async function largeFilm(name: keyof typeof DURATIONS_MS): Promise<Buffer> {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(8 * MIB, 0)
  header.write('free', 4)
  const bytes = await readFile(await film(name))
  return Buffer.concat([bytes, header, randomBytes(8 * MIB - 8)])
}

describe.skipIf(!hasSmallDisks)('DATA_DIR on a small disk', () => {
  let short: Buffer
  let long: Buffer
  /** What is sent. */
  let content: Buffer
  let disk: SmallDisk
  let server: ServerProcess
  let superuser: Client
  beforeAll(async () => {
    short = await largeFilm('h264 mp4')
    long = await largeFilm('long enough for keyframes')
  })
  beforeEach(async () => {
    content = short
    disk = await smallDisk(48 * MIB)
    await start()
  })
  afterEach(async () => {
    await server.stop()
    await disk[Symbol.asyncDispose]()
  })

  async function start(env: Record<string, string> = {}): Promise<void> {
    server = await startServer({
      env: {
        DATA_DIR: disk.path,
        DEBUG: 'True',
        LOG_LEVEL: 'info',
        MIN_FREE_DISK_BYTES: '0',
        JOB_LEASE: '3',
        JOB_SWEEP_INTERVAL: '1',
        RATE_LIMIT_LOGIN: '100000/min',
        RATE_LIMIT_REGISTER: '100000/min',
        DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
        DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
        ...env,
      },
    })
    superuser = new Client(server.url)
    expect((await superuser.post('/users/login/', SUPERUSER)).status).toBe(200)
  }

  async function create(size = content.length, title = aTitle()): Promise<Response> {
    const metadata = Object.entries({ title, filename: 'film.mp4', category: 'Drama' })
      .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
      .join(',')
    return await superuser.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': `${size}`, 'upload-metadata': metadata },
    })
  }

  async function begin(): Promise<string> {
    const reply = await create()
    expect(reply.status).toBe(201)
    return new URL(reply.headers.get('location') ?? '', server.url).pathname
  }

  const patch = (path: string, offset: number, end = content.length): Promise<Response> =>
    superuser.request(path, {
      method: 'PATCH',
      headers: {
        ...TUS,
        'upload-offset': `${offset}`,
        'content-type': 'application/offset+octet-stream',
      },
      body: new Uint8Array(content.subarray(offset, end)),
    })

  async function offsetOf(path: string): Promise<number> {
    const reply = await superuser.request(path, { method: 'HEAD', headers: TUS })
    expect(reply.status).toBe(200)
    return Number(reply.headers.get('upload-offset'))
  }

  async function videoOf(reply: Response): Promise<AdminVideo> {
    expect(reply.status).toBeLessThan(300)
    const id = reply.headers.get('x-video-id') ?? ((await reply.json()) as AdminVideo).id
    return await find(Number(id))
  }

  async function find(id: number): Promise<AdminVideo> {
    const reply = await superuser.get(`/admin/api/videos/${id}/`)
    expect(reply.status).toBe(200)
    return (await reply.json()) as AdminVideo
  }

  const form = async (): Promise<FormData> => {
    const body = await aForm({ title: aTitle() })
    body.append('video_file', new Blob([new Uint8Array(content)]), 'film.mp4')
    return body
  }

  /** Without telling beforehand how long it is. */
  async function sendForm(whenBegun: () => Promise<void> = async () => {}): Promise<Response> {
    const { body, headers } = new Response(await form())
    async function* slowly(): AsyncIterable<Uint8Array> {
      let sent = 0
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        if (sent === 0) await whenBegun()
        sent += chunk.length
        yield chunk
      }
    }
    return await superuser.request('/admin/api/videos/', {
      method: 'POST',
      headers: { 'content-type': headers.get('content-type') ?? '' },
      body: ReadableStream.from(slowly()),
      duplex: 'half',
    })
  }

  async function expectFull(reply: Response): Promise<void> {
    const { detail } = (await reply.json()) as { detail: string }
    expect([reply.status, detail]).toEqual([507, expect.stringMatching(FULL)])
  }

  /** Plays, is what was sent, and nothing else is on the disk. */
  async function expectReady(id: number): Promise<void> {
    await expect.poll(async () => (await find(id)).processing_state, A_WHILE).toBe('ready')
    const video = await find(id)
    const durationMs = DURATIONS_MS[content === long ? 'long enough for keyframes' : 'h264 mp4']
    expect(await undecodable(video, durationMs)).toEqual([])
    expect(await unplayable(superuser, video)).toEqual([])
    const [original = '', ...others] = await readdir(join(disk.path, 'originals'))
    expect(others).toEqual([])
    const stored = await readFile(join(disk.path, 'originals', original))
    expect(hashOf(stored)).toBe(hashOf(content))
    for (const folder of ['uploads', 'work', 'intermediates']) {
      await expect.poll(() => filesIn(join(disk.path, folder)), A_WHILE).toEqual([])
    }
  }

  test('tus: a disk that fills up in the middle keeps what it told, and goes on when there is room', async () => {
    const path = await begin()
    expect((await patch(path, 0, MIB)).headers.get('upload-offset')).toBe(`${MIB}`)
    await disk.fill(3 * MIB)
    await expectFull(await patch(path, MIB))
    await disk.fill()
    await expectFull(await patch(path, MIB))

    await disk.makeRoom()
    const kept = await offsetOf(path)
    expect(kept).toBeGreaterThan(MIB)
    expect(kept).toBeLessThan(content.length)
    const { id } = await videoOf(await patch(path, kept))
    await expectReady(id)
  })

  test('tus: what was told survives `kill -9` of the server on a full disk', async () => {
    const path = await begin()
    expect((await patch(path, 0, MIB)).status).toBe(204)
    await disk.fill(2 * MIB)
    await expectFull(await patch(path, MIB))
    server.kill('SIGKILL')
    await server.exited
    await disk.makeRoom()
    await start()
    const offset = await offsetOf(path)
    expect(offset).toBeGreaterThanOrEqual(MIB)
    const { id } = await videoOf(await patch(path, offset))
    await expectReady(id)
  })

  test('a form: a disk that fills up in the middle refuses it, and nothing of it is left', async () => {
    await expectFull(await sendForm(() => disk.fill(3 * MIB)))
    expect(await filesIn(join(disk.path, 'uploads'))).toEqual([])
    expect(await filesIn(join(disk.path, 'originals'))).toEqual([])
    await disk.makeRoom()
    const { id } = await videoOf(await sendForm())
    await expectReady(id)
  })

  test('what is announced to be larger than there is room for is refused at once', async () => {
    await disk.fill(6 * MIB)
    await expectFull(await create())
    const body = await form()
    await expectFull(await superuser.request('/admin/api/videos/', { method: 'POST', body }))
    expect(await filesIn(join(disk.path, 'uploads'))).toEqual([])
    expect((await create(MIB)).status).toBe(201)
  })

  test('below MIN_FREE_DISK_BYTES nothing new is begun, and what was begun goes on', async () => {
    const path = await begin()
    await server.stop()
    await start({ MIN_FREE_DISK_BYTES: `${(await disk.freeBytes()) - MIB}` })
    await expectFull(await create())
    const body = await form()
    await expectFull(await superuser.request('/admin/api/videos/', { method: 'POST', body }))
    expect((await create(MIB / 2)).status).toBe(201)
    const { id } = await videoOf(await patch(path, 0))
    await expect.poll(async () => (await find(id)).processing_state, A_WHILE).toBe('ready')
  })

  /** Only if the disk was full for longer than there were attempts. */
  async function tryAgainIfNeeded(id: number): Promise<void> {
    const state = async (): Promise<string> => (await find(id)).processing_state
    await expect.poll(state, A_WHILE).toMatch(/^(ready|error)$/)
    const { processing_error: why } = await find(id)
    if (why === null) return
    if (!FULL.test(why)) throw new Error(why)
    const { status } = await superuser.post(`/admin/api/videos/${id}/retry/`)
    if (status !== 200) throw new Error(`retry: ${status}`)
  }

  /** SQLite has room left in its own files first. */
  async function untilRefused(write: () => Promise<number>): Promise<void> {
    for (let round = 1; round <= 5000; round += 1) {
      const status = await write()
      if (status === 507) return
      expect(status).toBe(200)
      if (round % 20 === 0) await disk.fill()
    }
    throw new Error('the database has still room')
  }

  test('a disk that fills up while a film is encoded: the step says so, and the film is finished when there is room', async () => {
    content = long
    // Where it can be told.
    await using elsewhere = await temporaryFolder()
    await server.stop()
    await start({ DATABASE_URL: `sqlite://${elsewhere.path}/videoflix.sqlite3` })
    const path = await begin()
    const { id } = await videoOf(await patch(path, 0))
    const codes = async (): Promise<string[]> =>
      ((await find(id)).source?.steps ?? []).flatMap(({ error }) => (error ? [error.code] : []))
    await expect
      .poll(async () => (await find(id)).source?.progress?.step, A_WHILE)
      .toMatch(/encode|copy/)
    await expect
      .poll(async () => {
        // What a failed step removes is taken too.
        await disk.fill()
        return await codes()
      }, A_WHILE)
      .toContain('disk_full')
    const { source } = await find(id)
    const told = source?.steps.find(({ error }) => error?.code === 'disk_full')?.error
    expect(told?.message).toMatch(FULL)
    expect(server.hasExited()).toBe(false)

    await disk.makeRoom()
    await tryAgainIfNeeded(id)
    await expectReady(id)
  })

  test('a disk that fills up while a film is encoded, with the database on it: the film is finished when there is room', async () => {
    content = long
    const { id } = await videoOf(await patch(await begin(), 0))
    const isEncoding = async (): Promise<boolean> =>
      (await filesIn(join(disk.path, 'work'))).some((name) => name.endsWith('.mp4'))
    await expect.poll(isEncoding, { ...A_WHILE, interval: 5 }).toBe(true)
    // As long as a lease, and attempts, take to be over.
    for (const deadline = Date.now() + 5000; Date.now() < deadline; await pause(20)) {
      await disk.fill()
    }
    expect(server.hasExited()).toBe(false)
    await disk.makeRoom()
    await tryAgainIfNeeded(id)
    await expectReady(id)
  })

  test('the database on a full disk: no request fails for an unknown reason, and all works again when there is room', async () => {
    const { id } = await videoOf(await patch(await begin(), 0))
    await expectReady(id)
    await disk.fill()
    const seen: Record<string, number> = {}
    const ask = async (name: string, request: Promise<Response>): Promise<number> => {
      const { status } = await request
      seen[`${name}: ${status}`] = (seen[`${name}: ${status}`] ?? 0) + 1
      return status
    }
    const describeIt = (): Promise<number> =>
      ask('PATCH', superuser.patch(`/admin/api/videos/${id}/`, { description: LONG }))
    await untilRefused(describeIt)
    for (let round = 1; round <= 3; round += 1) {
      await disk.fill()
      const person = { email: `${round}@example.com`, password: 'a password of a viewer' }
      await ask('login', new Client(server.url).post('/users/login/', SUPERUSER))
      await ask(
        'register',
        superuser.post('/users/register/', { ...person, confirm_password: person.password }),
      )
      await ask('refresh', superuser.post('/users/refresh/'))
      await ask('favourite', superuser.post('/content/add-favorite/', { video_id: id }))
      await ask('list', superuser.get('/content/'))
      await ask('playback', superuser.get(`/content/${id}/playback/`))
      await ask('tus', create(MIB))
      await ask(
        'form',
        superuser.request('/admin/api/videos/', { method: 'POST', body: await form() }),
      )
      await ask('delete', superuser.delete('/admin/api/videos/999999/'))
      await ask('health', superuser.get('/health/'))
      await describeIt()
    }
    process.stdout.write(`on a full disk: ${JSON.stringify(seen)}\n`)
    expect(Object.keys(seen).filter((each) => /: 5(?!03|07)/.test(each))).toEqual([])
    expect(Object.keys(seen)).toEqual(expect.arrayContaining(['list: 200', 'playback: 200']))
    expect(server.hasExited()).toBe(false)

    await disk.makeRoom()
    await expect.poll(describeIt, A_WHILE).toBe(200)
    expect((await superuser.post('/users/login/', SUPERUSER)).status).toBe(200)
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    for (const folder of ['originals', 'media']) {
      await expect.poll(() => filesIn(join(disk.path, folder)), A_WHILE).toEqual([])
    }
    server.kill('SIGTERM')
    expect(await server.exited).toMatchObject({ code: 0 })
    expect(whole(disk.path)).toEqual(['ok'])
  })

  test('a database that is killed on a full disk is whole', async () => {
    const { id } = await videoOf(await patch(await begin(), 0))
    await disk.fill()
    const describeIt = async (): Promise<number> =>
      (await superuser.patch(`/admin/api/videos/${id}/`, { description: LONG })).status
    await untilRefused(describeIt)
    const writing = [1, 2, 3].map(() => describeIt().catch(() => 0))
    await pause(5)
    server.kill('SIGKILL')
    await Promise.all([server.exited, ...writing])
    expect(whole(disk.path)).toEqual(['ok'])
    await disk.makeRoom()
    await start()
    await expectReady(id)
  })
})

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** What SQLite says of all databases in a folder. */
function whole(folder: string): unknown[] {
  const file = new Sqlite(join(folder, 'videoflix.sqlite3'))
  try {
    return [file.pragma('integrity_check', { simple: true })]
  } finally {
    file.close()
  }
}
