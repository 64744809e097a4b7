import type { AdminVideo } from '@videoflix/contract'
import { describe, expect, test } from 'vitest'
import { startS3Proxy, type S3Proxy } from '../faults/s3-proxy.ts'
import { film } from '../films.ts'
import { BACKENDS } from '../harness/app.ts'
import { startRedis } from '../harness/redis.ts'
import { hasS3 } from '../harness/s3.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { startCluster, type Cluster } from '../processing/cluster.ts'
import { frameTimesMs } from '../processing/frames.ts'
import { stepTools } from '../processing/step-tools.ts'
import { adminVideo, filesIn, until, upload } from '../videos/library.ts'

const hasAll = BACKENDS.length > 1 && hasS3
const SHARED = { SECRET_KEY: 'what all of these machines have in common' }

describe.skipIf(!hasAll)('on machines that share PostgreSQL, Redis and S3, but no folder', () => {
  test('two workers encode a film together, and each fetches its original once', async () => {
    await using tools = await stepTools()
    await using redis = await startRedis()
    const more = { ...SHARED, ...tools.env, CHUNK_MIN_DURATION: '10', REDIS_URL: redis.url }
    await using cluster = await startCluster('postgres', more)
    await using one = await aMachine(cluster)
    await using other = await aMachine(cluster)
    const path = await film('keyframes far apart')
    await tools.hold('encode', 'chunk')
    const { id } = await upload(cluster.superuser, { path })
    await until(async () => (await holders(cluster)).size === 2, 'both have a part in hand')
    await tools.letGo('encode', 'chunk')

    const video = await until(async () => {
      const found = await adminVideo(cluster.superuser, id)
      return found.processing_state === 'ready' && found
    }, 'it is ready')
    expect(attemptsOf(video)).toEqual(new Map(stepNames(video).map((name) => [name, 1])))
    const shown = await frameTimesMs(path)
    expect(shown.length).toBeGreaterThan(400)
    for (const [quality, url] of Object.entries(video.converted_files)) {
      expect([quality, await frameTimesMs(url)]).toEqual([quality, shown])
    }
    for (const { proxy } of [one, other]) expect(fetchesOfOriginals(proxy)).toHaveLength(1)
    const { uploads, tasks, media } = cluster.settings
    for (const folder of [uploads.dir, tasks.workDir, media.root]) {
      expect([folder, await filesIn(folder)]).toEqual([folder, []])
    }
  })
})

interface Machine extends AsyncDisposable {
  /** All that its worker wants of S3. */
  proxy: S3Proxy
}

async function aMachine(cluster: Cluster): Promise<Machine> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const proxy = stack.use(await startS3Proxy(cluster.s3?.endpoint ?? ''))
  const env = { DATA_DIR: folder.path, AWS_S3_ENDPOINT_URL: proxy.endpoint }
  const worker = cluster.startWorker({ env })
  stack.defer(() => worker.stop())
  const rest = stack.move()
  return { proxy, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

async function holders({ db }: Cluster): Promise<Set<string | null>> {
  const rows = await db
    .selectFrom('tasks')
    .select('lease_owner')
    .where('kind', '=', 'encode_part')
    .where('lease_owner', 'is not', null)
    .execute()
  return new Set(rows.map((row) => row.lease_owner))
}

function fetchesOfOriginals({ requests }: S3Proxy): string[] {
  const fetched = requests.filter(({ operation }) => operation === 'GetObject')
  return fetched.map(({ path }) => path).filter((path) => path.includes('/originals/'))
}

const stepNames = ({ source }: AdminVideo): string[] => source?.steps.map(({ name }) => name) ?? []

function attemptsOf({ source }: AdminVideo): Map<string, number> {
  return new Map(source?.steps.map(({ name, attempts }) => [name, attempts]))
}
