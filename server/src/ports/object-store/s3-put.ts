import { open, readFile, stat, type FileHandle } from 'node:fs/promises'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3'
import { newId } from '../ids.ts'

const MIB = 1024 * 1024
/** Up to this size a file is sent at once. */
const PART_BYTES = 8 * MIB
/** So many parts are held in memory. */
const PARTS_AT_ONCE = 2
/** S3 takes 10,000. */
const MOST_PARTS = 9000
const LONGEST_ABORT_MS = 5000

interface Target {
  Bucket: string
  Key: string
}

interface Headers {
  ContentType: string
  CacheControl?: string
}

/**
 * Stores a file whole or not at all. Its parts lie in two buffers, filled again and again, so that the SDK can send one
 * once more and memory is bounded; its `lib-storage` makes three copies of each.
 */
export async function putFileToS3(
  client: S3Client,
  target: Target,
  path: string,
  headers: Headers,
  signal?: AbortSignal,
): Promise<void> {
  const send = sender(client, signal)
  const { size } = await stat(path)
  if (size <= PART_BYTES) {
    const Body = await readFile(path)
    await send(new PutObjectCommand({ ...target, ...headers, Body }))
    return
  }
  const Metadata = { upload: newId() }
  const { UploadId = '' } = await send(
    new CreateMultipartUploadCommand({ ...target, ...headers, Metadata }),
  )
  const upload = { ...target, UploadId }
  try {
    const Parts = await sendParts(send, upload, path, size)
    await complete(send, upload, Parts, Metadata)
  } catch (error) {
    // What cannot be aborted now is tidied up later.
    const soon = sender(client, AbortSignal.timeout(LONGEST_ABORT_MS))
    await soon(new AbortMultipartUploadCommand(upload)).catch(() => {})
    throw error
  }
}

/** If its answer is lost, the second request may find no upload any more: then the object says whose it is. */
async function complete(
  send: Send,
  upload: Target & { UploadId: string },
  Parts: CompletedPart[],
  { upload: ours }: { upload: string },
): Promise<void> {
  const { Bucket, Key } = upload
  try {
    const MultipartUpload = { Parts }
    await send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload }))
  } catch (error) {
    const found = await send(new HeadObjectCommand({ Bucket, Key })).catch(() => null)
    if (found?.Metadata?.['upload'] !== ours) throw error
  }
}

type Send = S3Client['send']

function sender(client: S3Client, abortSignal: AbortSignal | undefined): Send {
  const options = abortSignal && { abortSignal }
  return ((command: Parameters<Send>[0]) => client.send(command, options ?? {})) as Send
}

async function sendParts(
  send: Send,
  upload: Target & { UploadId: string },
  path: string,
  size: number,
): Promise<CompletedPart[]> {
  const partBytes = Math.max(PART_BYTES, Math.ceil(size / MOST_PARTS))
  const count = Math.ceil(size / partBytes)
  const sent: CompletedPart[] = []
  let last = 0
  let hasFailed = false
  await using file = await open(path)

  async function sendSome(): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(partBytes)
    while (last < count && !hasFailed) {
      const PartNumber = (last += 1)
      const start = (PartNumber - 1) * partBytes
      const Body = buffer.subarray(0, Math.min(partBytes, size - start))
      await readWhole(file, Body, start)
      const { ETag } = await send(new UploadPartCommand({ ...upload, PartNumber, Body }))
      sent[PartNumber - 1] = { PartNumber, ETag }
    }
  }

  // All have ended when this does: a part that arrives after the upload was aborted would stay.
  const ends = await Promise.allSettled(
    Array.from({ length: PARTS_AT_ONCE }, async () => {
      try {
        await sendSome()
      } catch (error) {
        hasFailed = true
        throw error
      }
    }),
  )
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed) throw failed.reason as Error
  return sent
}

async function readWhole(file: FileHandle, into: Buffer, start: number): Promise<void> {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, start + done)
    if (bytesRead === 0) throw new Error('the file became shorter while it was stored')
    done += bytesRead
  }
}
