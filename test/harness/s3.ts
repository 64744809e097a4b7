import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3'
import { startChild, type Child } from './child.ts'
import { freePort } from './free-port.ts'
import { has, programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { unprivilegedUser } from './unprivileged-user.ts'
import { untilReady } from './wait.ts'

const execute = promisify(execFile)

/** Whether all of it is on this machine. */
export const hasS3 = has('radosgw') && has('ceph-mon') && has('ceph-osd')

const CREDENTIALS = { accessKeyId: 'videoflixtests', secretAccessKey: 'secretofvideoflixtests' }

/** A service that others may use as well. */
export interface S3Service {
  endpoint: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  /** As its owner; for what tests arrange and look at. */
  client: S3Client
  /** Makes a fresh, empty, private bucket and gives its name. */
  bucket(): Promise<string>
  /** Settings for a bucket, as the environment has them; for a fresh one if none is named. */
  env(bucket?: string): Promise<Record<string, string>>
  /** Removes what is in a bucket: all of it is in memory. */
  empty(bucket: string): Promise<void>
}

export interface S3 extends S3Service, AsyncDisposable {
  /** Nobody answers until `comeBack`; what is stored stays. */
  goAway(): Promise<void>
  comeBack(): Promise<void>
  /** It accepts connections, and answers nothing until `thaw`. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

/**
 * Starts a private S3 service: the gateway of Ceph on one monitor and one store, which keeps everything in memory. It
 * takes about two seconds.
 */
export async function startS3(): Promise<S3> {
  const owner = await unprivilegedUser()
  const folder = await temporaryFolder(owner)
  const children: Child[] = []
  const stop = async () => {
    await Promise.all(children.map((child) => child.stop()))
    await folder.remove()
  }
  try {
    const cluster = await configure(folder.path, owner)
    const start = (program: 'radosgw' | 'ceph-mon' | 'ceph-osd', ...args: string[]): Child => {
      // All it has is temporary: there is nothing to put in order first.
      const options = { cwd: folder.path, owner, stopSignal: 'SIGKILL' } as const
      const child = startChild(programPath(program), ['-c', cluster.file, ...args, '-f'], options)
      children.push(child)
      return child
    }
    const run = async (program: string, ...args: string[]): Promise<void> => {
      const options = { ...owner, cwd: folder.path, timeout: 30_000 }
      await execute(program, ['-c', cluster.file, ...args], options)
    }
    const tools = dirname(programPath('radosgw'))
    const members = join(folder.path, 'members')
    await run(join(tools, 'monmaptool'), ...cluster.members, members)
    await run(programPath('ceph-mon'), '--mkfs', '-i', 'a', '--monmap', members)
    const monitor = start('ceph-mon', '-i', 'a')
    const storeId = randomUUID()
    await untilReady(monitor, async () => {
      await run(join(tools, 'ceph'), '--connect-timeout', '5', 'osd', 'new', storeId)
      return true
    })
    await run(programPath('ceph-osd'), '-i', '0', '--osd-uuid', storeId, '--mkfs')
    start('ceph-osd', '-i', '0')
    const endpoint = `http://127.0.0.1:${cluster.port}`
    const startGateway = async (): Promise<Child> => {
      const child = start('radosgw', '-n', 'client.rgw')
      await untilReady(child, async () => (await fetch(endpoint)).ok)
      return child
    }
    const gateway = await startGateway()
    const { accessKeyId, secretAccessKey } = CREDENTIALS
    const user = ['user', 'create', '--uid', 'tests', '--display-name', 'tests']
    const keys = ['--access-key', accessKeyId, '--secret', secretAccessKey]
    await run(join(tools, 'radosgw-admin'), '-n', 'client.admin', ...user, ...keys)
    return running(endpoint, gateway, startGateway, stop)
  } catch (error) {
    const output = children.map((child) => child.output()).join('\n')
    await stop()
    throw new Error(`S3 did not start:\n${output}`, { cause: error })
  }
}

function running(
  endpoint: string,
  first: Child,
  startGateway: () => Promise<Child>,
  stop: () => Promise<void>,
): S3 {
  let gateway = first
  const service = serviceAt(endpoint)
  const stopAll = async (): Promise<void> => {
    service.client.destroy()
    await stop()
  }
  return {
    ...service,
    goAway: () => gateway.stop(),
    async comeBack() {
      gateway = await startGateway()
    },
    freeze: () => gateway.kill('SIGSTOP'),
    thaw: () => gateway.kill('SIGCONT'),
    stop: stopAll,
    [Symbol.asyncDispose]: stopAll,
  }
}

/** The service of `startS3`, also where another process has started it. */
export function serviceAt(endpoint: string): S3Service {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: CREDENTIALS,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  async function bucket(): Promise<string> {
    const name = `films-${randomUUID()}`
    await client.send(new CreateBucketCommand({ Bucket: name }))
    return name
  }
  return {
    endpoint,
    credentials: CREDENTIALS,
    client,
    bucket,
    async env(name) {
      return {
        USE_S3_MEDIA: 'True',
        AWS_STORAGE_BUCKET_NAME: name ?? (await bucket()),
        AWS_S3_ENDPOINT_URL: endpoint,
        AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      }
    },
    async empty(Bucket) {
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
        const Objects = Contents.map(({ Key }) => ({ Key }))
        if (Objects.length === 0) break
        await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
      }
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
      for (const { Key, UploadId } of Uploads) {
        await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
      }
    },
  }
}

/** One of everything, nothing on the disk, and no waiting for others to agree. */
async function configure(
  folder: string,
  owner: { uid: number; gid: number } | undefined,
): Promise<{ file: string; port: number; members: string[] }> {
  const [monitorPort, port] = [await freePort(), await freePort()]
  for (const name of ['mon', 'osd', 'rgw']) {
    await mkdir(join(folder, name))
    if (owner) await chown(join(folder, name), owner.uid, owner.gid)
  }
  const id = randomUUID()
  const file = join(folder, 'ceph.conf')
  await writeFile(
    file,
    `[global]
fsid = ${id}
mon host = v2:127.0.0.1:${monitorPort}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
log file =
log to stderr = false
err to stderr = true
admin socket =
pid file =
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
paxos propose interval = 0.05
paxos min wait = 0.01
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = 4294967296
[mon.a]
mon data = ${folder}/mon
[osd.0]
osd data = ${folder}/osd
[client.rgw]
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${port}
`,
  )
  const address = `[v2:127.0.0.1:${monitorPort}]`
  return { file, port, members: ['--create', '--fsid', id, '--addv', 'a', address] }
}
