import type { WebhookBody } from '@videoflix/contract'
import { expect, test } from 'vitest'
import { badFilm } from '../films.ts'
import { BACKENDS, startApp } from '../harness/app.ts'
import { adminVideo, allDone, aReadyVideo, replaceSource, upload } from '../videos/library.ts'
import { startReceiver } from './receiver.ts'

const SECRET = `whsec_${Buffer.from('a secret of some thirty bytes 123').toString('base64')}`

test.each(BACKENDS)('receivers are told how processing ends, on %s', async (backend) => {
  await using receiver = await startReceiver()
  await using app = await startApp({
    backend,
    env: { WEBHOOK_URLS: receiver.origin, WEBHOOK_SECRET: SECRET },
  })
  const admin = await app.superuser()
  const told = () => receiver.received.map(({ body }) => JSON.parse(body) as WebhookBody)

  const ready = await aReadyVideo(app, admin)
  await allDone(app)
  const { id, title, duration_ms } = ready
  const renditions = ready.renditions.map(({ quality }) => quality)
  expect(renditions.length).toBeGreaterThan(0)
  const video = { id, title, state: 'ready', error: null, duration_ms, renditions }
  expect(told()).toEqual([
    { type: 'video.ready', timestamp: expect.any(String) as string, data: { video } },
  ])

  // What fails to replace it leaves what plays.
  await replaceSource(admin, id, await badFilm('text'))
  await allDone(app)
  const { source } = await adminVideo(admin, id)
  expect(source?.error).not.toBeNull()
  expect(told()[1]).toMatchObject({
    type: 'video.error',
    data: { video: { ...video, state: 'error', error: source?.error } },
  })

  const failed = await upload(admin, { bad: 'text' })
  await allDone(app)
  expect(told()[2]).toMatchObject({
    type: 'video.error',
    data: { video: { id: failed.id, state: 'error', duration_ms: null, renditions: [] } },
  })
  expect(told()).toHaveLength(3)
})
