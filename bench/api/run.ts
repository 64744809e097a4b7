import { spawn, type ChildProcess } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import autocannon from 'autocannon'
import { openDatabase } from '../../server/src/db/database.ts'
import { asJson } from '../../server/src/db/tables.ts'
import { Client } from '../../test/harness/client.ts'
import { freePort } from '../../test/harness/free-port.ts'
import { startServer } from '../../test/harness/process.ts'
import { temporaryFolder } from '../../test/harness/temporary-folder.ts'

/** Requests per second of `GET /content/` with 100 videos, beside a bare Fastify server sending the same bytes. */

const VIDEOS = 100
const ROUNDS = 3
const SECONDS = 3
const CONNECTIONS = 10
const ADMIN = { email: 'bench@example.com', password: 'bench-password-1' }

await using folder = await temporaryFolder()
await using server = await startServer({
  env: {
    DATA_DIR: folder.path,
    DJANGO_SUPERUSER_EMAIL: ADMIN.email,
    DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
    LOG_LEVEL: 'warn',
  },
})
await seed(join(folder.path, 'videoflix.sqlite3'))
const idleMb = await residentMb(server.pid)

const client = new Client(server.url)
await client.post('/users/login/', ADMIN)
const cookies = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
// The list is checked for changes made by others every 5 s: wait for the seeded one.
await untilListed()
const reply = await client.get('/content/', { headers: { 'accept-encoding': 'identity' } })
const plain = Buffer.from(await reply.arrayBuffer())
const gzipped = await rawGzip()
await writeFile(join(folder.path, 'body.json'), plain)
await writeFile(join(folder.path, 'body.json.gz'), gzipped)

const barePort = await freePort()
const bare = await startBare(barePort)
try {
  const rows = []
  for (const encoding of ['gzip', 'identity']) {
    const ours: Load[] = []
    const limit: Load[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      ours.push(await load(server.url, server.pid, encoding))
      limit.push(await load(`http://127.0.0.1:${barePort}`, bare.pid ?? 0, encoding))
    }
    const ratio = (of: (load: Load) => number) =>
      Number(median(ours.map((load, at) => of(load) / of(limit[at] ?? load))).toFixed(2))
    rows.push({
      'accept-encoding': encoding,
      bytes: encoding === 'gzip' ? gzipped.length : plain.length,
      'ours, requests/s': Math.round(median(ours.map((load) => load.perSecond))),
      'bare, requests/s': Math.round(median(limit.map((load) => load.perSecond))),
      'ratio of requests/s': ratio((load) => load.perSecond),
      'ours, CPU µs': Math.round(median(ours.map((load) => load.cpuUs))),
      'bare, CPU µs': Math.round(median(limit.map((load) => load.cpuUs))),
      'ratio of 1/CPU': Number((1 / ratio((load) => load.cpuUs)).toFixed(2)),
    })
  }
  console.table(rows)
  console.log(`resident after start, idle: ${idleMb.toFixed(0)} MB (target: under 150)`)
  console.log(`resident after the load:    ${(await residentMb(server.pid)).toFixed(0)} MB`)
  console.log('target: ratio of at least 0.75')
} finally {
  bare.kill()
}

interface Load {
  perSecond: number
  /** Of the server's process, for one request. The loader shares the machine; this does not see it. */
  cpuUs: number
}

async function load(origin: string, pid: number, encoding: string): Promise<Load> {
  const before = await cpuSeconds(pid)
  const result = await autocannon({
    url: `${origin}/content/`,
    connections: CONNECTIONS,
    duration: SECONDS,
    headers: { cookie: cookies, 'accept-encoding': encoding },
  })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} bad replies`)
  const cpuUs = (((await cpuSeconds(pid)) - before) / result.requests.total) * 1e6
  return { perSecond: result.requests.average, cpuUs }
}

/** proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms. */
async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function seed(file: string): Promise<void> {
  const db = await openDatabase({ kind: 'sqlite', file })
  const now = new Date()
  for (let number = 1; number <= VIDEOS; number += 1) {
    const { id } = await db
      .insertInto('videos')
      .values({
        title: `Film number ${number}`,
        description: 'A description of usual length, which says what the film is about. '.repeat(3),
        category: 'Animation',
        created_at: new Date(now.getTime() - number * 1000),
        updated_at: now,
        published_source_id: null,
        source_id: null,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { id: sourceId } = await db
      .insertInto('sources')
      .values({
        video_id: id,
        upload_id: `bench-${number}`,
        object_key: `bench-${number}`,
        file_name: 'film.mp4',
        size_bytes: 1,
        sha256: null,
        state: 'ready',
        error_code: null,
        error_message: null,
        media_info: asJson({ durationMs: 60_000, video: {} }),
        poster_key: `videos/${id}/1-1/poster.jpg`,
        created_at: now,
        updated_at: now,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await db
      .insertInto('renditions')
      .values(
        [120, 360, 720, 1080].map((height) => ({
          source_id: sourceId,
          quality: `${height}p`,
          object_key: `videos/${id}/1-1/${height}p.mp4`,
          width: Math.round((height * 16) / 9),
          height,
          size_bytes: 1,
          bitrate_bps: 1,
          codecs: 'avc1.640028',
        })),
      )
      .execute()
    await db
      .updateTable('videos')
      .set({ source_id: sourceId, published_source_id: sourceId })
      .where('id', '=', id)
      .execute()
  }
  await db.destroy()
}

async function untilListed(): Promise<void> {
  for (;;) {
    const list = (await (await client.get('/content/')).json()) as unknown[]
    if (list.length === VIDEOS) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** The compressed bytes as they are on the wire; `fetch` would inflate them. */
async function rawGzip(): Promise<Buffer> {
  const { request } = await import('node:http')
  return await new Promise((resolve, reject) => {
    const asked = request(
      `${server.url}/content/`,
      { headers: { cookie: cookies, 'accept-encoding': 'gzip' } },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => {
          const body = Buffer.concat(chunks)
          if (!gunzipSync(body).equals(plain)) reject(new Error('the two encodings differ'))
          else resolve(body)
        })
      },
    )
    asked.on('error', reject).end()
  })
}

async function startBare(port: number): Promise<ChildProcess> {
  const token = client.cookies.get('vf_access') ?? ''
  const files = [join(folder.path, 'body.json.gz'), join(folder.path, 'body.json')]
  const script = join(import.meta.dirname, 'bare.ts')
  const child = spawn(process.execPath, [script, String(port), token, ...files], {
    stdio: 'inherit',
  })
  for (;;) {
    const isUp = await fetch(`http://127.0.0.1:${port}/content/`).catch(() => null)
    if (isUp) return child
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}

function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}
