import { readFile, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { BACKENDS } from '../harness/app.ts'
import { startCli, startServer } from '../harness/process.ts'
import { startServices } from '../harness/services.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { freePort } from '../harness/free-port.ts'
import { Client } from '../harness/client.ts'
import { film } from '../films.ts'
import { outputs, standIn } from './commands.ts'
import { SHORT, until, upload, adminVideo } from '../videos/library.ts'

const TUS = { 'tus-resumable': '1.0.0' }
const OCTETS = 'application/offset+octet-stream'

describe('`serve` that cannot work says so in one line', () => {
  async function refusal(env: Record<string, string>): Promise<string> {
    await using folder = await temporaryFolder()
    const port = String(await freePort())
    const { code, stdout, stderr } = await outputs(['serve'], {
      DATA_DIR: folder.path,
      PORT: port,
      ...env,
    })
    expect(code).toBe(1)
    expect(stdout).not.toContain('is ready')
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/^videoflix: /)
    expect(stderr).not.toMatch(/\n\s+at /)
    return stderr
  }

  test('the port is taken; the first superuser is made when it is not', async () => {
    await using folder = await temporaryFolder()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const env = { DATA_DIR: folder.path, PORT: String(port) }
    const told = await refusal(env)
    expect(told).toContain(`127.0.0.1:${port}`)
    expect(told).toContain('set PORT')
    other.close()
    await using server = await startServer({ env })
    await until(() => server.output().includes('is ready'), 'it greets')
    expect(server.output()).toMatch(/password: \S{22} /)
  })

  test('the folder of data cannot be made', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'a-file')
    await writeFile(file, '')
    expect(await refusal({ DATA_DIR: join(file, 'data') })).toContain('set DATA_DIR')
  })

  test('ffmpeg is missing', async () => {
    const told = await refusal({ FFMPEG_BIN: '/nonexistent/ffmpeg' })
    expect(told).toContain('/nonexistent/')
    expect(told).toContain('apt install ffmpeg')
  })

  test('ffmpeg is too old', async () => {
    await using folder = await temporaryFolder()
    const bin = await standIn(
      folder.path,
      'case "$*" in *-version*) echo "ffmpeg version 4.0 Copyright";; *) exec ffmpeg "$@";; esac',
    )
    const told = await refusal({ FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' })
    expect(told).toContain('4.0')
    expect(told).toContain('5.1 or newer')
  })

  test('ffmpeg has no libx264', async () => {
    await using folder = await temporaryFolder()
    const bin = await standIn(folder.path, 'ffmpeg "$@" | grep -v libx264')
    const told = await refusal({ FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' })
    expect(told).toContain('libx264')
    expect(told).toContain('Install')
  })

  test.each([
    ['PORT', 'http', 'write a whole number'],
    ['DEBUG', 'maybe', 'write True or False'],
    ['MAX_UPLOAD_BYTES', '10 GB', 'write a whole number'],
    ['JOB_LEASE', '0', 'write a number of seconds'],
    ['LOG_LEVEL', 'loud', 'write one of'],
  ])('%s=%s', async (name, value, remedy) => {
    const told = await refusal({ [name]: value })
    expect(told).toContain(name)
    expect(told).toContain(value)
    expect(told).toContain(remedy)
  })

  test('a database of another kind, without telling the password in its URL', async () => {
    const told = await refusal({ DATABASE_URL: 'mysql://x:geheim@host/films' })
    expect(told).toContain('DATABASE_URL')
    expect(told).toContain('postgresql://')
    expect(told).not.toContain('geheim')
  })

  test('the database cannot be reached', async () => {
    const port = await freePort()
    const told = await refusal({ DATABASE_URL: `postgresql://x:geheim@127.0.0.1:${port}/x` })
    expect(told).toContain('PostgreSQL')
    expect(told).not.toContain('geheim')
  })

  test('the first superuser’s password is too weak', async () => {
    const told = await refusal({
      DJANGO_SUPERUSER_EMAIL: 'root@example.com',
      DJANGO_SUPERUSER_PASSWORD: 'secret',
    })
    expect(told).toContain('DJANGO_SUPERUSER_PASSWORD')
  })

  test('an unsafe secret', async () => {
    expect(await refusal({ DEBUG: 'False', SECRET_KEY: 'change-me' })).toContain('openssl rand')
  })
})

test('the password of the first superuser is shown at the first start only', async () => {
  await using folder = await temporaryFolder()
  const env = { DATA_DIR: folder.path, PORT: String(await freePort()) }
  const first = await startServer({ env })
  await until(() => first.output().includes('is ready'), 'it greets')
  const [, email = '', password = ''] =
    /was made: (\S+)\s+password: (\S+)/.exec(first.output()) ?? []
  const client = new Client(first.url)
  expect((await client.post('/users/login/', { email, password })).status).toBe(200)
  first.kill('SIGTERM')
  expect(await first.exited).toEqual({ code: 0, signal: null })

  await using second = await startServer({ env })
  await until(() => second.output().includes('is ready'), 'it greets')
  expect(second.output()).not.toContain('password')
  const again = new Client(second.url)
  expect((await again.post('/users/login/', { email, password })).status).toBe(200)
})

test.each(BACKENDS)(
  'on SIGTERM a server on %s ends in order, streams, uploads and films or not',
  async (backend) => {
    await using folder = await temporaryFolder()
    await using services = await startServices(backend)
    const port = String(await freePort())
    const env = { DATA_DIR: folder.path, PORT: port, ...ADMIN, ...services.env }
    const server = await startServer({ env })
    const admin = await signedIn(server.url)
    const events = await admin.get('/admin/api/events/')
    expect(events.status).toBe(200)
    const { id } = await upload(admin, { film: 'long enough for keyframes' })
    await until(
      async () => (await adminVideo(admin, id)).processing_state === 'processing',
      'a film is being processed',
    )
    const created = await admin.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': '1000' },
    })
    const location = created.headers.get('location') ?? ''
    const piece = (client: Client, offset: number, body: NonNullable<RequestInit['body']>) =>
      client.request(location, {
        method: 'PATCH',
        duplex: 'half',
        body,
        headers: { ...TUS, 'upload-offset': String(offset), 'content-type': OCTETS },
      })
    const begun = new ReadableStream({ start: (body) => body.enqueue(new Uint8Array(300)) })
    const uploading = piece(admin, 0, begun).catch((error: unknown) => error)
    await using db = await openDatabase(databaseSettings(services.env, folder.path))
    const isBeingWritten = async (): Promise<boolean> => {
      const locks = await db.selectFrom('upload_locks').select('upload_id').execute()
      if (services.s3) return locks.length === 1
      const staged = join(folder.path, 'uploads', location.split('/').at(-1) ?? '')
      return (await readFile(staged)).length === 300
    }
    await until(isBeingWritten, 'bytes arrive')

    const endedAt = Date.now()
    server.kill('SIGTERM')
    expect(await server.exited).toEqual({ code: 0, signal: null })
    expect(Date.now() - endedAt).toBeLessThan(15_000)
    await uploading
    await events.text().catch(() => {})

    await using again = await startServer({ env })
    const back = await signedIn(again.url)
    const head = await back.request(location, { method: 'HEAD', headers: TUS })
    const told = Number(head.headers.get('upload-offset'))
    // What is on its way to a bucket nobody sees from outside.
    expect(told).toBeGreaterThanOrEqual(services.s3 ? 0 : 300)
    const rest = await piece(back, told, new Uint8Array(1000 - told))
    const uploaded = await adminVideo(back, Number(rest.headers.get('x-video-id')))
    expect(uploaded.source?.size_bytes).toBe(1000)
    await until(
      async () => (await adminVideo(back, id)).processing_state === 'ready',
      'the film is finished after the restart',
    )
  },
)

test('a worker of its own processes what a server takes in, on one SQLite file', async () => {
  await using folder = await temporaryFolder()
  const shared = { DATA_DIR: folder.path, JOB_SWEEP_INTERVAL: '0.2', ...ADMIN }
  const port = String(await freePort())
  await using server = await startServer({
    env: { ...shared, PORT: port, TRANSCODE_LOCALLY: 'False' },
  })
  const admin = await signedIn(server.url)
  const { id } = await upload(admin, { path: await film(SHORT) })
  const worker = startCli({ args: ['worker'], env: { ...shared, PORT: port } })
  try {
    const video = await until(async () => {
      const now = await adminVideo(admin, id)
      return now.processing_state === 'ready' && now
    }, 'the worker has processed it')
    expect((await fetch(video.video_file ?? '')).status).toBe(200)
    worker.kill('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
  } finally {
    await worker.stop()
  }
  // The premise: without a worker nobody processes.
  const left = await upload(admin, { path: await film(SHORT) })
  expect((await adminVideo(admin, left.id)).processing_state).toBe('pending')
})

test('a server without a worker needs no ffmpeg', async () => {
  await using server = await startServer({
    env: { TRANSCODE_LOCALLY: 'False', FFMPEG_BIN: '/nonexistent/ffmpeg' },
  })
  expect((await fetch(`${server.url}/health/`)).status).toBe(200)
})

const ADMIN = {
  DJANGO_SUPERUSER_EMAIL: 'admin@example.com',
  DJANGO_SUPERUSER_PASSWORD: 'correct horse battery',
}

async function signedIn(url: string): Promise<Client> {
  const client = new Client(url)
  const reply = await client.post('/users/login/', {
    email: ADMIN.DJANGO_SUPERUSER_EMAIL,
    password: ADMIN.DJANGO_SUPERUSER_PASSWORD,
  })
  expect(reply.status).toBe(200)
  return client
}
