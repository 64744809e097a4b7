import type { AdminVideo, WebhookBody } from '@videoflix/contract'
import { describe, expect, test } from 'vitest'
import { programsAtWorkIn } from '../faults/auditor.ts'
import { film } from '../films.ts'
import { BACKENDS } from '../harness/app.ts'
import { filesIn, storedKeys } from '../harness/stored.ts'
import { adminVideo, until, upload } from '../videos/library.ts'
import { startReceiver } from '../webhooks/receiver.ts'
import { startCluster, type Cluster } from './cluster.ts'
import { frameTimesMs } from './frames.ts'
import { aCopyableFilm, stepsOf } from './library.ts'
import { stepTools } from './step-tools.ts'

const SECRET = `whsec_${Buffer.from('a secret of some thirty bytes 123').toString('base64')}`
const LONG = { CHUNK_MIN_DURATION: '10' }

describe.each(BACKENDS)('a long film, on %s', (backend) => {
  test('is encoded by several workers at once, every frame once', async () => {
    await using tools = await stepTools()
    await using receiver = await startReceiver()
    const hooks = { WEBHOOK_URLS: receiver.origin, WEBHOOK_SECRET: SECRET }
    await using cluster = await startCluster(backend, { ...LONG, ...tools.env, ...hooks })
    cluster.startWorker()
    cluster.startWorker()
    const path = await film('keyframes far apart')
    await tools.hold('encode', 'chunk')
    const { id } = await upload(cluster.superuser, { path })
    const holders = await until(async () => {
      const owners = await holdersOf(cluster)
      return new Set(owners.values()).size === 2 && owners
    }, 'two workers have a part each')
    expect(holders.size).toBe(2)
    await tools.letGo('encode', 'chunk')
    const video = await untilReady(cluster, id)
    expect((video.source?.steps ?? []).map(({ name, attempts }) => [name, attempts])).toEqual([
      ...['probe', 'copy', 'encode small', 'encode 1/3', 'encode 2/3', 'encode 3/3'].map(once),
      ...['package 120p', 'package 360p'].map(once),
    ])
    await expectEveryFrameOnce(video, path)
    await expectNothingLeft(cluster)
    const told = () => receiver.received.map(({ body }) => (JSON.parse(body) as WebhookBody).type)
    await until(() => told().length > 0, 'the webhook is told')
    expect(told()).toEqual(['video.ready'])
  })

  test('keeps the parts that are done when its worker is asked to end, or killed', async () => {
    await using tools = await stepTools()
    await using cluster = await startCluster(backend, { ...LONG, ...tools.env })
    const path = await aCopyableFilm(20)
    await tools.hold('chunk')
    const first = cluster.startWorker()
    const { id } = await upload(cluster.superuser, { path })
    await untilHeld(cluster, id, 1)
    const before = await adminVideo(cluster.superuser, id)
    expect(Object.keys(before.converted_files)).toEqual(['360p'])

    first.kill('SIGTERM')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(await holdersOf(cluster)).toEqual(new Map())
    expect((await stepsOf(cluster.superuser, id)).get('encode 2/3')).toMatchObject({
      ...{ state: 'waiting', attempts: 1, percent: 0, error: null },
    })
    expect((await adminVideo(cluster.superuser, id)).source?.progress?.step).toBe('queued')
    expect(await filesIn(cluster.settings.tasks.workDir)).toEqual([])

    const second = cluster.startWorker()
    await untilHeld(cluster, id, 2)
    second.kill('SIGKILL')
    await second.exited
    await until(
      () => programsAtWorkIn(cluster.settings.tasks.workDir).length === 0,
      'its ffmpeg is gone',
    )

    const third = cluster.startWorker()
    await tools.letGo('chunk')
    const video = await untilReady(cluster, id)
    const attempts = new Map(video.source?.steps.map((step) => [step.name, step.attempts]))
    expect(Object.fromEntries(attempts)).toEqual({
      ...{ probe: 1, copy: 1, 'package 360p': 1, 'encode small': 1, 'encode 1/3': 1 },
      ...{ 'encode 2/3': 3, 'encode 3/3': 1, 'package 120p': 1 },
    })
    // What played early is what plays.
    expect(pathOf(video, '360p')).toBe(pathOf(before, '360p'))
    await expectEveryFrameOnce(video, path)
    await expectNothingLeft(cluster)
    third.kill('SIGTERM')
    expect(await third.exited).toEqual({ code: 0, signal: null })
  })
})

const once = (name: string): [string, number] => [name, 1]

/** Owner by task, of the parts that are being encoded. */
async function holdersOf({ db }: Cluster): Promise<Map<number, string>> {
  const rows = await db
    .selectFrom('tasks')
    .select(['id', 'lease_owner'])
    .where('kind', '=', 'encode_part')
    .where('lease_owner', 'is not', null)
    .execute()
  return new Map(rows.map((row) => [row.id, row.lease_owner ?? '']))
}

/** Until all is done that can be before the second chunk, and that one is begun for the given time. */
async function untilHeld({ superuser }: Cluster, id: number, attempt: number): Promise<void> {
  const isHeld = async (): Promise<boolean> => {
    const steps = await stepsOf(superuser, id)
    const done = ['encode small', 'encode 1/3', 'package 360p']
    const { state, attempts } = steps.get('encode 2/3') ?? {}
    const isDone = done.every((name) => steps.get(name)?.state === 'done')
    return isDone && state === 'running' && attempts === attempt
  }
  await until(isHeld, 'the second chunk is held')
}

async function untilReady({ superuser }: Cluster, id: number): Promise<AdminVideo> {
  return await until(async () => {
    const video = await adminVideo(superuser, id)
    return video.processing_state === 'ready' && video
  }, 'it is ready')
}

async function expectEveryFrameOnce(video: AdminVideo, path: string): Promise<void> {
  const shown = await frameTimesMs(path)
  expect(shown.length).toBeGreaterThan(400)
  for (const [quality, url] of Object.entries(video.converted_files)) {
    expect([quality, await frameTimesMs(url)]).toEqual([quality, shown])
  }
}

async function expectNothingLeft(cluster: Cluster): Promise<void> {
  const { settings, db } = cluster
  const isTidied = async (): Promise<boolean> =>
    (await storedKeys(cluster, 'intermediates')).length === 0
  await until(isTidied, 'the intermediates are gone')
  const named = await db.selectFrom('renditions').select('object_key').execute()
  const files = await storedKeys(cluster, 'media')
  expect(files.filter((file) => file.endsWith('.mp4'))).toEqual(
    named.map((row) => row.object_key).toSorted(),
  )
  await until(async () => (await filesIn(settings.tasks.workDir)).length === 0, 'no work is left')
}

function pathOf(video: AdminVideo, quality: string): string {
  return new URL(video.converted_files[quality] ?? '').pathname
}
