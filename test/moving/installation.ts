import { randomBytes } from 'node:crypto'
import type { AdminVideo } from '@videoflix/contract'
import { outputs, type Outcome } from '../cli/commands.ts'
import { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

const SUPERUSER = { email: 'admin@example.com', password: 'correct horse battery' }
const TUS = { 'tus-resumable': '1.0.0' }

/** One machine with a server, whose operator changes the settings and starts it again. */
export interface Installation extends AsyncDisposable {
  dataDir: string
  /** Signed in as a superuser, at whatever server runs. */
  superuser: Client
  /** Ends the server (`kill -9`), and starts it with these settings besides. */
  restart(env?: Record<string, string>): Promise<void>
  /** What commands have as their settings. */
  env: Record<string, string>
  /** What the present server has printed. */
  output(): string
  run(args: string[], env?: Record<string, string>): Promise<Outcome>
}

export async function anInstallation(): Promise<Installation> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const port = String(await freePort())
  const env = {
    DATA_DIR: folder.path,
    PORT: port,
    DEBUG: 'True',
    MIN_FREE_DISK_BYTES: '0',
    JOB_CONCURRENCY: '1',
    SECRET_KEY: randomBytes(32).toString('base64url'),
    DJANGO_SUPERUSER_EMAIL: SUPERUSER.email,
    DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password,
    RATE_LIMIT_LOGIN: '100000/min',
  }
  let server: ServerProcess | null = null
  stack.defer(async () => await server?.stop())
  const superuser = new Client(`http://127.0.0.1:${port}`)

  async function restart(more: Record<string, string> = {}): Promise<void> {
    server?.kill('SIGKILL')
    await server?.exited
    server = await startServer({ env: { ...env, ...more } })
    const reply = await superuser.post('/users/login/', SUPERUSER)
    if (reply.status !== 200) throw new Error(`login: ${reply.status} ${await reply.text()}`)
  }

  await restart()
  const rest = stack.move()
  return {
    dataDir: folder.path,
    superuser,
    restart,
    env,
    output: () => server?.output() ?? '',
    run: (args, more) => outputs(args, { ...env, ...more }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** Announces an upload and sends its first half. Gives its path. */
export async function beginUpload(
  superuser: Client,
  title: string,
  bytes: Buffer,
): Promise<string> {
  const headers = {
    ...TUS,
    'upload-length': String(bytes.length),
    'upload-metadata': `title ${Buffer.from(title).toString('base64')}`,
  }
  const begun = await superuser.request('/admin/api/uploads/', { method: 'POST', headers })
  const location = begun.headers.get('location')
  if (location === null) throw new Error(`creation: ${begun.status} ${await begun.text()}`)
  const path = new URL(location, superuser.origin).pathname
  const half = bytes.subarray(0, bytes.length >> 1)
  const { status } = await patch(superuser, path, 0, half)
  if (status !== 204) throw new Error(`the first half: ${status}`)
  return path
}

/** Where an upload is to go on, or the status of a refusal as text. */
export async function offsetOf(superuser: Client, path: string): Promise<number | string> {
  const reply = await superuser.request(path, { method: 'HEAD', headers: TUS })
  if (reply.status !== 200) return `status ${reply.status}`
  return Number(reply.headers.get('upload-offset'))
}

/** Sends what is missing of an upload, and gives the id of its video. */
export async function endUpload(superuser: Client, path: string, bytes: Buffer): Promise<number> {
  const offset = await offsetOf(superuser, path)
  if (typeof offset === 'string') throw new Error(`${path}: ${offset}`)
  const reply = await patch(superuser, path, offset, bytes.subarray(offset))
  if (reply.status !== 204) throw new Error(`the rest: ${reply.status} ${await reply.text()}`)
  return Number(reply.headers.get('x-video-id'))
}

function patch(superuser: Client, path: string, offset: number, bytes: Buffer): Promise<Response> {
  return superuser.request(path, {
    method: 'PATCH',
    body: new Uint8Array(bytes),
    headers: {
      ...TUS,
      'upload-offset': String(offset),
      'content-type': 'application/offset+octet-stream',
    },
  })
}

/** A film as a viewer asks for it: where its bytes are, and some of them. */
export async function aRangeOf(
  superuser: Client,
  { id }: Pick<AdminVideo, 'id'>,
): Promise<{ url: string; status: number; type: string | null; bytes: Buffer }> {
  const told = await superuser.get(`/content/video-url/${id}/`)
  if (told.status !== 200) throw new Error(`video-url: ${told.status}`)
  const { url } = (await told.json()) as { url: string }
  const reply = await fetch(url, { headers: { range: 'bytes=100-199' } })
  const bytes = Buffer.from(await reply.arrayBuffer())
  return { url, status: reply.status, type: reply.headers.get('content-type'), bytes }
}
