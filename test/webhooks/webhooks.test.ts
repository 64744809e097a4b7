import type { WebhookDelivery, WebhookDeliveryDetail } from '@videoflix/contract'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { transact } from '../../server/src/db/database.ts'
import { announce, eventRecorder } from '../../server/src/webhooks/outbox.ts'
import { signIn, OPEN_ENV, ADMIN } from '../attacks/servers.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { barrier } from '../harness/barrier.ts'
import type { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startServer } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { startReceiver, status, type Receiver } from './receiver.ts'

const SECRET = `whsec_${Buffer.from('a secret of some thirty bytes 123').toString('base64')}`
const [SECOND, HOUR] = [1000, 3_600_000]
const SOON = { timeout: 20_000, interval: 10 }
const PATH = '/admin/api/webhooks/deliveries/'
const PASSWORD = 'p@ss of the receiver'

interface Page {
  count: number
  next: string | null
  results: WebhookDelivery[]
}

const listDeliveries = async (admin: Client, query = ''): Promise<Page> =>
  (await (await admin.get(`${PATH}?${query}`)).json()) as Page

/** Sends a `webhook.test`; gives its deliveries. */
async function sendTest(admin: Client): Promise<WebhookDelivery[]> {
  const reply = await admin.post('/admin/api/webhooks/test/')
  if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
  return ((await reply.json()) as { results: WebhookDelivery[] }).results
}

async function aVideo({ app }: TestApp, title: string): Promise<number> {
  const now = new Date()
  const { id } = await app.db
    .insertInto('videos')
    .values({
      title,
      description: '',
      category: 'Other',
      created_at: now,
      updated_at: now,
      published_source_id: null,
      source_id: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

describe.each(BACKENDS)('webhooks, on %s', (backend) => {
  let receiver: Receiver
  let app: TestApp
  let admin: Client
  beforeAll(async () => {
    receiver = await startReceiver()
    const { host } = new URL(receiver.origin)
    app = await startApp({
      backend,
      env: {
        WEBHOOK_URLS: `http://films:${encodeURIComponent(PASSWORD)}@${host}/hook?of=films`,
        WEBHOOK_SECRET: SECRET,
        WEBHOOK_TIMEOUT: '1',
      },
    })
  })
  afterAll(async () => {
    await app.stop()
    await receiver.stop()
  })
  beforeEach(async () => {
    await app.worker.idle()
    await app.app.db.deleteFrom('tasks').where('kind', '=', 'send_webhook').execute()
    await app.app.db.deleteFrom('webhook_deliveries').execute()
    receiver.received = []
    receiver.answer = status(204)
    // Back to the time that the library knows.
    app.clock.advance(Date.now() - app.clock.now().getTime())
    admin = await app.superuser()
  })

  const get = async (id: string): Promise<WebhookDeliveryDetail> =>
    (await (await admin.get(`${PATH}${id}/`)).json()) as WebhookDeliveryDetail

  /** Sends a `webhook.test`, waits for its first attempt, and gives what became of it. */
  const aTest = async (): Promise<WebhookDeliveryDetail> => {
    const [sent] = await sendTest(admin)
    await app.worker.idle()
    return await get(sent?.id ?? '')
  }

  /** How long until the next attempt. */
  const waitMs = async (id: string): Promise<number> => {
    const task = await app.app.db
      .selectFrom('tasks')
      .select('due_at')
      .where('subject', '=', `webhook:${id}`)
      .where('finished_at', 'is', null)
      .executeTakeFirstOrThrow()
    return task.due_at.getTime() - app.clock.now().getTime()
  }

  /** The test itself takes a moment, which is part of the wait. */
  const expectWait = async (id: string, seconds: number): Promise<void> => {
    const wait = await waitMs(id)
    expect(wait).toBeLessThanOrEqual(seconds * SECOND)
    expect(wait).toBeGreaterThan((seconds - 3) * SECOND)
  }

  const goOnAfter = async (ms: number): Promise<void> => {
    app.clock.advance(ms)
    await app.worker.idle()
    // The session is older now than it may get.
    admin = await app.superuser()
  }

  test('tell of a deletion, signed so that anybody’s library verifies it', async () => {
    const id = await aVideo(app, 'Ünïcödé "映画" \u2028')
    expect((await admin.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    await app.worker.idle()
    const [request, ...others] = receiver.received
    if (!request) throw new Error('nothing was received')
    expect(others).toEqual([])
    const { body, headers } = request
    expect(new Webhook(SECRET).verify(body, headers)).toEqual({
      type: 'video.deleted',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      data: {
        video: {
          id,
          title: 'Ünïcödé "映画" \u2028',
          state: 'pending',
          error: null,
          duration_ms: null,
          renditions: [],
        },
      },
    })
    const other = `whsec_${Buffer.from('another secret of thirty bytes 12').toString('base64')}`
    expect(() => new Webhook(other).verify(body, headers)).toThrow(/signature/)
    expect(request.path).toBe('POST /hook?of=films')
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^Videoflix\//) as string,
      authorization: `Basic ${Buffer.from(`films:${PASSWORD}`).toString('base64')}`,
    })
    expect(await get(request.id)).toEqual({
      id: request.id,
      event: 'video.deleted',
      video_id: id,
      url: `${receiver.origin}/hook?of=films`,
      state: 'delivered',
      created_at: expect.any(String) as string,
      attempts: 1,
      delivered_at: expect.any(String) as string,
      failed_at: null,
      last_status: 204,
      last_error: null,
      body,
    })
  })

  test('are written if and only if their reason is', async () => {
    const { db } = app.app
    const id = await aVideo(app, 'not deleted in the end')
    const rows = async (): Promise<unknown[]> => [
      ...(await db.selectFrom('webhook_deliveries').select('id').execute()),
      ...(await db.selectFrom('tasks').select('id').where('kind', '=', 'send_webhook').execute()),
    ]
    const recordEvent = eventRecorder(app.settings.webhooks.receivers)
    const undone = transact(db, async (trx) => {
      await recordEvent(trx, 'video.ready', id, app.clock.now())
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    expect(await rows()).toEqual([])

    await db.schema.alterTable('webhook_deliveries').renameTo('elsewhere').execute()
    const reply = await admin.delete(`/admin/api/videos/${id}/`)
    await db.schema.alterTable('elsewhere').renameTo('webhook_deliveries').execute()
    expect(reply.status).toBe(500)
    expect((await admin.get(`/admin/api/videos/${id}/`)).status).toBe(200)

    await transact(db, (trx) => recordEvent(trx, 'video.ready', id, app.clock.now()))
    expect(await rows()).toHaveLength(2)
    expect((await admin.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    expect((await admin.delete(`/admin/api/videos/${id}/`)).status).toBe(404)
    await app.worker.idle()
    expect(
      receiver.received.map(({ body }) => (JSON.parse(body) as { type: string }).type),
    ).toEqual(expect.arrayContaining(['video.ready', 'video.deleted']))
    expect(receiver.received).toHaveLength(2)
  })

  test('that fail are sent again: same id, same body, another time', async () => {
    const answers = [status(500), status(204)]
    receiver.answer = (response, request) => answers.shift()?.(response, request)
    const { id, ...first } = await aTest()
    expect(first).toMatchObject({
      state: 'pending',
      attempts: 1,
      last_status: 500,
      last_error: 'The receiver answered 500 Internal Server Error.',
    })
    await goOnAfter(4 * SECOND)
    expect(receiver.received).toHaveLength(1)
    await goOnAfter(SECOND)
    const [before, after] = receiver.received
    if (!before || !after) throw new Error('it was not sent twice')
    expect([after.id, after.body]).toEqual([before.id, before.body])
    expect(after.timestamp - before.timestamp).toBeGreaterThanOrEqual(5)
    for (const request of [before, after]) {
      const at = new Date(request.timestamp * SECOND)
      const signature = new Webhook(SECRET).sign(request.id, at, request.body)
      expect(request.headers['webhook-signature']).toBe(signature)
    }
    expect(await get(id)).toMatchObject({
      state: 'delivered',
      attempts: 2,
      last_status: 204,
      last_error: null,
    })
  })

  test('are tried eight times in about a day, and given up', async () => {
    receiver.answer = status(404)
    const { id } = await aTest()
    const waits = [5, 300, 1800, 7200, 18_000, 28_800, 36_000]
    for (const [failures, seconds] of waits.entries()) {
      expect(receiver.received).toHaveLength(failures + 1)
      await expectWait(id, seconds)
      await goOnAfter(seconds * SECOND)
    }
    expect(await get(id)).toMatchObject({
      state: 'failed',
      attempts: 8,
      failed_at: expect.any(String) as string,
      delivered_at: null,
      last_status: 404,
      last_error: 'The receiver answered 404 Not Found.',
    })
    await goOnAfter(100 * HOUR)
    expect(receiver.received).toHaveLength(8)
  })

  test.each([
    ['600', 600],
    ['86400', 3600],
    ['1', 5],
  ])('wait as long as Retry-After: %s says, up to an hour', async (header, seconds) => {
    receiver.answer = status(429, { 'retry-after': header })
    const { id, last_status } = await aTest()
    expect(last_status).toBe(429)
    await expectWait(id, seconds)
  })

  test('do not wait for a receiver that hangs', async () => {
    receiver.answer = () => {}
    expect(await aTest()).toMatchObject({
      state: 'pending',
      attempts: 1,
      last_status: null,
      last_error: 'The receiver did not answer within 1 seconds.',
    })
  })

  test('believe a status whose body never ends, or is huge', async () => {
    receiver.answer = (response) => void response.writeHead(200).write('so far, ')
    expect(await aTest()).toMatchObject({ state: 'delivered', last_status: 200 })

    const closed = barrier<number>()
    let sent = 0
    receiver.answer = (response) => {
      const chunk = Buffer.alloc(64 * 1024)
      const pour = (): void => {
        while (!response.destroyed && sent < 2 ** 30) {
          sent += chunk.length
          if (!response.write(chunk)) return void response.once('drain', pour)
        }
      }
      response.on('close', () => closed.open(sent))
      response.writeHead(500)
      pour()
    }
    expect(await aTest()).toMatchObject({ state: 'pending', last_status: 500 })
    expect(await closed.opened).toBeLessThan(64 * 2 ** 20)
  })

  test('do not follow a redirect', async () => {
    receiver.answer = status(307, { location: `${receiver.origin}/elsewhere` })
    const { last_status, last_error, state } = await aTest()
    expect([state, last_status]).toEqual(['pending', 307])
    expect(last_error).toMatch(/^The receiver answered 307 .* put the URL that it leads to/)
    expect(receiver.received.map(({ path }) => path)).toEqual(['POST /hook?of=films'])
  })

  test('end with 410 Gone', async () => {
    receiver.answer = status(410)
    expect(await aTest()).toMatchObject({ state: 'failed', attempts: 1, last_status: 410 })
    await goOnAfter(100 * HOUR)
    expect(receiver.received).toHaveLength(1)
  })

  test('that nobody takes say why', async () => {
    receiver.answer = (response) => void response.destroy()
    const { last_status, last_error } = await aTest()
    expect([last_status, last_error]).toEqual([
      null,
      expect.stringMatching(/^The receiver could not be reached \(\w+\)\.$/),
    ])
  })

  test('are sent again when a superuser wants it, under the same id', async () => {
    const { id, body } = await aTest()
    const replay = () => admin.post(`${PATH}${id}/replay/`)
    const hold = barrier()
    receiver.answer = async (response) => {
      await hold.opened
      response.writeHead(204).end()
    }
    const replies = await Promise.all([replay(), replay(), replay()])
    expect(replies.map((reply) => `${reply.status}`).sort()).toEqual(['200', '409', '409'])
    const refused = replies.find((reply) => reply.status === 409)
    expect(await refused?.json()).toEqual({ detail: 'It is waiting to be sent already.' })
    expect(await get(id)).toMatchObject({ state: 'pending', delivered_at: null })
    hold.open()
    await app.worker.idle()
    expect(receiver.received.map((request) => [request.id, request.body])).toEqual([
      [id, body],
      [id, body],
    ])
    expect(await get(id)).toMatchObject({ state: 'delivered', attempts: 2 })

    receiver.answer = status(410)
    expect((await replay()).status).toBe(200)
    await app.worker.idle()
    expect(await get(id)).toMatchObject({ state: 'failed', delivered_at: null, attempts: 3 })
    expect((await replay()).status).toBe(200)
    await app.worker.idle()

    const audit = (await (await admin.get('/admin/api/audit/?event=webhook_replayed')).json()) as {
      results: { details: unknown }[]
    }
    expect(
      audit.results.filter(({ details }) => JSON.stringify(details).includes(id)),
    ).toHaveLength(3)
    for (const unknown of ['msg_0123456789012345678901', 'x', '%00', '..%2f', `${id}x`]) {
      const paths = [`${PATH}${unknown}/`, `${PATH}${unknown}/replay/`] as const
      expect([unknown, (await admin.get(paths[0])).status]).toEqual([unknown, 404])
      expect([unknown, (await admin.post(paths[1])).status]).toEqual([unknown, 404])
    }
  })

  test('whose URL was taken away wait for it, and are not replayed', async () => {
    const removed = { url: 'http://removed.example/', authorization: null, secrets: [] }
    const [row] = await transact(app.app.db, (trx) =>
      announce(trx, [removed], 'webhook.test', null, app.clock.now()),
    )
    const id = row?.id ?? ''
    await app.worker.idle()
    await expectWait(id, 5)
    for (let failures = 1; failures < 8; failures += 1) await goOnAfter(await waitMs(id))
    expect(await get(id)).toMatchObject({
      state: 'failed',
      attempts: 0,
      last_error: 'This URL is not in WEBHOOK_URLS.',
    })
    const reply = await admin.post(`${PATH}${id}/replay/`)
    expect([reply.status, await reply.json()]).toEqual([
      409,
      { detail: 'Its URL is not in WEBHOOK_URLS any more.' },
    ])
  })

  test('are listed page by page, newest first, by event and state', async () => {
    const ids: string[] = []
    for (const answer of [status(204), status(410), status(500), status(204)]) {
      receiver.answer = answer
      app.clock.advance(SECOND)
      ids.unshift((await aTest()).id)
    }
    app.clock.advance(SECOND)
    const video = await aVideo(app, `of ${backend}`)
    await admin.delete(`/admin/api/videos/${video}/`)
    await app.worker.idle()

    const of = async (query: string) => (await listDeliveries(admin, query)).results
    expect((await of('event=webhook.test')).map(({ id }) => id)).toEqual(ids)
    expect((await of('event=video.deleted')).map((each) => each.video_id)).toEqual([video])
    expect((await of('state=failed')).map(({ id }) => id)).toEqual([ids[2]])
    expect((await of('state=pending')).map(({ id }) => id)).toEqual([ids[1]])
    expect((await of('state=delivered&event=webhook.test')).map(({ id }) => id)).toEqual([
      ids[0],
      ids[3],
    ])
    const first = await listDeliveries(admin, 'page_size=2&event=webhook.test')
    expect([first.count, first.results.length]).toEqual([4, 2])
    const second = (await (await admin.get(first.next ?? '')).json()) as Page
    expect([second.results.length, second.next]).toEqual([2, null])
    for (const query of ['event=nonsense', 'state=x', 'state=%00', 'page=0']) {
      expect([query, (await admin.get(`${PATH}?${query}`)).status]).toEqual([query, 400])
    }
  })

  test('keep their secrets to themselves', async () => {
    await aTest()
    receiver.answer = status(500)
    const { id } = await aTest()
    const { db } = app.app
    const places = JSON.stringify([
      app.logs,
      await db.selectFrom('webhook_deliveries').selectAll().execute(),
      await db.selectFrom('tasks').selectAll().execute(),
      await listDeliveries(admin),
      await get(id),
    ])
    expect(places).toContain('answered 500')
    for (const secret of [SECRET, SECRET.slice(6), PASSWORD, encodeURIComponent(PASSWORD)]) {
      expect(places).not.toContain(secret)
      expect(places).not.toContain(Buffer.from(`films:${secret}`).toString('base64'))
    }
  })
})

test.each(BACKENDS)('a dead receiver holds up nobody else, on %s', async (backend) => {
  await using dead = await startReceiver()
  await using alive = await startReceiver()
  await using app = await startApp({
    backend,
    env: {
      WEBHOOK_URLS: `${dead.origin},${alive.origin}/hook`,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_TIMEOUT: '60',
    },
  })
  const held = barrier()
  dead.answer = () => held.opened
  const admin = await app.superuser()
  for (let count = 0; count < 40; count += 1) await sendTest(admin)
  await expect.poll(() => alive.received.length, SOON).toBe(40)
  await expect
    .poll(async () => (await listDeliveries(admin, 'state=delivered')).count, SOON)
    .toBe(40)
  expect(new Set(alive.received.map(({ id }) => id)).size).toBe(40)
  expect(dead.received).toHaveLength(8)
  await app.client().post('/users/forgot-password/', { email: ADMIN.email })
  await expect
    .poll(async () => {
      const mails = app.app.db.selectFrom('tasks').select('outcome').where('kind', '=', 'send_mail')
      return await mails.execute()
    }, SOON)
    .toEqual([{ outcome: 'done' }])
})

test('nobody is told where no receiver is set', async () => {
  await using app = await startApp()
  const admin = await app.superuser()
  const id = await aVideo(app, 'unheard')
  expect((await admin.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
  expect((await listDeliveries(admin)).count).toBe(0)
  const reply = await admin.post('/admin/api/webhooks/test/')
  expect([reply.status, await reply.json()]).toEqual([
    409,
    { detail: 'There is nobody to send it to: set WEBHOOK_URLS.' },
  ])
})

test.each(BACKENDS)(
  'a server killed between sending and knowing sends again, under the same id, on %s',
  async (backend) => {
    await using folder = await temporaryFolder()
    await using postgres = backend === 'postgres' ? await startPostgres() : null
    await using receiver = await startReceiver()
    const env = {
      ...OPEN_ENV,
      TRANSCODE_LOCALLY: 'True',
      DATA_DIR: folder.path,
      PORT: `${await freePort()}`,
      JOB_SWEEP_INTERVAL: '0.2',
      WEBHOOK_URLS: receiver.origin,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_TIMEOUT: '60',
      ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    }
    const first = await startServer({ env })
    receiver.answer = () => {}
    const [sent] = await sendTest(await signIn(first.url, ADMIN))
    await expect.poll(() => receiver.received.length, SOON).toBe(1)
    first.kill('SIGKILL')
    await first.exited

    receiver.answer = status(204)
    await using second = await startServer({ env })
    await expect.poll(() => receiver.received.length, SOON).toBe(2)
    expect(receiver.received.map(({ id }) => id)).toEqual([sent?.id, sent?.id])
    const admin = await signIn(second.url, ADMIN)
    await expect
      .poll(async () => (await listDeliveries(admin, 'state=delivered')).results, SOON)
      .toMatchObject([{ id: sent?.id, attempts: 2 }])
  },
)
