import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import type { Client } from '../harness/client.ts'
import { has } from '../harness/programs.ts'
import { aMediaTask, aQuickTask } from '../harness/workshop.ts'
import { openAdminPage } from './admin-page.ts'

describe.each(BACKENDS)('the board of tasks, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    app = await startApp({ backend })
    superuser = await app.superuser()
    await app.worker.drain()
  })
  afterAll(() => app.stop())
  const queues = async (query: string) => {
    const reply = await superuser.get(`/admin/queues/api/queues?${query}`)
    expect(reply.status).toBe(200)
    const body = (await reply.json()) as { queues: Queue[] }
    return new Map(body.queues.map((queue) => [queue.name, queue]))
  }
  interface Queue {
    name: string
    counts: Record<string, number>
    jobs: { id: string; name: string; isFailed: boolean; failedReason: string }[]
    readOnlyMode: boolean
  }

  test('shows each task in the state in which the database has it', async () => {
    const { db } = app.app
    const now = Date.now()
    const later = new Date(now + 600_000)
    const waiting = await aMediaTask(db, { dueAt: new Date(now - 1000) })
    const delayed = await aMediaTask(db, { dueAt: later })
    const active = await aMediaTask(db)
    const lost = await aMediaTask(db)
    const failed = await aQuickTask(db)
    const done = await aQuickTask(db)
    const held = { lease_owner: 'somebody', lease_until: later }
    await db.updateTable('tasks').set(held).where('id', '=', active).execute()
    const over = { ...held, lease_until: new Date(now - 60_000) }
    await db.updateTable('tasks').set(over).where('id', '=', lost).execute()
    const end = { finished_at: new Date() }
    const reason = { outcome: 'failed', last_error: 'It is no film.' } as const
    await db
      .updateTable('tasks')
      .set({ ...end, ...reason })
      .where('id', '=', failed)
      .execute()
    await db
      .updateTable('tasks')
      .set({ ...end, outcome: 'done' })
      .where('id', '=', done)
      .execute()

    const found = await queues('activeQueue=media&page=1&jobsPerPage=10')
    expect([...found.keys()]).toEqual(['media', 'files', 'quick', 'webhooks'])
    const media = found.get('media')
    expect(media).toMatchObject({
      readOnlyMode: true,
      counts: { active: 1, waiting: 2, delayed: 1, failed: 0, completed: 0 },
    })
    expect(new Set(media?.jobs.map(({ id }) => Number(id)))).toEqual(
      new Set([waiting, delayed, active, lost]),
    )
    const quick = (await queues('activeQueue=quick&status=failed&page=1&jobsPerPage=10')).get(
      'quick',
    )
    expect(quick?.jobs).toMatchObject([
      { id: String(failed), isFailed: true, failedReason: 'It is no film.' },
    ])
    expect(quick?.counts).toMatchObject({ failed: 1 })

    const one = await superuser.get(`/admin/queues/api/queues/media/${delayed}`)
    expect(await one.json()).toMatchObject({ status: 'delayed', job: { id: String(delayed) } })
    expect((await superuser.get(`/admin/queues/api/queues/quick/${delayed}`)).status).toBe(404)
    expect((await superuser.get('/admin/queues/api/queues/media/x')).status).toBe(404)
    expect((await superuser.get('/admin/queues/api/nothing/of/this')).status).toBe(404)
  })

  test('is where the old job list leads to, if there is a Redis as there was then', async () => {
    const reply = await app.client().get('/django-rq/')
    const isBoard = backend === 'postgres' && has('redis')
    expect(reply.headers.get('location')).toBe(isBoard ? '/admin/queues/' : '/admin/')
  })

  test('nothing can be changed there', async () => {
    for (const path of ['media/pause', 'media/1/retry', 'media/1/clean', 'pause', 'media/empty']) {
      const reply = await superuser.request(`/admin/queues/api/queues/${path}`, { method: 'PUT' })
      expect([path, reply.status]).toEqual([path, 405])
    }
  })

  test('its page loads from this server alone, and is for superusers', async () => {
    const reply = await superuser.get('/admin/queues/')
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-security-policy')).toContain("script-src 'self';")
    const html = await reply.text()
    expect(html).toContain('/assets/task-board.js')
    expect(html).not.toMatch(/https?:\/\/|<%/)
    const files = [...html.matchAll(/(?:src|href)="(static\/[^"]+)"/g)].map(([, file]) => file)
    expect(files.length).toBeGreaterThan(3)
    for (const file of files) {
      const part = await superuser.get(`/admin/queues/${file}`)
      expect([file, part.status]).toEqual([file, 200])
      await part.body?.cancel()
    }
    expect((await superuser.get('/admin/queues/queue/media')).status).toBe(200)
    expect((await superuser.get('/admin/queues/static/../../package.json')).status).not.toBe(500)
    const viewer = await app.viewer()
    for (const path of ['', 'api/queues', 'static/favicon.ico']) {
      expect((await viewer.get(`/admin/queues/${path}`)).status).toBe(403)
      expect((await app.client().get(`/admin/queues/${path}`)).status).toBe(401)
    }
  })

  test.skipIf(!has('chromium'))('is drawn by a browser without a complaint', async () => {
    await using browser = await startChromium()
    const { page, problems } = await openAdminPage(browser, app)
    await page.goto(`${app.origin}/admin/queues/`)
    await page.getByText('webhooks').first().waitFor()
    await page.goto(`${app.origin}/admin/queues/queue/quick?status=failed`)
    await page.getByText('It is no film.').first().waitFor()
    expect(problems).toEqual([])
  })
})
