import { openAsBlob } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import type { AdminVideo } from '@videoflix/contract'
import { Client } from '../../test/harness/client.ts'
import { startServer } from '../../test/harness/process.ts'
import { animated, looped } from './films.ts'

/**
 * A server with its worker while it processes films: `node serving.ts`. How soon the first rendition plays after the
 * last uploaded byte, to when all are there; and what browsing costs meanwhile, to an idle server: p99 of
 * `GET /content/` at a fixed rate.
 */

const BROWSING_RATE = 100
const SECONDS = 8
const ADMIN = { email: 'bench@example.com', password: 'bench-password-1' }

await using server = await startServer({
  env: {
    DJANGO_SUPERUSER_EMAIL: ADMIN.email,
    DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
    LOG_LEVEL: 'silent',
  },
})
const client = new Client(server.url)
await client.post('/users/login/', ADMIN)

await browse() // warms up
const idle = await browse()
const rows = [
  await processed('30 s, copied', animated()),
  await processed('4 min, copied', looped(7)),
]
console.table(rows.map(({ firstShare, ...row }) => ({ ...row, 'first to all': firstShare })))
const busy = await whileProcessing(looped(7), browse)
const ratio = Number((busy.latency.p99 / Math.max(1, idle.latency.p99)).toFixed(2))
console.table({
  idle: { 'p50, ms': idle.latency.p50, 'p99, ms': idle.latency.p99, errors: idle.errors },
  encoding: { 'p50, ms': busy.latency.p50, 'p99, ms': busy.latency.p99, errors: busy.errors },
})
const verdicts = [
  [ratio <= 2, `p99 while encoding, to idle: ${ratio} (at most 2)`],
  ...rows.map((row) => [
    row.firstShare <= 0.1,
    `${row.film}: first to all ${row.firstShare} (at most 0.1)`,
  ]),
] as const
for (const [holds, text] of verdicts) console.log(`${holds ? 'holds' : 'FAILS'}  ${text}`)
process.exitCode = verdicts.every(([holds]) => holds) ? 0 : 1

interface Row {
  film: string
  'first plays after, s': number
  'all after, s': number
  firstShare: number
}

async function processed(film: string, path: string): Promise<Row> {
  const id = await upload(film, path)
  const began = performance.now()
  const seconds = (): number => Number(((performance.now() - began) / 1000).toFixed(2))
  let first: number | null = null
  for (;;) {
    const video = await adminVideo(id)
    if (first === null && Object.keys(video.converted_files).length > 0) first = seconds()
    if (video.processing_state === 'error') throw new Error(video.processing_error ?? 'error')
    if (video.processing_state === 'ready') break
    await sleep(50)
  }
  const all = seconds()
  const firstShare = Number(((first ?? all) / all).toFixed(3))
  return { film, 'first plays after, s': first ?? all, 'all after, s': all, firstShare }
}

async function whileProcessing<T>(path: string, work: () => Promise<T>): Promise<T> {
  const id = await upload('busy', path)
  while ((await adminVideo(id)).source?.progress?.step !== 'encode') await sleep(50)
  const result = await work()
  await client.delete(`/admin/api/videos/${id}/`)
  return result
}

async function upload(title: string, path: string): Promise<number> {
  const body = new FormData()
  body.append('title', title)
  body.append('video_file', await openAsBlob(path), 'film.mp4')
  const reply = await client.request('/admin/api/videos/', { method: 'POST', body })
  if (reply.status !== 201) throw new Error(`${reply.status} ${await reply.text()}`)
  return ((await reply.json()) as AdminVideo).id
}

async function adminVideo(id: number): Promise<AdminVideo> {
  const reply = await client.get(`/admin/api/videos/${id}/`)
  if (reply.status === 401) {
    await client.post('/users/refresh/')
    return await adminVideo(id)
  }
  return (await reply.json()) as AdminVideo
}

async function browse(): Promise<autocannon.Result> {
  const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  return await autocannon({
    url: `${server.url}/content/`,
    connections: 10,
    overallRate: BROWSING_RATE,
    duration: SECONDS,
    headers: { cookie },
    // A thread of its own: else the loader would be measured as well.
    workers: 1,
  })
}
