import { describe, expect, test } from 'vitest'
import { noFault, startS3Proxy, type Rule, type S3Proxy } from '../faults/s3-proxy.ts'
import { BACKENDS } from '../harness/app.ts'
import { hasS3, startS3 } from '../harness/s3.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { startCluster, type Cluster } from '../processing/cluster.ts'
import { stepTools } from '../processing/step-tools.ts'
import { adminVideo, until, upload } from '../videos/library.ts'

const SILENT_ORIGINALS: Rule = ({ operation, path }) =>
  operation === 'GetObject' && path.includes('/originals/') ? { kind: 'silence' } : null
const SILENT_STORING: Rule = ({ operation }) =>
  operation === 'PutObject' || operation === 'UploadPart' ? { kind: 'silence' } : null

/** A process that does not end by itself within 30 seconds ends with 1. */
const IN_ORDER = { code: 0, signal: null }

describe.skipIf(BACKENDS.length === 1 || !hasS3)('a worker that is asked to end', () => {
  test.each<[string, Rule]>([
    ['while a download stands still', SILENT_ORIGINALS],
    ['while an upload stands still', SILENT_STORING],
  ])('%s, gives its task back and ends', async (_when, rule) => {
    await using cluster = await startCluster('postgres', {})
    await using proxy = await startS3Proxy(cluster.s3?.endpoint ?? '')
    proxy.rule = rule
    await using folder = await temporaryFolder()
    const env = { DATA_DIR: folder.path, AWS_S3_ENDPOINT_URL: proxy.endpoint }
    const worker = cluster.startWorker({ env })
    const { id } = await upload(cluster.superuser, {})
    await untilFaulty(proxy)
    // The premise: it has a task in hand.
    expect(await leases(cluster)).toHaveLength(1)
    // From now on nothing answers, whatever it may want to tidy up.
    proxy.rule = () => ({ kind: 'silence' })
    worker.kill('SIGTERM')
    expect(await worker.exited).toEqual(IN_ORDER)
    expect(await leases(cluster)).toEqual([])

    proxy.rule = noFault
    cluster.startWorker({ env })
    await until(async () => {
      const { processing_state: state, source } = await adminVideo(cluster.superuser, id)
      expect(source?.error).toBeNull()
      return state === 'ready'
    }, 'another one makes it ready')
  })

  test('while S3 is gone, and its encoder is at work, gives both tasks back and ends', async () => {
    await using tools = await stepTools()
    await using s3 = await startS3()
    await using cluster = await startCluster('postgres', { ...tools.env, ...(await s3.env()) })
    await tools.hold('encode')
    const worker = cluster.startWorker()
    await upload(cluster.superuser, {})
    await until(async () => (await leases(cluster)).includes('encode_part'), 'it encodes')
    await upload(cluster.superuser, {})
    await s3.goAway()
    worker.kill('SIGTERM')
    expect(await worker.exited).toEqual(IN_ORDER)
    expect(await leases(cluster)).toEqual([])
    const tasks = await cluster.db
      .selectFrom('tasks')
      .select(['kind', 'attempts', 'failures'])
      .where('finished_at', 'is', null)
      .where('kind', '!=', 'sweep_orphans')
      .execute()
    for (const task of tasks) expect(task).toMatchObject({ attempts: 0, failures: 0 })
  })
})

async function untilFaulty({ requests }: S3Proxy): Promise<void> {
  await until(() => requests.some(({ fault }) => fault !== null), 'S3 does not answer')
}

async function leases({ db }: Cluster): Promise<string[]> {
  const rows = await db
    .selectFrom('tasks')
    .select('kind')
    .where('lease_owner', 'is not', null)
    .execute()
  return rows.map(({ kind }) => kind)
}
