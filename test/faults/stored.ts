import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import {
  AbortMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3'
import type { Site } from './site.ts'

/** A file or an object, wherever it is and whatever it is called. */
export interface Stored {
  name: string
  sizeBytes: number
  sha256(): Promise<string>
}

/** All that a site keeps outside of its database, but for what workers may keep of what they fetched (docs/s3.md). */
export async function listStored(site: Site): Promise<Stored[]> {
  const [files, objects] = await Promise.all([listFiles(site.folder), listObjects(site)])
  const isCache = /^[^/]+\/cache\//
  return [...files.filter(({ name }) => !isCache.test(name)), ...objects]
}

/** Names of uploads to the bucket that were begun and are not objects yet. */
export async function listUnfinished({ s3, bucket }: Site): Promise<string[]> {
  if (s3 === null || bucket === null) return []
  const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  return Uploads.map(({ Key }) => Key ?? '')
}

/** Ends them, as nobody will go on with them. Gives their names. */
export async function endUnfinished({ s3, bucket: Bucket }: Site): Promise<string[]> {
  if (s3 === null || Bucket === null) return []
  const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket }))
  for (const { Key, UploadId } of Uploads) {
    await s3.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
  }
  return Uploads.map(({ Key }) => Key ?? '')
}

async function listObjects({ s3, bucket: Bucket }: Site): Promise<Stored[]> {
  if (s3 === null || Bucket === null) return []
  const { client } = s3
  const found: Stored[] = []
  let token: string | undefined
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: token }))
    for (const { Key = '', Size = 0 } of page.Contents ?? []) {
      const sha256 = async (): Promise<string> => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
        return await sha256Of(Body as AsyncIterable<Buffer>)
      }
      found.push({ name: `bucket: ${Key}`, sizeBytes: Size, sha256 })
    }
    token = page.NextContinuationToken
  } while (token !== undefined)
  return found
}

async function listFiles(folder: string): Promise<Stored[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return await Promise.all(
    paths.map(async (path) => ({
      name: relative(folder, path),
      sizeBytes: await stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
      sha256: () => sha256Of(createReadStream(path) as AsyncIterable<Buffer>),
    })),
  )
}

async function sha256Of(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}
