import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as queue from '../../server/src/tasks/queue.ts'
import { VERSION } from '../../server/src/version.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { aReadyVideo } from '../videos/library.ts'
import { scrape, valueOf } from './scrape.ts'

const REQUESTS = 'videoflix_http_request_duration_seconds'

describe.each(BACKENDS)('metrics, on %s:', (backend) => {
  let app: TestApp
  beforeAll(async () => (app = await startApp({ backend })))
  afterAll(() => app.stop())

  test('requests are counted by the pattern of their route, and never by what was asked for', async () => {
    const viewer = await app.viewer()
    const before = await scrape(viewer)
    await viewer.get('/content/?q=hidden-query')
    await viewer.get('/favorites/424242/')
    await app.client().get('/admin/api/videos/434343/')
    await viewer.get('/hidden/path/454545')
    await viewer.request('/hidden/path', { method: 'PROPFIND' })
    const after = await scrape(viewer)

    const counted = after.filter(({ name }) => name === `${REQUESTS}_count`)
    const seen = counted
      .map(({ labels, value }) => ({
        what: `${labels['method']} ${labels['route']} ${labels['status']}`,
        times: value - (valueOf(before, `${REQUESTS}_count`, labels) ?? 0),
      }))
      .filter(({ times }) => times > 0)
    expect(seen).toEqual(
      expect.arrayContaining([
        { what: 'GET /content/ 2xx', times: 1 },
        { what: 'GET /admin/api/videos/:id/ 4xx', times: 1 },
        { what: 'GET (none) 4xx', times: expect.any(Number) },
        { what: 'other (none) 4xx', times: 1 },
      ]),
    )
    const text = JSON.stringify(after)
    for (const hidden of ['hidden', '424242', '434343', '454545'])
      expect(text).not.toContain(hidden)
  })

  test('a reply counts with the time that it took', async () => {
    const labels = { method: 'GET', route: '/health/live', status: '2xx' }
    const client = app.client()
    await client.get('/health/live')
    const samples = await scrape(client)
    const count = valueOf(samples, `${REQUESTS}_count`, labels) ?? 0
    expect(count).toBeGreaterThan(0)
    expect(valueOf(samples, `${REQUESTS}_bucket`, { ...labels, le: '+Inf' })).toBe(count)
    expect(valueOf(samples, `${REQUESTS}_sum`, labels)).toBeGreaterThan(0)
  })

  test('the process tells of its event loop, memory, version and links', async () => {
    const samples = await scrape(app.client())
    expect(valueOf(samples, 'nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0)
    expect(valueOf(samples, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(valueOf(samples, 'videoflix_build_info', { version: VERSION })).toBe(1)
    expect(valueOf(samples, 'videoflix_database_up')).toBe(1)
    const isPostgres = backend === 'postgres'
    expect(valueOf(samples, 'videoflix_redis_up')).toBe(isPostgres ? 1 : undefined)
    const waiting = valueOf(samples, 'videoflix_database_connections', { state: 'waiting' })
    expect(waiting).toBe(isPostgres ? 0 : undefined)
    const open = samples.filter(({ name }) => name === 'videoflix_database_connections')
    expect(open.reduce((sum, { value }) => sum + value, 0) > 0).toBe(isPostgres)
  })
})

test.each(BACKENDS)('a film leaves its marks, on %s', async (backend) => {
  await using app = await startApp({ backend })
  const superuser = await app.superuser()
  await aReadyVideo(app, superuser, { film: 'long enough for keyframes' })
  const samples = await scrape(superuser)

  const done = (kind: string) =>
    valueOf(samples, 'videoflix_task_runs_total', { kind, outcome: 'done' })
  expect(done('process_source')).toBe(1)
  expect(done('encode_part')).toBeGreaterThan(0)
  expect(valueOf(samples, 'videoflix_task_runs_in_progress', { kind: 'encode_part' })).toBe(0)
  const encoded = { step: 'encode' }
  const seconds = valueOf(samples, 'videoflix_step_film_seconds_total', encoded) ?? 0
  const work = valueOf(samples, 'videoflix_step_work_seconds_total', encoded) ?? 0
  const runs = valueOf(samples, 'videoflix_step_speed_ratio_count', encoded) ?? 0
  const { db } = app.app
  const source = await db.selectFrom('sources').selectAll().executeTakeFirstOrThrow()
  expect(runs).toBeGreaterThan(0)
  expect(seconds).toBeCloseTo(((source.media_info?.durationMs ?? 0) / 1000) * runs, 1)
  expect(work).toBeGreaterThan(0)

  const rungs = await db.selectFrom('renditions').select('size_bytes').execute()
  const media = rungs.reduce((sum, { size_bytes: bytes }) => sum + bytes, 0)
  expect(media).toBeGreaterThan(0)
  expect(valueOf(samples, 'videoflix_storage_bytes', { store: 'media' })).toBe(media)
  const stored = valueOf(samples, 'videoflix_storage_bytes', { store: 'originals' })
  expect(stored).toBe(source.size_bytes)
})

test.each(BACKENDS)('tasks are counted by kind and state, on %s', async (backend) => {
  await using app = await startApp({ backend })
  await app.worker.drain()
  const { db } = app.app
  const now = app.clock.now()
  const inMs = (ms: number) => new Date(now.getTime() + ms)
  const mail = { template: 'confirm', userId: 1 } as const
  const add = (dueAt: Date, priority = 0) =>
    db.transaction().execute(async (trx) => {
      return await queue.enqueue(trx, 'send_mail', mail, { subject: 'x', now, dueAt, priority })
    })
  await add(inMs(600_000))
  await add(inMs(700_000))
  const lease = { owner: 'somebody', now, until: inMs(300_000) }
  await add(inMs(-10_000), -2)
  await queue.claim(db, 'quick', lease)
  await add(inMs(-20_000), -1)
  const failing = await queue.claim(db, 'quick', lease)
  if (!failing) throw new Error('nothing was claimed')
  await db.transaction().execute(async (trx) => {
    const held = { id: failing.id, leaseToken: failing.lease_token }
    await queue.finish(trx, held, { outcome: 'failed', now, lastError: 'no' })
  })
  await add(inMs(-90_000))

  const samples = await scrape(app.client())
  const count = (state: string) => valueOf(samples, 'videoflix_tasks', { kind: 'send_mail', state })
  expect(['waiting', 'running', 'failed', 'due'].map(count)).toEqual([2, 1, 1, 1])
  const none = { kind: 'encode_part', state: 'due' }
  expect(valueOf(samples, 'videoflix_tasks', none)).toBe(0)
  const age = (lane: string) => valueOf(samples, 'videoflix_queue_age_seconds', { lane })
  expect(age('quick')).toBeGreaterThanOrEqual(90)
  expect(age('quick')).toBeLessThan(600)
  expect(age('media')).toBe(0)
})
