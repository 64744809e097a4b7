import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { AppError } from '../../errors.ts'
import { assertKey, isKey } from './object-store.ts'
import { inOurWords } from './s3-errors.ts'
import type { S3Urls } from './s3-presign.ts'

export interface StoredPart {
  /** From 1. */
  number: number
  sizeBytes: number
  etag: string
}

/** An object that is sent in parts, by us or by somebody else. Nothing is readable before `complete`. */
export interface MultipartUploads {
  /** Gives the store's name for the upload. */
  begin(key: string): Promise<string>
  /** For one PUT of one part, until `expires` in seconds since 1970. */
  urlOfPart(key: string, id: string, number: number, expires: number): string
  /** Durable once resolved. May be repeated, also with other bytes. Throws `not_found` as below. */
  put(key: string, id: string, number: number, bytes: Buffer): Promise<void>
  /** In order. Throws `not_found` when the upload is complete, or was aborted. */
  listParts(key: string, id: string): Promise<StoredPart[]>
  /** Throws `not_found` as above. */
  complete(key: string, id: string, parts: StoredPart[]): Promise<void>
  /** May be repeated. */
  abort(key: string, id: string): Promise<void>
  /** Unfinished ones; those of large files that we store ourselves are among them. */
  listBegunBefore(time: Date): AsyncIterable<{ key: string; id: string }>
}

/** `prefix` as in `s3Store`. */
export function s3MultipartUploads(needs: {
  client: S3Client
  bucket: string
  prefix: string
  urls: S3Urls
}): MultipartUploads {
  const { client, bucket: Bucket, prefix, urls } = needs

  const at = (key: string): { Bucket: string; Key: string } => {
    assertKey(key)
    return { Bucket, Key: prefix + key }
  }

  return {
    async begin(key) {
      const { UploadId } = await inOurWords(() =>
        client.send(
          new CreateMultipartUploadCommand({
            ...at(key),
            ContentType: 'application/octet-stream',
          }),
        ),
      )
      if (UploadId === undefined) throw new AppError('unavailable', 'S3 began no upload.')
      return UploadId
    },

    urlOfPart: (key, id, number, expires) =>
      urls.signed('PUT', at(key).Key, expires, {
        partNumber: String(number),
        uploadId: id,
        'x-id': 'UploadPart',
      }),

    async put(key, id, PartNumber, Body) {
      const command = new UploadPartCommand({ ...at(key), UploadId: id, PartNumber, Body })
      await inOurWords(() => client.send(command))
    },

    async listParts(key, id) {
      const parts: StoredPart[] = []
      let marker: string | undefined
      do {
        const page = await inOurWords(() =>
          client.send(
            new ListPartsCommand({
              ...at(key),
              UploadId: id,
              ...(marker !== undefined && { PartNumberMarker: marker }),
            }),
          ),
        )
        for (const { PartNumber: number = 0, Size: sizeBytes = 0, ETag: etag = '' } of page.Parts ??
          []) {
          parts.push({ number, sizeBytes, etag })
        }
        marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
      } while (marker !== undefined)
      return parts
    },

    async complete(key, id, parts) {
      const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
      await inOurWords(() =>
        client.send(
          new CompleteMultipartUploadCommand({
            ...at(key),
            UploadId: id,
            MultipartUpload: { Parts },
          }),
        ),
      )
    },

    async abort(key, id) {
      const command = new AbortMultipartUploadCommand({ ...at(key), UploadId: id })
      try {
        await inOurWords(() => client.send(command))
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'not_found')) throw error
      }
    },

    async *listBegunBefore(time) {
      let at: { KeyMarker?: string; UploadIdMarker?: string } | null = {}
      while (at !== null) {
        const place: { KeyMarker?: string; UploadIdMarker?: string } = at
        const page = await inOurWords(() =>
          client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...place })),
        )
        for (const { Key = '', UploadId: id = '', Initiated } of page.Uploads ?? []) {
          const key = Key.slice(prefix.length)
          if (isKey(key) && Initiated && Initiated < time) yield { key, id }
        }
        const { IsTruncated, NextKeyMarker = '', NextUploadIdMarker = '' } = page
        const isMore = IsTruncated === true && NextKeyMarker !== ''
        at = isMore ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null
      }
    },
  }
}
