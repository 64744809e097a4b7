import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { TestApp } from './app.ts'

/** What is in the stores of an app, seen from outside: as files, or as objects of its bucket. */

export type StoreName = 'originals' | 'intermediates' | 'media'
export type Site = Pick<TestApp, 'settings' | 's3'>

const PREFIXES = { originals: 'originals/', intermediates: 'work/', media: 'media/' } as const

/** Every key that begins with a prefix, in order. Of files also those with names that are no keys. */
export async function storedKeys(site: Site, store: StoreName, prefix = ''): Promise<string[]> {
  const keys = site.s3 ? await keysInBucket(site, store) : await filesIn(folderOf(site, store))
  return keys.filter((key) => key.startsWith(prefix)).sort()
}

export async function storedBytes(site: Site, store: StoreName, key: string): Promise<Buffer> {
  if (!site.s3) return await readFile(join(folderOf(site, store), key))
  const { Body } = await site.s3.client.send(new GetObjectCommand(objectOf(site, store, key)))
  return Buffer.from(await Body!.transformToByteArray())
}

/** Behind the app's back. */
export async function removeStored(site: Site, store: StoreName, key: string): Promise<void> {
  if (site.s3) await site.s3.client.send(new DeleteObjectCommand(objectOf(site, store, key)))
  else await rm(join(folderOf(site, store), key))
}

/** Behind the app's back, and as a new file: the one that was there may have other names. */
export async function putStored(
  site: Site,
  store: StoreName,
  key: string,
  bytes: Buffer | string,
): Promise<void> {
  if (site.s3) {
    const object = { ...objectOf(site, store, key), Body: bytes }
    await site.s3.client.send(new PutObjectCommand(object))
    return
  }
  const path = join(folderOf(site, store), key)
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true })
  await writeFile(path, bytes)
}

/** Every file below a folder, as relative paths in order. A folder that is not there is empty. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(folder.length + 1))
    .sort()
}

async function keysInBucket({ settings, s3 }: Site, store: StoreName): Promise<string[]> {
  const prefix = PREFIXES[store]
  const place = { Bucket: settings.s3?.bucket, Prefix: prefix }
  const keys: string[] = []
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3!.client }, place)) {
    keys.push(...Contents.map(({ Key = '' }) => Key.slice(prefix.length)))
  }
  return keys
}

function objectOf({ settings }: Site, store: StoreName, key: string) {
  return { Bucket: settings.s3?.bucket, Key: PREFIXES[store] + key }
}

function folderOf({ settings }: Site, store: StoreName): string {
  const { originalsDir, intermediatesDir, media } = settings
  return { originals: originalsDir, intermediates: intermediatesDir, media: media.root }[store]
}
